"""Deals, costs and the inventory as lists: by every column, in every order, page by page, as files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest

from callrouter.journal import inventory_list, people_list
from callrouter.journal.columns import Cursor, Table
from callrouter.journal.keyset import cursor_text
from callrouter.reports import cost_list, deal_list
from callrouter.web.api import list_exports
from tests.integration.web.journal import START, Journal, an_appeal, play, put, put_visit, refused
from tests.integration.web.test_export import cells_of

DEALS = """
INSERT INTO deals (account_id, client_id, linked_by, title, stage, crm, crm_id, revenue, currency, opened_at, closed_at,
    won, employee, url, changed_at, funnel, ga_client_id, ym_client_id)
SELECT $1, nullif(n % 4, 0), (ARRAY['phone', ''])[n % 2 + 1], 'Окна ' || n % 5,
    (ARRAY['новая', '', '50%_x'])[n % 3 + 1], 'amo',
    nullif(n % 7, 0) || '-' || n, n % 6 - 1.5, (ARRAY['RUB', 'EUR'])[n % 2 + 1],
    '2026-03-02 09:00Z'::timestamptz + (n % 9) * interval '1 hour',
    CASE WHEN n % 3 > 0 THEN '2026-03-05 09:00Z'::timestamptz + (n % 4) * interval '1 hour' END,
    (ARRAY[true, false, NULL])[n % 3 + 1], '=1+' || n, '', '2026-03-06Z'::timestamptz + n * interval '1 minute',
    'воронка', n % 3 || '.1', ''
FROM generate_series($2::int, $3::int) n"""
COSTS = """
INSERT INTO costs (account_id, day, site_id, channel, source, medium, campaign, keyword, content, amount, currency,
    clicks, impressions, imported_from)
SELECT $1, '2026-03-01'::date + n % 5, nullif(n % 3, 0), (ARRAY['paid_search', ''])[n % 2 + 1], 'yandex', 'cpc',
    'Кампания ' || n % 4, 'окна ' || n % 3, 'текст', n * 1.25, 'RUB', nullif(n % 6, 0), n * 10, 'csv'
FROM generate_series($2::int, $3::int) n"""
LISTS = [("/deals", deal_list.TABLE, DEALS), ("/costs", cost_list.TABLE, COSTS)]


def plain(table: Table, field: str, value: Any) -> Any:
    """As it is compared; nothing is less than anything."""
    kind = table.columns[field].kind
    if value in (None, "") and kind != "text":
        return (0, 0)
    return (1, Decimal(str(value)) if kind == "number" else value or "")


def passes(table: Table, name: str, text: str) -> Callable[[dict[str, Any]], bool]:
    field, _, ending = name.partition(".")

    def of(item: dict[str, Any]) -> bool:
        value = item[field]
        if ending == "empty":
            return (value in (None, "")) == (text == "true")
        if ending == "has":
            return text.lower() in str(value or "").lower()
        kind = table.columns[field].kind
        readers: dict[str, Callable[[str], Any]] = {"whole": int, "number": Decimal, "flag": json.loads}
        wanted = readers.get(kind, str)(text)
        if ending in {"", "not"}:
            return bool(value == wanted) != (ending == "not")
        if value is None:
            return False
        mine = Decimal(str(value)) if kind == "number" else value
        return bool(mine >= wanted if ending == "min" else mine < wanted if kind == "moment" else mine <= wanted)

    return of


def questions(table: Table, items: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Every filter, with a value that some row has."""
    for name in table.names:
        field, _, ending = name.partition(".")
        if ending == "empty":
            yield from ((name, "true"), (name, "false"))
            continue
        found = [item[field] for item in items if item[field] not in (None, "")]
        if found:
            value = sorted(found)[len(found) // 2]
            yield (
                name,
                json.dumps(value) if isinstance(value, bool) else str(value)[1:3] if ending == "has" else str(value),
            )


@pytest.mark.parametrize(("path", "table", "filling"), LISTS)
def test_a_list_is_filtered_by_every_column(
    valkey_url: str, database: str, path: str, table: Table, filling: str
) -> None:
    async def scene(here: Journal) -> None:
        await here.postgres.execute(filling, 2, 1, 60)
        await here.postgres.execute(filling, 3, 1, 9)
        items = (await here.told(f"{path}?limit=500"))["items"]
        assert len(items) == 60
        tried = list(questions(table, items))
        assert len({name for name, _ in tried}) > len(table.names) * 0.85
        for name, text in tried:
            found = (await here.told(f"{path}?{urlencode({name: text, 'limit': 500})}"))["items"]
            expected = {item["id"] for item in items if passes(table, name, text)(item)}
            assert {item["id"] for item in found} == expected, (name, text)
        both = await here.told(f"{path}?id=3&id=4&id=9999")
        assert {item["id"] for item in both["items"]} == {3, 4}
        for wrong in ("nonsense=1", "id=x", "id.min=1&id.min=2", "currency.empty=maybe", "id=" + "9" * 30,
                      "currency=%00", "id.has=1"):  # fmt: skip
            refused(await here.ask(f"{path}?{wrong}"), 400, "bad-filter")
        refused(await here.ask(f"{path}?sort=nonsense"), 400, "bad-sort")

    play(valkey_url, database, scene)


@pytest.mark.parametrize(("path", "table", "filling"), LISTS)
def test_pages_in_every_order_have_each_row_once_whatever_is_written_meanwhile(
    valkey_url: str, database: str, path: str, table: Table, filling: str
) -> None:
    async def scene(here: Journal) -> None:
        await here.postgres.execute(filling, 2, 1, 40)
        first = {item["id"] for item in (await here.told(f"{path}?limit=500"))["items"]}
        for count, sort in enumerate(table.sorts):
            rows: list[dict[str, Any]] = []
            cursor: str | None = ""
            while cursor is not None:
                page = await here.told(f"{path}?{urlencode({'sort': sort, 'limit': 17, 'cursor': cursor})}")
                rows += page["items"]
                cursor = page["next"]
                if len(rows) == 17 and count % 4 == 0:
                    await here.postgres.execute(filling, 2, 1000 + count, 1000 + count)
            told = [row["id"] for row in rows]
            assert len(told) == len(set(told)), sort
            assert first <= set(told), sort
            field = sort.removeprefix("-")
            if table.columns[field].kind not in {"text", "flag"}:
                values = [plain(table, field, row[field]) for row in rows]
                assert values == sorted(values, reverse=sort.startswith("-")), sort
        forged = [Cursor("id", "x", "1"), Cursor("id", "1", "x"), Cursor("-id", "1", "1"), Cursor("id", "\0", "1")]
        for cursor in ("x", "2026-03-02T00:00:00Z~" + "0" * 20 + "9" * 30, *map(cursor_text, forged)):
            refused(await here.ask(f"{path}?{urlencode({'sort': 'id', 'cursor': cursor})}"), 400, "bad-cursor")

    play(valkey_url, database, scene)


SET_UP: list[tuple[str, Table]] = [
    ("/accounts", people_list.ACCOUNTS), ("/users", people_list.USERS), ("/tokens", people_list.TOKENS),
    ("/sites", inventory_list.SITES), ("/pools", inventory_list.POOLS), ("/numbers", inventory_list.NUMBERS),
    ("/static-bindings", inventory_list.STATIC),
]  # fmt: skip


def test_what_is_set_up_is_sorted_by_every_column_and_read_page_by_page(valkey_url: str, database: str) -> None:
    async def scene(here: Journal) -> None:
        await here.postgres.execute(
            """INSERT INTO sites (account_id, id, name) SELECT 2, n, 'сайт ' || n FROM generate_series(11, 16) n;
               INSERT INTO pools (account_id, id, name) SELECT 2, n, 'Пул ' || n FROM generate_series(1, 6) n;
               INSERT INTO numbers (account_id, number, note)
               SELECT 2, '7495111000' || n, n % 2 FROM generate_series(1, 6) n;
               INSERT INTO static_bindings (account_id, site_id, number, channel)
               SELECT 2, 1, '7495111000' || n, 'Газета ' || n % 3 FROM generate_series(1, 6) n;
               INSERT INTO users (account_id, email, name, role, disabled_at)
               SELECT 2, n || '@shop.example', 'N' || n % 3, 'viewer', CASE WHEN n = 2 THEN now() END
               FROM generate_series(1, 6) n;
               INSERT INTO tokens (account_id, name, hash, scopes, user_id)
               SELECT 2, 'T' || id % 2, sha256(email::bytea), '{deals:read}', id FROM users WHERE account_id = 2"""
        )
        for path, table in SET_UP:
            whole = (await here.told(f"{path}?limit=500"))["items"]
            assert len(whole) >= (1 if path == "/accounts" else 6), path
            for sort in table.sorts:
                rows: list[dict[str, Any]] = []
                cursor: str | None = ""
                while cursor is not None:
                    page = await here.told(f"{path}?{urlencode({'sort': sort, 'limit': 2, 'cursor': cursor})}")
                    rows += page["items"]
                    cursor = page["next"]
                assert sorted(row[table.key] for row in rows) == sorted(row[table.key] for row in whole), sort
                field = sort.removeprefix("-")
                if table.columns[field].kind not in {"text", "flag"}:
                    values = [plain(table, field, row[field]) for row in rows]
                    assert values == sorted(values, reverse=sort.startswith("-")), (path, sort)
            refused(await here.ask(f"{path}?sort=nonsense"), 400, "bad-sort")
            refused(await here.ask(f"{path}?cursor=nonsense"), 400, "bad-cursor")
        assert [user["email"] for user in (await here.told("/users?disabled_at.empty=false"))["items"]] == [
            "2@shop.example"
        ]
        assert [token["stopped"] for token in (await here.told("/tokens?stopped=true"))["items"]] == [True]
        assert len((await here.told("/users?name=N1&sort=-email"))["items"]) == 2
        assert (await here.told("/users?name=N1", account=3))["items"] == []

    play(valkey_url, database, scene)


def test_what_is_set_up_is_filtered_by_every_column(valkey_url: str, database: str) -> None:
    async def scene(here: Journal) -> None:
        await here.postgres.execute(
            """UPDATE sites SET domains = '{okna.example}', own_numbers = '{74951112233}' WHERE id = 1;
               INSERT INTO pools (account_id, id, name) VALUES (2, 5, 'Наш'), (2, 6, 'Пустой');
               INSERT INTO site_pools (account_id, site_id, pool_id) VALUES (2, 1, 5);
               INSERT INTO numbers (account_id, number, pool_id, note) VALUES (2, '74951110001', 5, 'важный');
               INSERT INTO numbers (account_id, number, state) VALUES (2, '74951110002', 'disabled');
               INSERT INTO static_bindings (account_id, site_id, number, channel, campaign)
               VALUES (2, 1, '74951110002', 'Газета', 'май');
               INSERT INTO users (account_id, email, role) VALUES (2, 'a@shop.example', 'viewer');
               INSERT INTO tokens (account_id, name, hash, scopes, user_id)
               SELECT 2, 'CRM', sha256('x'), '{deals:read}', id FROM users"""
        )
        for path, table, some, none in (
            ("/sites", inventory_list.SITES, "domains=okna.example&pools=Наш&name.has=кн", "pools=Пустой"),
            ("/pools", inventory_list.POOLS, "active.min=1&name=Наш", "active.min=1&name=Пустой"),
            ("/numbers", inventory_list.NUMBERS, "pool=Наш&note.has=ВАЖ&state=active",
             "state=active&static_channel=Газета"),
            ("/users", people_list.USERS, "email.has=shop&openid=false&role=viewer", "role=viewer&password=true"),
            ("/tokens", people_list.TOKENS, "name=CRM&maker=a@shop.example", "name=CRM&stopped=true"),
            ("/static-bindings", inventory_list.STATIC, "channel=Газета&valid_to.empty=true", "campaign.not=май"),
        ):  # fmt: skip
            assert len((await here.told(f"{path}?{some}"))["items"]) == 1, path
            assert (await here.told(f"{path}?{none}"))["items"] == [], path
            assert (await here.told(f"{path}?{some}", account=3))["items"] == [], path
            for name in table.names:
                kind = table.columns[name.partition(".")[0]].kind
                value = {"moment": "2026-03-02", "flag": "true"}.get(kind, "1") if "empty" not in name else "true"
                await here.told(f"{path}?{name}={value}")
            refused(await here.ask(f"{path}?nonsense=1"), 400, "bad-filter")

    play(valkey_url, database, scene)


def test_lists_are_files_in_every_format(valkey_url: str, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_exports, "AT_ONCE", 7)

    async def scene(here: Journal) -> None:
        await here.postgres.execute(DEALS, 2, 1, 30)
        await here.postgres.execute(COSTS, 2, 1, 30)
        await put(here.postgres, *(an_appeal(n, person="=1+1" if n % 2 else "Анна") for n in range(30)))
        for n in range(30):
            await put_visit(here.postgres, f"s{n}", f"v{n % 3}", START, title=f"=cmd{n}")
        for name, sort in (("deals", "opened_at"), ("costs", "day"), ("clients", "-id"), ("visits", "")):
            asked = {"limit": 500} | ({"sort": sort} if sort else {})
            items = (await here.told(f"/{name}?{urlencode(asked)}"))["items"]
            assert len(items) == 30, name
            lines = (await here.ask(f"/{name}/export?format=jsonl")).text.splitlines()
            assert [json.loads(line) for line in lines] == items, name
            answer = await here.ask(f"/{name}/export")
            assert f'filename="{name}-' in answer.headers["content-disposition"]
            table = list(csv.DictReader(io.StringIO(answer.text, newline="")))
            assert [set(row) for row in table] == [set(item) for item in items], name
            assert not any(cell[:1] in {"=", "+", "@"} for row in table for cell in row.values()), name
            book = cells_of((await here.ask(f"/{name}/export?format=xlsx")).content)
            assert len(book) == 31, name
            refused(await here.ask(f"/{name}/export?format=csv&since=nonsense"), 400, "bad-filter")
            assert (await here.ask(f"/{name}/export?format=jsonl", account=3)).text == "", name
        deals = list(csv.DictReader(io.StringIO((await here.ask("/deals/export?won=true")).text, newline="")))
        assert {row["won"] for row in deals} == {"true"}
        assert {Decimal(row["revenue"]) for row in deals} >= {Decimal("-1.5")}, "a number, not a text that was defused"
        assert len((await here.ask("/visits/export?format=jsonl&title.has=cmd1")).text.splitlines()) == 11
        assert len((await here.ask("/clients/export?format=jsonl&q=анн")).text.splitlines()) == 0
        told = await here.postgres.fetch(
            "SELECT subject, details FROM audit WHERE action = 'export' AND account_id = 2"
        )
        assert {row["subject"] for row in told} == {"deals", "costs", "clients", "visits"}
        assert len(told) == 4 * 3 + 3

    play(valkey_url, database, scene)
