"""The journal, its clients and visits over HTTP: what is asked is what is told, and nobody is told of others."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
import pytest

from callrouter.journal.appeal import AppealInFull
from callrouter.journal.client_list import ClientPage
from callrouter.journal.clients import Card
from callrouter.journal.filters import CHOICES
from callrouter.journal.history import History
from callrouter.journal.listing import SORTS
from callrouter.journal.notes import Note
from callrouter.journal.query import NAMES
from callrouter.journal.visits import VisitInFull, VisitPage
from callrouter.web.api import journal_examples
from callrouter.web.api.clients import ClientNote
from callrouter.web.api.journal import Appeals
from tests.integration.web.journal import START, Journal, an_appeal, play, put, put_visit, refused

MINUTE = timedelta(minutes=1)


async def pages(here: Journal, query: str, between: Any = None) -> list[dict[str, Any]]:
    """All rows, page by page."""
    rows: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = await here.told(f"/appeals?{query}{cursor}")
        rows += page["items"]
        if page["next"] is None:
            return rows
        cursor = f"&cursor={quote(page['next'])}"
        if between:
            await between()


def test_pages_put_together_are_all_rows_once_in_every_order_whatever_is_written_meanwhile(
    valkey_url: str, database: str
) -> None:
    async def scene(here: Journal) -> None:
        chance = random.Random(3)
        many = [
            an_appeal(n, at=START + chance.randrange(20) * MINUTE, talk_s=chance.choice([None, 0.0, 5.0, 5.0, 70.5]),
                      pages=chance.choice([None, 1, 2]))
            for n in range(1, 60)
        ]  # fmt: skip
        await put(here.postgres, *many, an_appeal(1, account=3))
        ids = {str(row.id) for row in many}
        for sort in SORTS:
            rows = await pages(here, f"limit=7&sort={sort}&fields=id,{sort.removeprefix('-')}")
            assert sorted(row["id"] for row in rows) == sorted(ids), sort
            key = sort.removeprefix("-")
            values = [row[key] if row[key] is not None else -1 for row in rows]
            assert values == sorted(values, reverse=sort.startswith("-")), sort
        serial = iter(range(100, 1000))

        async def another() -> None:
            await put(here.postgres, an_appeal(next(serial), at=START + chance.randrange(25) * MINUTE))

        rows = await pages(here, "limit=5&fields=id", between=another)
        found = [row["id"] for row in rows]
        assert len(found) == len(set(found))
        assert ids <= set(found)
        page = await here.told("/appeals?limit=5")
        assert "steps" not in page["items"][0]
        mixed = await here.ask(f"/appeals?sort=talk_s&cursor={quote(page['next'])}")
        refused(mixed, 400, "bad-cursor")

    play(valkey_url, database, scene)


def expected(name: str, row: Any) -> bool:
    verdicts: dict[str, bool] = {
        "quality=true": row.quality, "quality=false": not row.quality, "channel=direct": row.channel == "direct",
        "channel=direct&channel=ai": row.channel in {"direct", "ai"}, "channel.not=direct": row.channel != "direct",
        "campaign.has=R%25": "r%" in (row.campaign or "").lower(), "campaign.empty=true": not row.campaign,
        "campaign.empty=false": bool(row.campaign), "talk_s.min=60": (row.talk_s or -1) >= 60,
        "wait_s.max=3": row.wait_s is not None and row.wait_s <= 3, "site=1": True, "site.not=1": False,
        "customer=8%20(916)%20000-00-07": row.customer == "79160000007",
        "customer=0007": "0007" in (row.customer or ""),
        "customer.empty=true": row.customer is None, "kind=form&kind=chat": row.kind in {"form", "chat"},
        "hour=12": row.started_at.hour == 9, "weekday=1": row.started_at.date() == START.date(), "weekday=2": False,
        "since=2026-03-02T12:10": row.started_at >= START + 10 * MINUTE,
        "until=2026-03-02": True, "until=2026-03-01": False, "q=ведро": row.keyword == "ведро",
        "tag=важно": row.employee == "7", "tag.not=важно": row.employee != "7", "spam=true": row.employee == "8",
        "spam=false": row.employee != "8", "comment.has=СЧЁТ": row.employee == "7",
        "tag.empty=true": row.employee != "7",
        "comment.empty=true": row.employee != "7", "confidence.max=0.5": row.confidence <= 0.5, "late=true": row.late,
        "group=sales&employee=7": row.employee == "7" and row.final_group == "sales", "pending=false": True,
        "first=true": row.client_id != 1 or row.employee == "0", "client=1": row.client_id == 1,
        "q=счёт%20sales": row.employee == "7",
    }  # fmt: skip
    return verdicts[name]


def test_filters_find_what_they_say_and_nothing_else(valkey_url: str, database: str) -> None:
    async def scene(here: Journal) -> None:
        chance = random.Random(5)
        rows = [
            an_appeal(
                n, channel=chance.choice(["direct", "ai", None]), campaign=chance.choice([None, "", "Summer%", "r"]),
                talk_s=chance.choice([None, 59.9, 60.0]), wait_s=chance.choice([None, 3.0, 3.1]), employee=str(n),
                customer=f"7916000{n:04}" if n % 5 else None, kind=chance.choice(["call", "form", "chat"]),
                keyword=chance.choice(["ведро", None]), quality=n % 2 == 0, confidence=chance.choice([0.4, 0.9]),
                late=n % 3 == 0, client_id=1 if n % 2 == 0 else n + 100,
            )
            for n in range(30)
        ]  # fmt: skip
        await put(here.postgres, *rows, *(an_appeal(n, account=3) for n in range(5)))
        for row, note in ((rows[7], {"tags": ["важно"], "comment": "просил Счёт"}), (rows[8], {"spam": True})):
            await here.told(f"/appeals/{row.id}", method="PATCH", body=note, if_match="*")
        names = [
            "quality=true", "quality=false", "channel=direct", "channel=direct&channel=ai", "channel.not=direct",
            "campaign.has=R%25", "campaign.empty=true", "campaign.empty=false", "talk_s.min=60", "wait_s.max=3",
            "site=1", "site.not=1", "customer=8%20(916)%20000-00-07", "customer=0007", "customer.empty=true",
            "kind=form&kind=chat", "hour=12", "weekday=1", "weekday=2", "since=2026-03-02T12:10",
            "until=2026-03-02", "until=2026-03-01",
            "q=ведро", "tag=важно", "tag.not=важно", "spam=true", "spam=false", "comment.has=СЧЁТ", "tag.empty=true",
            "comment.empty=true", "confidence.max=0.5", "late=true", "group=sales&employee=7", "pending=false",
            "first=true", "client=1", "q=счёт%20sales",
        ]  # fmt: skip
        for name in names:
            answer = await here.told(f"/appeals?limit=500&fields=id&count=true&{name}")
            wanted = {str(row.id) for row in rows if expected(name, row)}
            assert {row["id"] for row in answer["items"]} == wanted, name
            assert (answer["total"], answer["more"]) == (len(wanted), False), name
        assert (await here.told("/appeals/tags"))["items"] == ["важно"]
        for name in NAMES:  # each of the language is SQL that Postgres takes
            field, _, ending = name.partition(".")
            value = "true" if ending == "empty" else CHOICES.get(field, ("7",))[0]
            answer = await here.ask(f"/appeals?{urlencode({name: value})}")
            assert answer.status_code in {200, 400}, (name, answer.text)
            if answer.status_code == 400:
                assert field in {"since", "until", "period", "customer", "called"} or "true or false" in answer.text, (
                    name
                )

    play(valkey_url, database, scene)


def test_what_does_not_fit_is_refused_with_the_mend(valkey_url: str, database: str) -> None:
    async def scene(here: Journal) -> None:
        assert "is channel meant" in refused(await here.ask("/appeals?chanel=x"), 400, "bad-filter")
        assert "is one of call" in refused(await here.ask("/appeals?kind=fax"), 400, "bad-filter")
        refused(await here.ask("/appeals?fields=id,secret"), 400, "bad-field")
        refused(await here.ask("/appeals?cursor=%00"), 400, "bad-cursor")
        refused(await here.ask("/visits?group=sales"), 400, "bad-filter")
        refused(await here.ask("/appeals?account=3"), 404, "unknown-account")
        refused(await here.ask("/appeals?account=77", account=1), 404, "unknown-account")
        refused(await here.ask("/clients/77"), 404, "unknown-client")
        refused(await here.ask(f"/visits/{'x' * 300}"), 404, "unknown-visit")
        assert (await here.ask("/appeals?sort=secret")).status_code == 400
        assert (await here.ask("/appeals?limit=0")).status_code == 400
        assert (await here.told("/appeals?account=2", account=1))["items"] == []

    play(valkey_url, database, scene)


def test_an_appeal_in_full_says_why_and_tells_nothing_of_other_companies(valkey_url: str, database: str) -> None:
    async def scene(here: Journal) -> None:
        rows = [an_appeal(n, client_id=7) for n in (1, 2, 3)]
        await put(here.postgres, *rows)
        answer = await here.ask(f"/appeals/{rows[1].id}")
        told = answer.json()
        assert (told["previous"], told["next"]) == (str(rows[0].id), str(rows[2].id))
        assert told["appeal"]["hash"] == "prices"
        assert told["appeal"]["candidates"] == [
            {"method": "holder", "weight": 0.9, "site": 1, "session": "session-2-2"},
            {"method": "last_holder", "weight": 0.05, "another_account": True},
        ]
        assert "90%" in told["why"]
        assert "1 other" in told["why"]
        assert "secret-session" not in answer.text
        assert answer.headers["etag"] == '"0"'
        refused(await here.ask(f"/appeals/{rows[1].id}", account=3), 404, "unknown-appeal")

    play(valkey_url, database, scene)


def test_two_who_write_a_note_at_once_do_not_overwrite_each_other(valkey_url: str, database: str) -> None:
    async def scene(here: Journal) -> None:
        await put(here.postgres, an_appeal(1))
        path = f"/appeals/{an_appeal(1).id}"

        async def write(body: dict[str, Any], **more: Any) -> Any:
            return await here.ask(path, method="PATCH", body=body, **more)

        refused(await write({"spam": True}), 428, "no-version")
        first = await write({"tags": [" важно ", "важно", "опт"]}, if_match='"0"')
        assert first.json()["tags"] == ["важно", "опт"]
        assert "ETag is now" in refused(await write({"comment": "x"}, if_match='"0"'), 412, "changed-meanwhile")
        second = await write({"comment": "<script>\0=1+1"}, if_match=first.headers["etag"])
        assert (second.json()["comment"], second.json()["tags"]) == ("<script>\ufffd=1+1", ["важно", "опт"])
        for wrong in (
            {"tags": ["x" * 65]},
            {"tags": ["x"] * 21},
            {"comment": "x" * 5001},
            {"spam": "perhaps"},
            {"other": 1},
        ):
            assert (await write(wrong, if_match="*")).status_code == 400, wrong
        assert (await write({"spam": True}, if_match="*", account=3)).status_code == 404
        seen = await here.postgres.fetch("SELECT action, subject, account_id FROM audit WHERE action = 'appeal.change'")
        assert {(row["action"], row["account_id"]) for row in seen} == {("appeal.change", 2)}

    play(valkey_url, database, scene)


async def a_client(here: Journal) -> None:
    """Client 7 of account 2: visits, appeals and a deal, known by phone, e-mail and browser."""
    await put(
        here.postgres,
        an_appeal(10, client_id=7, customer=None, email="anna@example.com", kind="form", location=None, visitor="v1"),
        an_appeal(20, client_id=7, person="Анна", visitor="v1", session="s2", status="lost"),
        an_appeal(30, client_id=7, customer="79160000020", person="Иван", session=None, visitor=None),
    )
    await put_visit(here.postgres, "s1", "v1", START)
    await put_visit(here.postgres, "s2", "v1", START + 15 * MINUTE)
    await here.postgres.execute("INSERT INTO client_identities VALUES (2, 'visitor', 'v1', 7, $1, $1)", START)
    await here.postgres.execute(
        """INSERT INTO deals (account_id, client_id, title, revenue, currency, opened_at, closed_at)
           VALUES (2, 7, 'Окна', 100.10, 'RUB', $1, $1::timestamptz + interval '36 hours'),
                  (2, 7, 'Ещё', 0.20, 'RUB', $1, NULL),
                  (2, 7, 'Дом', 5, 'EUR', $1, NULL)""",
        START + 60 * MINUTE,
    )  # fmt: skip


def test_a_card_says_who_the_client_is_over_all_that_is_known_of_him(valkey_url: str, database: str) -> None:
    async def scene(here: Journal) -> None:
        await a_client(here)
        card = await here.told("/clients/7")
        assert (card["number"], card["name"], card["location"]) == ("79160000020", "Анна", "(undefined)")
        assert card["first_touch_at"].startswith("2026-03-02T09:00:00")
        assert card["revenue"] == [{"amount": "5.0000", "currency": "EUR"}, {"amount": "100.3000", "currency": "RUB"}]
        counts = {name: card[name] for name in ("appeals", "calls", "lost", "visits", "deals")}
        assert counts == {"appeals": 3, "calls": 2, "lost": 1, "visits": 2, "deals": 3}
        assert {(each["kind"], each["value"]) for each in card["identities"]} == {
            ("email", "anna@example.com"), ("phone", "79160000020"), ("visitor", "v1"),
        }  # fmt: skip
        await put(here.postgres, an_appeal(40, client_id=8, customer=None))
        nobody = await here.told("/clients/8")
        assert (nobody["number"], nobody["name"], nobody["number_known"]) == ("Не определено", "неизвестно", False)
        for query, found in {
            "phone=00-20": [7],
            "q=ANNA%40": [7],
            "since=2026-03-02T12:40": [8],
            "limit=1": [8],
        }.items():
            assert [each["id"] for each in (await here.told(f"/clients?{query}"))["items"]] == found, query
        rest = (await here.told("/clients?limit=1"))["next"]
        assert [each["id"] for each in (await here.told(f"/clients?limit=1&cursor={rest}"))["items"]] == [7]
        assert await here.postgres.fetchval("SELECT count(*) FROM audit WHERE action = 'client.see'") == 2

    play(valkey_url, database, scene)


def test_a_whole_history_is_numbered_and_a_filter_hides_without_renumbering(valkey_url: str, database: str) -> None:
    async def scene(here: Journal) -> None:
        await a_client(here)

        async def history(query: str = "") -> Any:
            return await here.told(f"/clients/7/history?oldest_first=true{query}")

        told = await history()
        assert told["total"] == 8
        whats = ["visit", "appeal", "visit", "appeal", "appeal", "deal", "deal", "deal"]
        assert [item["what"] for item in told["items"]] == whats
        assert [item["n"] for item in told["items"]] == list(range(1, 9))
        gaps = [None, 600.0, 300.0, 300.0, 600.0, 1800.0, 0.0, 0.0]
        assert [item["since_previous_s"] for item in told["items"]] == gaps
        assert [item["n_of_kind"] for item in told["items"]] == [1, 1, 2, 2, 3, 1, 2, 3]
        assert told["items"][0]["visit"]["session"] == "s1"
        assert told["items"][3]["appeal"]["group"] == "sales"
        assert {item["deal"]["title"]: item["deal"]["cycle_days"] for item in told["items"][5:]}["Окна"] == 1.5
        latest = await here.told("/clients/7/history?limit=3")
        assert [item["n"] for item in latest["items"]] == [8, 7, 6]
        more = await here.told(f"/clients/7/history?limit=3&cursor={latest['next']}")
        assert [item["n"] for item in more["items"]] == [5, 4, 3]
        assert [item["n"] for item in (await history("&what=visit"))["items"]] == [1, 3]
        assert [item["n"] for item in (await history("&what=appeal&kind=form"))["items"]] == [2]
        assert [item["n"] for item in (await history("&since=2026-03-02T12:20&until=2026-03-02T12:31"))["items"]] == [
            4,
            5,
        ]
        assert (await here.ask("/clients/7/history", account=3)).status_code == 404

    play(valkey_url, database, scene)


def test_a_visit_in_full_has_its_pages_its_client_and_its_appeals(valkey_url: str, database: str) -> None:
    async def scene(here: Journal) -> None:
        await a_client(here)
        await put_visit(here.postgres, "s9", "v9", START, account=3)
        visit = await here.told("/visits/s2")
        assert (visit["client"], visit["appeals"]) == (7, [str(an_appeal(20).id)])
        assert (visit["visit"]["time_on_site_s"], visit["visit"]["bounce"], visit["cut"]) == (120.0, False, False)
        assert [page["url"] for page in visit["pages"]] == ["https://shop.example/"]
        refused(await here.ask("/visits/s9"), 404, "unknown-visit")
        assert [each["session"] for each in (await here.told("/visits?limit=1"))["items"]] == ["s2"]
        rest = (await here.told("/visits?limit=1"))["next"]
        assert [each["session"] for each in (await here.told(f"/visits?limit=1&cursor={rest}"))["items"]] == ["s1"]
        first = await here.told("/visits?limit=1&sort=started_at")
        second = await here.told(f"/visits?limit=1&sort=started_at&cursor={first['next']}")
        assert [page["items"][0]["session"] for page in (first, second)] == ["s1", "s2"]
        assert (await here.told("/visits?source=google"))["items"] == []

    play(valkey_url, database, scene)


def test_clients_are_joined_parted_and_given_back(valkey_url: str, database: str) -> None:
    async def scene(here: Journal) -> None:
        await a_client(here)
        await put(here.postgres, an_appeal(50, client_id=9))
        refused(await here.ask("/clients/7/merge", method="POST", body={"other": 7}), 404, "unknown-client")
        refused(await here.ask("/clients/7/merge", method="POST", body={"other": 9}, account=3), 404, "unknown-client")
        assert await here.told("/clients/9/merge", method="POST", body={"other": 7}) == {"client": 7}
        assert "client 7" in refused(await here.ask("/clients/9"), 410, "merged-client")
        card = await here.told("/clients/7")
        assert card["appeals"] == 4
        [merge] = card["merges"]
        undo = f"/clients/7/merges/{merge['id']}/undo"
        refused(await here.ask(undo, method="POST", account=3), 404, "unknown-merge")
        assert await here.told(undo, method="POST") == {"undone": True}
        refused(await here.ask(undo, method="POST"), 404, "unknown-merge")
        assert ((await here.told("/clients/9"))["appeals"], (await here.told("/clients/7"))["appeals"]) == (1, 3)
        assert await here.told("/clients/9/merge", method="POST", body={"other": 7}) == {"client": 7}
        undo = f"/clients/7/merges/{(await here.told('/clients/7'))['merges'][0]['id']}/undo"
        theirs = an_appeal(51, customer="79160000050", client_id=7)
        await put(here.postgres, theirs, an_appeal(52, client_id=7, customer=None, email=None))
        await here.told(undo, method="POST")
        assert ((await here.told("/clients/9"))["appeals"], (await here.told("/clients/7"))["appeals"]) == (2, 4)
        marked = "SELECT array_agg(DISTINCT client_id ORDER BY client_id) FROM touch_marks WHERE since = '-infinity'"
        assert await here.postgres.fetchval(marked) == [7, 9]
        phone = {"identities": [{"kind": "phone", "value": "79160000020"}]}
        new = (await here.told("/clients/7/split", method="POST", body=phone))["new"]
        assert ((await here.told(f"/clients/{new}"))["appeals"], (await here.told("/clients/7"))["appeals"]) == (2, 2)
        refused(await here.ask("/clients/7/split", method="POST", body=phone), 422, "not-his")
        rest = {"identities": [{"kind": "email", "value": "anna@example.com"}, {"kind": "visitor", "value": "v1"}]}
        refused(await here.ask("/clients/7/split", method="POST", body=rest), 422, "not-his")

    play(valkey_url, database, scene)


def test_a_client_who_is_forgotten_is_nowhere_and_what_was_counted_stays(valkey_url: str, database: str) -> None:
    async def scene(here: Journal) -> None:
        await a_client(here)
        await here.told(
            f"/appeals/{an_appeal(20).id}", method="PATCH", body={"comment": "Анна", "tags": ["a"]}, if_match="*"
        )
        await here.postgres.execute("UPDATE appeals SET landing_page = 'https://shop.example/?phone=79160000020'")
        refused(await here.ask("/clients/7", method="DELETE", account=3), 404, "unknown-client")
        counted = "SELECT count(*), count(DISTINCT session), count(DISTINCT visitor), sum(talk_s) FROM appeals"
        before = await here.postgres.fetch(counted)
        done = await here.told("/clients/7", method="DELETE")
        assert done == {"appeals": 3, "visits": 2, "deals": 3}
        assert await here.postgres.fetch(counted) == before
        refused(await here.ask("/clients/7"), 404, "unknown-client")
        for table in ("appeals", "appeal_notes", "visits", "visit_pages", "clients", "client_identities", "deals",
                      "client_visitors", "client_merges"):  # fmt: skip
            for row in await here.postgres.fetch(
                f"SELECT to_jsonb(t)::text AS text FROM {table} t WHERE account_id = 2"
            ):
                for secret in ("79160000020", "anna", "Анна", '"v1"', '"s2"', '"s1"'):
                    assert secret not in row["text"], (table, secret)
        assert await here.postgres.fetchval("SELECT count(*) FROM visits WHERE account_id = 2") == 2
        assert await here.postgres.fetchval("SELECT min(revision) FROM appeals") == 2**31 - 1

    play(valkey_url, database, scene)


@pytest.mark.parametrize(
    ("example", "kind"),
    [
        ("APPEALS", Appeals), ("APPEAL", AppealInFull), ("NOTE", Note), ("CLIENTS", ClientPage), ("CARD", Card),
        ("CLIENT_NOTE", ClientNote),
        ("HISTORY", History), ("VISITS", VisitPage), ("VISIT", VisitInFull),
    ],
)  # fmt: skip
def test_the_examples_of_the_description_are_true(example: str, kind: type) -> None:
    told = getattr(journal_examples, example)
    msgspec.convert(told, kind, strict=False)
    assert set(told) == set(kind.__struct_fields__)  # type: ignore[attr-defined]
