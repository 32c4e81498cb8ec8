"""From numbers that were drawn to rows: the texts of appeals, visits and clients, written out by Postgres itself.

Knows the columns that it fills and those of the tables of numbers that `volume` brings in (`DRAWN`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from callrouter.appeals.credit import SHARED
from callrouter.lab.crowd import HOW, WHAT, Advert, Place
from callrouter.lab.volume_draw import METHODS

LOST = ("abandoned_queue", "abandoned_ringing", "no_answer", "busy", "abandoned_ivr")
GROUPS = ("Продажи", "Сервис", "Опт", "Доставка", "Бухгалтерия", "Секретарь")
NAMES = ("Анна", "Иван", "Мария", "Пётр", "Ольга", "Сергей", "Елена", "Олег", "Ирина", "Глеб", "Софья", "Яков")
SURE = {"holder": 0.93, "static": 1, "caller_memory": 0.85, "last_holder": 0.6, "unattributed": 0}

DRAWN: Final[Mapping[str, Mapping[str, str]]] = {
    "drawn_adverts": {
        "account": "int", "n": "int", **dict.fromkeys(Advert._fields[1:], "text"), "fields": "text",
    },
    "drawn_places": {"account": "int", "n": "int", **dict.fromkeys(Place._fields, "text"), "fields": "text"},
    "drawn_appeals": {
        "at": "timestamptz", "id": "uuid", "account": "int", "site": "bigint", "number": "bigint", "session": "bigint",
        "visitor": "bigint", "client": "bigint", "advert": "int", "place": "int", "dice": "int", "kind": "smallint",
        "method": "smallint", "wait": "float8", "talk": "float8", "before": "int", "first": "boolean",
        "seen": "boolean", "linked": "boolean", "is_unique": "boolean", "multichannel": "boolean", "n": "int",
    },
    "drawn_visits": {
        "at": "timestamptz", "account": "int", "site": "bigint", "number": "bigint", "session": "bigint",
        "visitor": "bigint", "advert": "int", "place": "int", "dice": "int", "stay": "int", "pages": "smallint",
    },
    "drawn_touches": {
        "at": "timestamptz", "account": "int", "session": "bigint", "visitor": "bigint", "advert": "int",
        "place": "int", "appeal": "int", "n": "smallint", **dict.fromkeys(SHARED, "int"),
    },
}  # fmt: skip
"""Tables of numbers, for the time of the filling. `fields`: its part of a touch as that is stored."""


def _hex(number: str) -> str:
    return f"lpad(to_hex({number}), 16, '0')"


def _moment(at: str) -> str:
    """As messages have it: no fraction where there is none."""
    return f"""replace(to_char({at}, 'YYYY-MM-DD"T"HH24:MI:SS.US') || 'Z', '.000000Z', 'Z')"""


def _one_of(words: tuple[str, ...], n: str) -> str:
    listed = ", ".join(f"'{word}'" for word in words)
    return f"(ARRAY[{listed}])[{n} % {len(words)} + 1]"


KEEPS_CHAINS = "{} % 3 = 0"
"""Which accounts have switched multichannel analytics on."""
CALL, HEARD, INCOMING = "d.kind <= 1", "d.kind <= 1 AND d.talk > 0", "d.kind = 0"
BOUGHT_ELSEWHERE = f"d.kind = 0 AND d.method = {METHODS.index('static')}"
PHONE = "'79' || lpad(((d.client * 618033989 + 12345) % 1000000000)::text, 9, '0')"
ANSWERED = "d.at + d.wait * interval '1 second'"
ENDED = "d.at + (d.wait + d.talk) * interval '1 second'"
NAME = _one_of(NAMES, "d.client")
EMAIL = "'client' || d.client || '@mail.example'"
GROUP, EMPLOYEE = _one_of(GROUPS, "(d.dice % 97)"), "(100 + d.dice % 89 % 40)::text"
_BY = "CASE WHEN d.kind = 0 THEN {} WHEN d.kind > 1 AND d.seen THEN {} ELSE {} END"
METHOD = _BY.format(_one_of(METHODS, "d.method"), "'page'", "'unattributed'")
CONFIDENCE = _BY.format(f"(ARRAY{list(SURE.values())})[d.method + 1]", 1, 0)
STEPS = f"""CASE WHEN {CALL} THEN concat('[{{"at":"', x.began, '","kind":"started"}},{{"at":"', x.began,
    '","kind":"group_entered","group":"', x.office, '"}},{{"at":"', x.began, '","kind":"rang","who":"', x.who,
    CASE WHEN {HEARD} THEN concat('"}},{{"at":"', {_moment(ANSWERED)}, '","kind":"answered","who":"', x.who) END,
    '"}},{{"at":"', {_moment(ENDED)}, '","kind":"ended"}}]')::jsonb END"""
CANDIDATES = f"""CASE WHEN d.kind = 0 AND d.seen THEN concat('[{{"method":"', {_one_of(METHODS, "d.method")},
    '","account":', d.account, ',"site":', d.site, ',"session":"', {_hex("d.session")}, '","weight":', {CONFIDENCE},
    '}},{{"method":"last_holder","account":', d.account, ',"site":', d.site, ',"session":"', {_hex("d.session / 3")},
    '","weight":0.04}}]')::jsonb WHEN {CALL} THEN '[]'::jsonb END"""
_FLYER = {
    "channel": "'offline'",
    "source": "'flyer'",
    "medium": "'qr'",
    "campaign": "'campaign-' || d.dice % 30",
}


def _of_advert(name: str) -> str:
    return f"CASE WHEN d.seen THEN a.{name} WHEN {BOUGHT_ELSEWHERE} THEN {_FLYER.get(name, 'NULL')} END"


def _when(condition: str, *names_and_values: tuple[str, str]) -> dict[str, str]:
    return {name: f"CASE WHEN {condition} THEN {value} END" for name, value in names_and_values}


CLICK = "CASE WHEN a.campaign <> '' THEN {} ELSE '' END"

APPEALS: Final[Mapping[str, str]] = {
    "account_id": "d.account", "started_at": "d.at", "id": "d.id",
    "kind": _one_of(("call", "call", "form", "callback", "chat", "email"), "d.kind"), "site_id": "d.site",
    "client_id": "d.client",
    **_when(
        CALL, ("pbx", "'pbx1'"), ("linkedid", "'pbx1-' || left(d.id::text, 13)"),
        ("direction", f"CASE WHEN {INCOMING} THEN 'inbound' ELSE 'outbound' END"),
        ("caller", "x.caller"), ("called", "x.called"), ("caller_raw", "'+' || x.caller"),
        ("called_raw", "'+' || x.called"), ("status", "CASE WHEN d.talk > 0 THEN 'answered' ELSE 'lost' END"),
        ("lost_reason", f"CASE WHEN d.talk = 0 THEN {_one_of(LOST, 'd.dice')} END"), ("wait_s", "d.wait"),
        ("talk_s", "d.talk"), ("final_group", f"CASE WHEN {INCOMING} THEN x.office END"), ("hangup_cause", "16"),
        ("hangup_by", "CASE WHEN d.dice % 3 = 0 THEN 'employee' ELSE 'caller' END"), ("agi_ms", "2.4"),
        ("complete", "true"), ("resolution_ms", "1.7"),
    ),
    **_when(
        HEARD, ("answered_at", ANSWERED), ("employee", "x.who"),
        ("recording", "'/recordings/' || replace(d.id::text, '-', '') || '.wav'"),
    ),
    "ended_at": f"CASE WHEN {CALL} THEN {ENDED} ELSE d.at END", "customer": "x.phone", "steps": STEPS,
    "method": METHOD, "confidence": CONFIDENCE, "candidates": CANDIDATES,
    **_when(
        "d.seen", ("session", _hex("d.session")), ("visitor", _hex("d.visitor")),
        ("visit_started_at", "d.at - d.before * interval '1 ms'"), ("time_on_site_s", "d.before / 1000.0"),
        ("pages", "d.dice % 9 + 1"), ("click_id", CLICK.format(_hex("d.session / 7"))), ("device", "p.device"),
        ("os", "p.os"), ("browser", "p.browser"), ("location", "p.location"),
    ),
    **{name: _of_advert(name) for name in ("channel", "source", "medium", "campaign", "keyword", "content",
                                           "landing_page", "referrer", "page", "title")},
    "is_unique": "d.is_unique", "quality": f"{CALL} AND d.talk >= 60", "multichannel": "d.multichannel",
    "touches": f"CASE WHEN d.multichannel AND {KEEPS_CHAINS.format('d.account')} THEN t.touches::jsonb END",
    "credits": "t.credits::jsonb",
    "email": f"CASE WHEN NOT ({CALL}) AND d.client % 4 = 0 THEN {EMAIL} END",
    "person": f"CASE WHEN NOT ({CALL}) OR d.client % 3 = 0 THEN {NAME} END",
    "details": f"""CASE WHEN NOT ({CALL}) THEN
        concat('{{"text":"Интересуют ', {_one_of(tuple(WHAT), "d.dice")}, '"}}')::jsonb END""",
}  # fmt: skip
VISITS: Final[Mapping[str, str]] = {
    "account_id": "d.account", "started_at": "d.at", "session": _hex("d.session"), "visitor": _hex("d.visitor"),
    "site_id": "d.site", "seen_at": "d.at + d.stay * interval '1 ms'", "ended_at": "d.at + d.stay * interval '1 ms'",
    **{name: f"a.{name}" for name in ("channel", "source", "medium", "campaign", "keyword", "content", "landing_page",
                                      "referrer", "page", "title")},
    "click_id": CLICK.format(_hex("d.session / 7")), "pages": "d.pages", "device": "p.device", "os": "p.os",
    "browser": "p.browser", "location": "p.location",
    "ga_client_id": "CASE WHEN d.dice % 3 = 0 THEN left(to_hex(d.visitor), 9) || '.1700000000' ELSE '' END",
    "ym_client_id": "CASE WHEN d.dice % 3 = 1 THEN '17' || abs(d.visitor % 10000000000)::text ELSE '' END",
    "number": "CASE WHEN d.number > 0 THEN d.number::text END",
}  # fmt: skip

_TRAFFIC = """
    JOIN drawn_adverts a ON a.account = d.account AND a.n = d.advert
    JOIN drawn_places p ON p.account = d.account AND p.n = d.place"""
_TOUCH = f"""concat('{{"at":"', {_moment("d.at")}, '","session":"', {_hex("d.session")}, '","visitor":"',
    {_hex("d.visitor")}, '",', a.fields, ',', p.fields)"""


_SHARES = ", ".join(f"""CASE WHEN d.{model} > 0 THEN ',"{model}":' || d.{model} END""" for model in SHARED)


def insert(table: str, columns: Mapping[str, str], source: str) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)})\nSELECT {', '.join(columns.values())}\n{source}"


WRITE_VISITS = insert("visits", VISITS, f"FROM drawn_visits d {_TRAFFIC}")
WRITE_APPEALS = insert("appeals", APPEALS, f"""FROM drawn_appeals d {_TRAFFIC}
    LEFT JOIN (
        SELECT appeal, concat('[', string_agg(touch || '}}', ',' ORDER BY n) FILTER (WHERE linear > 0), ']') AS touches,
            concat('[', string_agg(concat(touch, shares, '}}'), ',' ORDER BY n), ']') AS credits
        FROM (SELECT d.appeal, d.n, d.linear, {_TOUCH} AS touch, concat({_SHARES}) AS shares
              FROM drawn_touches d {_TRAFFIC}) told
        GROUP BY appeal) t ON t.appeal = d.n
    CROSS JOIN LATERAL (
        SELECT {_moment("d.at")} AS began, {GROUP} AS office, {EMPLOYEE} AS who, {PHONE} AS phone,
            CASE WHEN {INCOMING} THEN {PHONE} ELSE {EMPLOYEE} END AS caller,
            CASE WHEN {INCOMING} THEN d.number::text ELSE {PHONE} END AS called OFFSET 0) x
ORDER BY d.at""")  # noqa: S608 - constants  # fmt: skip

_FIRSTS = "FROM drawn_appeals d WHERE d.first"
WRITE_REST: Final[tuple[str, ...]] = (
    insert("visit_pages", {
        "account_id": "d.account", "at": "d.at - d.before * interval '1 ms' * (2 - s.n)", "session": _hex("d.session"),
        "sequence": "s.n", "url": "a.page", "title": "a.title",
    }, f"FROM drawn_appeals d {_TRAFFIC} CROSS JOIN generate_series(1, 2) AS s (n) WHERE d.seen AND d.at >= $1"),
    insert("appeal_notes", {
        "account_id": "d.account", "appeal_id": "d.id", "spam": "d.dice % 5 = 0",
        "tags": "CASE WHEN d.dice % 2 = 1 THEN '{важно}'::text[] ELSE '{перезвонить,опт}' END",
        "comment": "'Клиент просил счёт'",
    }, "FROM drawn_appeals d WHERE d.dice % 31 = 0"),
    insert("clients", {
        "account_id": "d.account", "id": "d.client", "name": f"CASE WHEN d.client % 3 = 0 THEN {NAME} END",
        "first_touch_at": "d.at", "created_at": "d.at",
    }, _FIRSTS),
    insert("client_identities", {
        "account_id": "d.account", "kind": "i.kind", "value": "i.value", "client_id": "d.client",
        "first_seen_at": "d.at", "last_seen_at": "d.at",
    }, f"""FROM drawn_appeals d CROSS JOIN LATERAL (VALUES ('phone', {PHONE}), ('email', {EMAIL})) i (kind, value)
        WHERE d.first AND (i.kind = 'phone' OR d.client % 4 = 0)"""),
    insert("client_visitors", {
        "account_id": "d.account", "visitor": _hex("d.visitor"), "client_id": "d.client", "judged_at": "now()",
    }, f"{_FIRSTS} AND d.linked"),
    insert("deals", {
        "account_id": "d.account", "client_id": "d.client", "crm": "'bitrix24'", "crm_id": "d.client::text",
        "title": f"{_one_of(tuple(WHAT), 'd.dice')} || ' ' || {_one_of(HOW, 'd.dice')}",
        "stage": "CASE WHEN d.client % 24 = 0 THEN 'Успех' ELSE 'В работе' END", "funnel": "'Общая'",
        "url": "'https://crm.example/deal/' || d.client || '/'", "employee": _one_of(NAMES, "d.dice"),
        "revenue": "d.dice % 300000 + 0.5", "currency": "'RUB'", "opened_at": "d.at",
        "closed_at": "CASE WHEN d.client % 24 = 0 THEN d.at END", "won": "CASE WHEN d.client % 24 = 0 THEN true END",
        "appeal_id": "d.id", "appeal_at": "d.at",
    }, f"{_FIRSTS} AND d.client % 12 = 0"),
)  # fmt: skip
"""Of each chunk, besides. $1: since when pages are kept."""

WRITE_COSTS: Final = """
INSERT INTO costs (account_id, day, channel, source, medium, campaign, amount, currency, clicks)
SELECT account, day::date, channel, source, medium, campaign, (abs(hashint8(seed + n)) % 500000) / 100.0 + 50, 'RUB',
    row_number() OVER (PARTITION BY account, day ORDER BY n) * 7 + 3
FROM (SELECT account, channel, source, medium, campaign, min(n) AS n FROM drawn_adverts
      WHERE n < 60 AND medium = 'cpc' GROUP BY 1, 2, 3, 4, 5) paid,
    generate_series($1::date, $2::date, interval '1 day') WITH ORDINALITY AS days (day, seed)"""
