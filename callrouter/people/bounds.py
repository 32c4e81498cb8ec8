"""How much an account adds by itself before it has to ask its operator. Knows SQL.

Whatever else its people may add without end is bounded where it is added (saved views, scheduled reports, files to
import) or is data, which has no bound (appeals, deals, costs).
"""

from __future__ import annotations

from typing import Literal

from callrouter.db.connect import Connection
from callrouter.people.model import Caller
from callrouter.pool.inventory import OPERATOR, Refused
from callrouter.wording import N_

Bounded = Literal["sites", "users", "tokens"]
MOST: dict[Bounded, int] = {"sites": 500, "users": 500, "tokens": 100}
COUNT: dict[Bounded, str] = {
    "sites": "SELECT count(*) FROM sites WHERE account_id = $1",
    "users": "SELECT count(*) FROM users WHERE account_id = $1",
    "tokens": """
SELECT count(*) FROM tokens
WHERE account_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())""",
}
TOO_MANY: dict[Bounded, str] = {
    "sites": N_("the account has {most} sites; more of them are added by your operator"),
    "users": N_("the account has {most} users, disabled ones among them; more are added by your operator"),
    "tokens": N_("the account has {most} tokens in force; revoke some, or ask your operator"),
}


async def require_room(conn: Connection, account: int, what: Bounded, by: Caller | None) -> None:
    """For one more, within a transaction. Raises Refused. The operator's people and the command line have no bound."""
    if by is None or by.account == OPERATOR:
        return
    await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('callrouter.bounds.' || $1, $2))", what, account)
    if await conn.fetchval(COUNT[what], account) >= MOST[what]:
        raise Refused(TOO_MANY[what], most=MOST[what])
