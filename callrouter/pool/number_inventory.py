"""Substitute numbers in Postgres: into pools, between them, set aside, bound to channels. Knows nothing of leases.

What is asked for several numbers is done for all of them or for none. Changes of the inventory exclude each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg
import msgspec

from callrouter.db.connect import Connection
from callrouter.numbers import Number
from callrouter.pool.inventory import Refused, Unknown, hint, pool_named, site_named
from callrouter.pool.number_file import Fault, ListedNumber, Listing, in_order
from callrouter.wording import N_, Lines, Wording

ONE_AT_A_TIME = "LOCK TABLE numbers IN SHARE ROW EXCLUSIVE MODE"
"""Two imports at once would each find a number free and the later take it from the earlier."""


class Imported(msgspec.Struct, frozen=True):
    added: int
    changed: int
    unchanged: int


class Taken(NamedTuple):
    number: Number
    why: str
    values: dict[str, object]


TAKEN = {
    "pool": N_("{number} is in pool {name}; say that it is to be taken from there (--move)"),
    "static": N_("{number} is a static number (channel {name})"),
    "site": N_("{number} is the own number of site {name}"),
}


class Moved(msgspec.Struct, frozen=True):
    numbers: int
    moved: int
    pool: str


async def import_numbers(
    conn: Connection, pool: str, listed: Listing | Sequence[ListedNumber], *, move: bool = False, dry_run: bool = False
) -> Imported:
    """Put `listed` numbers into `pool`, all or none. Raises Refused with everything that is wrong with them.

    Numbers of other pools are refused unless `move`. A dry run finds the same and changes nothing.
    """
    listing = listed if isinstance(listed, Listing) else Listing(tuple(listed))
    transaction = conn.transaction()
    await transaction.start()
    try:
        await conn.execute(ONE_AT_A_TIME)
        wanted = await pool_named(conn, pool)
        lines = {each.number: each.line for each in listing.numbers}
        taken = await _taken(conn, wanted, [*lines], move=move)
        faults = in_order([*listing.faults, *(Fault(lines[number], why, of) for number, why, of in taken)])
        if faults:
            told = Lines(fault.placed() for fault in faults)
            raise Refused("nothing was imported, for{faults}", faults=told)  # noqa: TRY301
        imported = await _put(conn, wanted, listing.numbers)
    except BaseException:
        await transaction.rollback()
        raise
    await (transaction.rollback() if dry_run else transaction.commit())
    return imported


async def _put(conn: Connection, pool: int, numbers: Sequence[ListedNumber]) -> Imported:
    rows = await conn.fetch(
        """INSERT INTO numbers AS n (number, pool_id, route, note)
           SELECT x.number, $1, x.route, x.note FROM unnest($2::text[], $3::text[], $4::text[])
               AS x (number, route, note)
           ON CONFLICT (number) DO UPDATE SET pool_id = excluded.pool_id, route = excluded.route,
               note = excluded.note
           WHERE (n.pool_id, n.route, n.note) IS DISTINCT FROM (excluded.pool_id, excluded.route, excluded.note)
           RETURNING (xmax = 0) AS added""",
        pool, [each.number for each in numbers], [each.route for each in numbers], [each.note for each in numbers],
    )  # fmt: skip
    added = sum(row["added"] for row in rows)
    return Imported(added=added, changed=len(rows) - added, unchanged=len(numbers) - len(rows))


async def _taken(conn: Connection, pool: int, numbers: list[Number], *, move: bool) -> list[Taken]:
    """Numbers that may not enter `pool`, and why."""
    rows = await conn.fetch(
        """SELECT n.number, 'pool' AS what, p.name AS name
           FROM numbers n JOIN pools p ON p.id = n.pool_id
           WHERE n.number = ANY($2) AND n.pool_id <> $1 AND NOT $3
           UNION ALL
           SELECT number, 'static', channel FROM static_bindings
           WHERE number = ANY($2) AND coalesce(valid_to, 'infinity') > now()
           UNION ALL
           SELECT own, 'site', name FROM sites, unnest(own_numbers || fallback_number) AS own
           WHERE own = ANY($2)
           GROUP BY own, name ORDER BY 1, 2, 3""",
        pool, numbers, move,
    )  # fmt: skip
    return [Taken(Number(row["number"]), TAKEN[row["what"]], dict(row)) for row in rows]


async def move_numbers(conn: Connection, numbers: Sequence[Number], pool: str) -> Moved:
    """From whatever pools they are in, or from none, to `pool`. Their leases end there; their history stays."""
    wanted = list(dict.fromkeys(numbers))
    async with conn.transaction():
        await conn.execute(ONE_AT_A_TIME)
        target = await pool_named(conn, pool)
        await _require_known(conn, wanted)
        if taken := await _taken(conn, target, wanted, move=True):
            told = Lines(Wording(each.why, each.values) for each in taken)
            raise Refused("nothing was moved, for{faults}", faults=told)
        done = await conn.execute(
            "UPDATE numbers SET pool_id = $1 WHERE number = ANY($2) AND pool_id IS DISTINCT FROM $1", target, wanted
        )
    return Moved(numbers=len(wanted), moved=int(done.split()[-1]), pool=pool)


async def disable_numbers(conn: Connection, numbers: Sequence[Number]) -> None:
    """Set broken numbers aside: they are not leased again; their history stays."""
    await _switch(conn, numbers, active=False)


async def enable_numbers(conn: Connection, numbers: Sequence[Number]) -> None:
    """Numbers that were set aside are leased again, in the pool that they are in."""
    await _switch(conn, numbers, active=True)


async def _switch(conn: Connection, numbers: Sequence[Number], *, active: bool) -> None:
    state, wanted = ("active" if active else "disabled"), list(dict.fromkeys(numbers))
    async with conn.transaction():
        await conn.execute(ONE_AT_A_TIME)
        await _require_known(conn, wanted)
        rows = await conn.fetch(
            "SELECT number FROM numbers WHERE number = ANY($1) AND state = $2 ORDER BY number", wanted, state
        )
        if rows:
            told = ", ".join(row["number"] for row in rows)
            if active:
                raise Refused("{numbers} is active already", numbers=told)
            raise Refused("{numbers} is disabled already", numbers=told)
        await conn.execute(
            "UPDATE numbers SET state = $2, disabled_at = CASE WHEN $3 THEN NULL ELSE now() END WHERE number = ANY($1)",
            wanted, state, active,
        )  # fmt: skip


async def _require_known(conn: Connection, numbers: list[Number]) -> None:
    known = {row["number"] for row in await conn.fetch("SELECT number FROM numbers WHERE number = ANY($1)", numbers)}
    if missing := [number for number in numbers if number not in known]:
        raise Refused("{numbers} is not in the inventory", numbers=", ".join(missing))


async def bind_static(
    conn: Connection,
    number: Number,
    *,
    site: str,
    channel: str,
    account: str | None = None,
    source: str = "",
    medium: str = "",
    campaign: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
) -> int:
    """Bind `number` to a channel of `site` for a time. A new number enters the inventory, outside any pool."""
    async with conn.transaction():
        await conn.execute(ONE_AT_A_TIME)
        owner, site_id = await site_named(conn, site, account=account)
        await conn.execute("INSERT INTO numbers (number) VALUES ($1) ON CONFLICT (number) DO NOTHING", number)
        if await conn.fetchval("SELECT pool_id FROM numbers WHERE number = $1", number) is not None:
            raise Refused("{number} is in a pool and leased to visitors; a static number must not be", number=number)
        try:
            binding = await conn.fetchval(
                """INSERT INTO static_bindings (account_id, site_id, number, channel, source, medium, campaign,
                                                valid_from, valid_to)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, coalesce($8, now()), $9) RETURNING id""",
                owner, site_id, number, channel, source or channel, medium, campaign, since, until,
            )  # fmt: skip
        except asyncpg.ExclusionViolationError:
            raise Refused(
                "{number} is bound to a channel in that time already; end that binding first", number=number
            ) from None
        except asyncpg.CheckViolationError:
            raise Refused("the binding would end before it begins") from None
    return int(binding)


async def set_static_end(conn: Connection, binding: int, until: datetime | None) -> asyncpg.Record:
    """End a binding then, or never. Raises Unknown, Refused."""
    async with conn.transaction():
        await conn.execute(ONE_AT_A_TIME)
        try:
            bound = await conn.fetchrow(
                """UPDATE static_bindings b SET valid_to = $2 FROM numbers n WHERE b.id = $1 AND n.number = b.number
                   RETURNING b.number, b.account_id AS account, n.pool_id""",
                binding, until,
            )  # fmt: skip
        except asyncpg.ExclusionViolationError:
            raise Refused("the number is bound to another channel in that time; end that binding first") from None
        except asyncpg.CheckViolationError:
            raise Refused("the binding would end before it begins") from None
        if bound is None:
            raise Unknown(binding)
        if bound["pool_id"] is not None:
            raise Refused("{number} is in a pool and leased to visitors; a static number must not be",
                          number=bound["number"])  # fmt: skip
    return bound


async def end_static(conn: Connection, number: Number, *, at: datetime | None = None) -> asyncpg.Record:
    """End the binding that is in force at `at` (now). What it was bound to until then stays known."""
    async with conn.transaction():
        ended = await conn.fetchrow(
            """UPDATE static_bindings SET valid_to = coalesce($2, now())
               WHERE number = $1 AND tstzrange(valid_from, valid_to) @> coalesce($2, now())
               RETURNING id AS binding, number, channel, valid_from, valid_to""",
            number, at,
        )  # fmt: skip
        if ended is not None:
            return ended
        rows = await conn.fetch(
            "SELECT number FROM static_bindings WHERE coalesce(valid_to, 'infinity') > now() AND number <> $1 "
            "ORDER BY number",
            number,
        )
        known = hint(number, (row["number"] for row in rows))
        raise Refused("{number} is bound to no channel at that time; of static numbers {known}",
                      number=number, known=known)  # fmt: skip
