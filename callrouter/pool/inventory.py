"""The inventory in Postgres: accounts, sites, pools, numbers, static bindings. What an operator sets up by hand.

Routers and web processes learn of a change by the notification that the tables send. Knows nothing of leases.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import datetime, timedelta

import asyncpg
import msgspec

from callrouter.db.connect import Connection
from callrouter.numbers import NotANumber, Number, parse_number
from callrouter.pool.model import DEFAULT_HOLD, MINIMUM_HOLD

OPERATOR = 1
"""The account that owns shared pools, and every call that is nobody's."""

COLUMNS = ("number", "route", "note")


class Refused(ValueError):
    """The change cannot be made; the text says why and what to do. Nothing was changed."""


class ListedNumber(msgspec.Struct, frozen=True):
    number: Number
    route: str = ""
    note: str = ""


class Imported(msgspec.Struct, frozen=True):
    added: int
    changed: int
    unchanged: int


async def add_account(conn: Connection, name: str) -> int:
    if await conn.fetchval("SELECT 1 FROM accounts WHERE name = $1", name):
        raise Refused(f"there is an account named {name!r} already")
    return int(await conn.fetchval("INSERT INTO accounts (name) VALUES ($1) RETURNING id", name))


async def add_pool(conn: Connection, name: str) -> int:
    """A pool of the operator's: sites of any account may use it."""
    try:
        return int(await conn.fetchval("INSERT INTO pools (name) VALUES ($1) RETURNING id", name))
    except asyncpg.UniqueViolationError:
        raise Refused(f"there is a pool named {name!r} already") from None


async def add_site(
    conn: Connection,
    domain: str,
    *,
    account: str,
    pool: str | None = None,
    fallback: str | None = None,
    route: str = "",
    country: str = "RU",
    display: str = "",
    hold: timedelta = DEFAULT_HOLD,
    quality_s: float = 60.0,
) -> int:
    """A site of `account`, whose visitors get numbers of `pool` (None: static numbers only)."""
    if hold < MINIMUM_HOLD:
        raise Refused(f"hold is {hold}; visitors who call late need at least {MINIMUM_HOLD}, 30 minutes are usual")
    own = _parsed(fallback, country) if fallback else None
    async with conn.transaction():
        owner = await _id(conn, "accounts", account)
        if await conn.fetchval("SELECT 1 FROM sites WHERE account_id = $1 AND name = $2", owner, domain):
            raise Refused(f"{account!r} has a site {domain!r} already")
        site = await conn.fetchval(
            """INSERT INTO sites (account_id, name, domains, fallback_number, own_numbers, route, country,
                                  display_pattern, hold, quality_s)
               VALUES ($1, $2, ARRAY[$2], $3, $4, $5, $6, $7, $8, $9) RETURNING id""",
            owner, domain, own, [own] if own else [], route, country, display, hold, quality_s,
        )  # fmt: skip
        if pool:
            await conn.execute(
                "INSERT INTO site_pools (account_id, site_id, pool_id) VALUES ($1, $2, $3)",
                owner, site, await _id(conn, "pools", pool),
            )  # fmt: skip
    return int(site)


def listed_numbers(text: str, country: str) -> list[ListedNumber]:
    """The numbers of a CSV text: a header with `number` (and `route`, `note`), or one number a line.

    Raises Refused with every wrong line.
    """
    numbers: list[ListedNumber] = []
    lines: dict[Number, int] = {}
    complaints = []
    for line, row in _rows(text):
        try:
            number = parse_number(row["number"], country)
        except NotANumber as error:
            complaints.append(f"line {line}: {error}")
            continue
        if number in lines:
            complaints.append(f"line {line}: {row['number']} stands on line {lines[number]} already")
            continue
        lines[number] = line
        numbers.append(ListedNumber(number, row.get("route", "").strip(), row.get("note", "").strip()))
    if complaints:
        raise Refused("nothing was imported, for\n" + "\n".join(complaints))
    if not numbers:
        raise Refused("nothing was imported: the file has no numbers")
    return numbers


def _rows(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text), delimiter=";" if ";" in first else ",")
    columns: list[str] = ["number"]
    for index, row in enumerate(reader):
        cells = [cell.strip() for cell in row]
        if index == 0 and "number" in [cell.lower() for cell in cells]:
            columns = [cell.lower() for cell in cells]
            if unknown := [column for column in columns if column not in COLUMNS]:
                raise Refused(f"line 1: unknown column {unknown[0]!r}; known here: {', '.join(COLUMNS)}")
        elif any(cells):
            yield reader.line_num, {"number": "", **dict(zip(columns, cells, strict=False))}


async def import_numbers(conn: Connection, pool: str, numbers: list[ListedNumber]) -> Imported:
    """Put `numbers` into `pool`, all or none. Raises Refused if one is in another pool or is static."""
    spelled = [each.number for each in numbers]
    async with conn.transaction():
        wanted = await _id(conn, "pools", pool)
        await _refuse_taken(conn, wanted, spelled)
        rows = await conn.fetch(
            """INSERT INTO numbers AS n (number, pool_id, route, note)
               SELECT x.number, $1, x.route, x.note FROM unnest($2::text[], $3::text[], $4::text[])
                   AS x (number, route, note)
               ON CONFLICT (number) DO UPDATE SET pool_id = excluded.pool_id, route = excluded.route,
                   note = excluded.note
               WHERE (n.pool_id, n.route, n.note) IS DISTINCT FROM (excluded.pool_id, excluded.route, excluded.note)
               RETURNING (xmax = 0) AS added""",
            wanted, spelled, [each.route for each in numbers], [each.note for each in numbers],
        )  # fmt: skip
    added = sum(row["added"] for row in rows)
    return Imported(added=added, changed=len(rows) - added, unchanged=len(numbers) - len(rows))


async def _refuse_taken(conn: Connection, pool: int, numbers: list[Number]) -> None:
    taken = await conn.fetch(
        """SELECT n.number, 'is in pool ' || p.name AS why FROM numbers n JOIN pools p ON p.id = n.pool_id
           WHERE n.number = ANY($2) AND n.pool_id <> $1
           UNION ALL
           SELECT number, 'is a static number (channel ' || channel || ')' FROM static_bindings
           WHERE number = ANY($2) AND coalesce(valid_to, 'infinity') > now()
           ORDER BY 1""",
        pool, numbers,
    )  # fmt: skip
    if taken:
        raise Refused("nothing was imported, for\n" + "\n".join(f"{row['number']} {row['why']}" for row in taken))


async def disable_number(conn: Connection, number: Number) -> None:
    """Set a broken number aside: it is not leased again; its history stays."""
    done = await conn.execute(
        "UPDATE numbers SET state = 'disabled', disabled_at = now() WHERE number = $1 AND state = 'active'", number
    )
    if done == "UPDATE 0":
        known = await conn.fetchval("SELECT state FROM numbers WHERE number = $1", number)
        raise Refused(f"{number} is disabled already" if known else f"{number} is not in the inventory")


async def bind_static(
    conn: Connection,
    number: Number,
    *,
    site: str,
    channel: str,
    source: str = "",
    medium: str = "",
    campaign: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
) -> int:
    """Bind `number` to a channel of `site` for a time. A new number enters the inventory, outside any pool."""
    async with conn.transaction():
        rows = await conn.fetch("SELECT account_id, id FROM sites WHERE name = $1", site)
        if len(rows) != 1:
            raise Refused(f"there is no site {site!r}" if not rows else f"several accounts have a site {site!r}")
        await conn.execute("INSERT INTO numbers (number) VALUES ($1) ON CONFLICT (number) DO NOTHING", number)
        if await conn.fetchval("SELECT pool_id FROM numbers WHERE number = $1", number) is not None:
            raise Refused(f"{number} is in a pool and leased to visitors; a static number must not be")
        try:
            binding = await conn.fetchval(
                """INSERT INTO static_bindings (account_id, site_id, number, channel, source, medium, campaign,
                                                valid_from, valid_to)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, coalesce($8, now()), $9) RETURNING id""",
                rows[0]["account_id"], rows[0]["id"], number, channel, source or channel, medium, campaign,
                since, until,
            )  # fmt: skip
        except asyncpg.ExclusionViolationError:
            raise Refused(f"{number} is bound to a channel in that time already; end that binding first") from None
        except asyncpg.CheckViolationError:
            raise Refused("the binding would end before it begins") from None
    return int(binding)


async def _id(conn: Connection, table: str, name: str) -> int:
    rows = await conn.fetch(f"SELECT id FROM {table} WHERE name = $1", name)  # noqa: S608 - `table` is ours
    if len(rows) != 1:
        known = await conn.fetch(f"SELECT name FROM {table} ORDER BY id LIMIT 10")  # noqa: S608 - likewise
        names = ", ".join(row["name"] for row in known) or "none yet"
        raise Refused(f"there is no {name!r} among the {table}; there are: {names}")
    return int(rows[0]["id"])


def _parsed(text: str, country: str) -> Number:
    try:
        return parse_number(text, country)
    except NotANumber as error:
        raise Refused(str(error)) from None
