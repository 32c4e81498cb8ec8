"""Which values a field has in an account's appeals, those seen most first: for lists to choose from.

Bounded: of the latest appeals that pass the filters, so that a list is as quick in a journal of millions.
"""

from __future__ import annotations

from zoneinfo import ZoneInfo

import msgspec

from callrouter.db.connect import Connection
from callrouter.journal.conditions import APPEAL_COLUMNS, Values, appeal_conditions, within
from callrouter.journal.filters import Filters, Ids, Match, Phones
from callrouter.journal.query import KINDS

LISTABLE = tuple(
    name for name, kind in KINDS.items() if name in APPEAL_COLUMNS and kind in {Match, Ids, Phones}
)  # fmt: skip
"""Fields whose values can be listed: texts, ids and numbers."""
LOOKED_THROUGH = 20_000
MOST_VALUES = 200


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """`appeals`: how many of those looked through have it."""

    value: str
    appeals: int


async def values_of(
    conn: Connection, account: int, zone: ZoneInfo, filters: Filters, field: str, *, has: str = "",
    limit: int = MOST_VALUES,
) -> list[Value]:  # fmt: skip
    """Of the latest appeals that pass; `has`: those with this in them, in whatever case. Empty values are left out."""
    values = Values()
    where = appeal_conditions(filters, account, zone, values)
    like = f" AND value ILIKE {values.add(within(has), 'text')}" if has else ""
    sql = f"""
        SELECT value, count(*) AS appeals FROM (
            SELECT {APPEAL_COLUMNS[field]}::text AS value FROM appeals a WHERE {where}
            ORDER BY a.started_at DESC LIMIT {values.add(LOOKED_THROUGH, "int")}) latest
        WHERE value <> ''{like} GROUP BY value ORDER BY count(*) DESC, value LIMIT {values.add(limit, "int")}"""  # noqa: S608 - made of constants; values are parameters
    return [Value(**dict(row)) for row in await conn.fetch(sql, *values.all)]
