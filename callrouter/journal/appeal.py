"""One appeal in full: its row, who it may have been besides, and why it was credited as it was."""

from __future__ import annotations

from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from callrouter.db.connect import Connection
from callrouter.journal.conditions import Values, appeal_conditions
from callrouter.journal.filters import Filters
from callrouter.journal.notes import Note, note_of
from callrouter.journal.row import FIELDS, AppealTold, joined, selected, told


class AppealInFull(msgspec.Struct, frozen=True, kw_only=True):
    """`why`: what decided whose call it was. `previous` and `next`: of the same client."""

    appeal: AppealTold
    why: str
    note: Note
    previous: UUID | None
    next: UUID | None


async def read_appeal(conn: Connection, account: int, appeal: UUID) -> AppealInFull | None:
    """None: the account has none of this id."""
    row = await conn.fetchrow(ONE, account, appeal)
    if row is None:
        return None
    in_full = told(row, account)
    beside = await conn.fetchrow(BESIDE, account, row["client"], row["started_at"], appeal)
    return AppealInFull(
        appeal=in_full, why=why(in_full), note=await note_of(conn, account, appeal),
        previous=beside["previous"] if beside else None, next=beside["next"] if beside else None,
    )  # fmt: skip


async def read_passing(
    conn: Connection, account: int, filters: Filters, appeals: list[UUID], *, zone: ZoneInfo, fields: tuple[str, ...]
) -> list[AppealTold]:
    """Those of the appeals that pass the filters, the latest first."""
    values = Values()
    where = appeal_conditions(filters, account, zone, values)
    sql = f"""
        SELECT {selected(fields)} FROM appeals a{joined(fields)}
        WHERE {where} AND a.id = ANY ({values.add(appeals, "uuid[]")})
        ORDER BY a.started_at DESC, a.id DESC"""  # noqa: S608 - made of constants; values are parameters
    return [told(row, account) for row in await conn.fetch(sql, *values.all)]


def why(appeal: AppealTold) -> str:
    """One sentence; the figures stand in the appeal."""
    reasons = {
        "static": "The number dialled is bound to this channel.",
        "holder": "The visitor's page showed the number dialled when the call came.",
        "caller_memory": "The caller called before; he is credited to a visit of his own.",
        "last_holder": "Nobody's page showed the number dialled; the visitor who had it last is the likeliest caller.",
        "page": "The visitor's own page sent it.",
        "unattributed": "Nothing known of any visit fits.",
    }
    said = [reasons.get(str(appeal.method), "")]
    if isinstance(appeal.confidence, float) and appeal.method not in {"page", "unattributed", "static"}:
        said.append(f"That is right in {appeal.confidence:.0%} of such cases.")
    others = appeal.candidates if isinstance(appeal.candidates, list) else []
    if len(others) > 1:
        said.append(f"{len(others) - 1} other visits may have called.")
    if appeal.pending is True:
        said.append("The history of leases does not reach this call yet: this may change within minutes.")
    elif appeal.late is True:
        said.append("It was found out after the dialplan had gone on.")
    if appeal.overflow is True:
        said.append("The pool was empty then, so the visit had no number of its own.")
    return " ".join(filter(None, said))


ONE = f"""
SELECT {selected(FIELDS)} FROM appeals a{joined(FIELDS)} WHERE a.account_id = $1 AND a.id = $2
ORDER BY a.started_at LIMIT 1"""  # noqa: S608 - made of constants; values are parameters
BESIDE = """
SELECT (SELECT id FROM appeals WHERE account_id = $1 AND client_id = $2 AND started_at <= $3
            AND (started_at, id) < ($3, $4) ORDER BY started_at DESC, id DESC LIMIT 1) AS previous,
       (SELECT id FROM appeals WHERE account_id = $1 AND client_id = $2 AND started_at >= $3
            AND (started_at, id) > ($3, $4) ORDER BY started_at, id LIMIT 1) AS next"""
