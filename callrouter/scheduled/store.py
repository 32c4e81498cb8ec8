"""Schedules in Postgres: added, changed, removed; to whom they may be sent, and what became of it.

Reports are sent to people who may sign in to the account, and to whom the operator allowed besides: else anybody who
may make schedules could have the server write to strangers.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from callrouter.appeals.credit import MODELS
from callrouter.db.connect import Connection
from callrouter.people import audit
from callrouter.people.model import Caller
from callrouter.people.users import email_of
from callrouter.pool.inventory import Refused, Unknown
from callrouter.scheduled.model import (
    EVERY,
    FOLDER,
    FORMATS,
    LAST_DAY,
    MINUTES_OF_DAY,
    MOST_RECIPIENTS,
    PERIODS,
    REPORTS,
    Plan,
    Schedule,
    Sending,
)

MOST_SCHEDULES = 100
LONGEST_NAME = 120
KEPT_DAYS = 100
SET = (
    "name", "report", "site_id", "model", "period", "format", "every", "day", "minute", "locale", "recipients",
    "to_folder", "enabled",
)  # fmt: skip
COLUMNS = f"account_id AS account, id, {', '.join(SET)}, done_until, version".replace("site_id", "site_id AS site")
LIST = f"SELECT {COLUMNS} FROM scheduled_reports WHERE account_id = $1 ORDER BY name"  # noqa: S608 - names of columns
FIND = f"SELECT {COLUMNS} FROM scheduled_reports WHERE ($1::bigint IS NULL OR account_id = $1) AND id = $2"  # noqa: S608
NAMED = f"SELECT {COLUMNS} FROM scheduled_reports WHERE account_id = $1 AND name = $2"  # noqa: S608 - names of columns
ADD = f"""
INSERT INTO scheduled_reports (account_id, user_id, {", ".join(SET)})
VALUES ($1, $2, {", ".join(f"${n + 3}" for n in range(len(SET)))}) RETURNING id"""  # noqa: S608 - names of columns
CHANGE = f"""
UPDATE scheduled_reports SET {", ".join(f"{name} = ${n + 3}" for n, name in enumerate(SET))}, version = version + 1,
    done_until = CASE WHEN enabled AND every = ${SET.index("every") + 3} AND day = ${SET.index("day") + 3}
        AND minute = ${SET.index("minute") + 3} THEN done_until ELSE greatest(done_until, now()) END
WHERE account_id = $1 AND id = $2"""  # noqa: S608 - names of columns
REMOVE = "DELETE FROM scheduled_reports WHERE account_id = $1 AND id = $2"
PEOPLE = "SELECT lower(email) AS email FROM users WHERE account_id = $1 AND disabled_at IS NULL ORDER BY email"
SENDINGS = """
SELECT account_id AS account, report_id AS report, due_at, recipient, state, attempts, next_at, ended_at, note
FROM report_sendings WHERE account_id = $1 AND report_id = $2 ORDER BY due_at DESC, recipient LIMIT $3"""
LATEST = """
SELECT DISTINCT ON (report_id) account_id AS account, report_id AS report, due_at, recipient, state, attempts, next_at,
    ended_at, note
FROM report_sendings WHERE account_id = $1
ORDER BY report_id, due_at DESC, array_position(ARRAY['failed', 'doubtful', 'sending', 'waiting', 'sent'], state)"""


async def list_schedules(conn: Connection, account: int) -> list[Schedule]:
    return [schedule_of(row) for row in await conn.fetch(LIST, account)]


async def schedule_numbered(conn: Connection, account: int | None, number: int, *, lock: bool = False) -> Schedule:
    """Raises Unknown."""
    row = await conn.fetchrow(FIND + (" FOR UPDATE" if lock else ""), account, number)
    if row is None:
        raise Unknown(number)
    return schedule_of(row)


async def schedule_named(conn: Connection, account: int, name: str) -> Schedule:
    """Raises Refused."""
    row = await conn.fetchrow(NAMED, account, name)
    if row is None:
        raise Refused("there is no scheduled report {name!r}", name=name)
    return schedule_of(row)


async def add_schedule(
    conn: Connection, account: int, plan: Plan, *, by: Caller | None, allowed: Collection[str], folder: bool
) -> int:
    """Its id. Due from now on. Raises Refused."""
    plan = await _sound(conn, account, plan, allowed, folder=folder)
    await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('callrouter.schedules', $1))", account)
    if await conn.fetchval("SELECT count(*) FROM scheduled_reports WHERE account_id = $1", account) >= MOST_SCHEDULES:
        raise Refused("an account has {most} scheduled reports at most", most=MOST_SCHEDULES)
    user = by.user if by else None
    number = int(await _written(conn.fetchval(ADD, account, user, *_values(plan)), plan.name))
    await audit.record(conn, account, by, "report.change", plan.name, recipients=list(plan.recipients))
    return number


async def change_schedule(
    conn: Connection, schedule: Schedule, plan: Plan, *, by: Caller | None, allowed: Collection[str], folder: bool
) -> None:
    """What was due before stays as it was. Raises Refused."""
    plan = await _sound(conn, schedule.account, plan, allowed, folder=folder)
    await _written(conn.execute(CHANGE, schedule.account, schedule.id, *_values(plan)), plan.name)
    await audit.record(conn, schedule.account, by, "report.change", plan.name, recipients=list(plan.recipients))


async def remove_schedule(conn: Connection, schedule: Schedule, *, by: Caller | None) -> None:
    """And what became of it."""
    await conn.execute(REMOVE, schedule.account, schedule.id)
    await audit.record(conn, schedule.account, by, "report.change", schedule.name, removed=True)


async def sendings_of(conn: Connection, schedule: Schedule, limit: int = 50) -> list[Sending]:
    """The latest due time first."""
    rows = await conn.fetch(SENDINGS, schedule.account, schedule.id, limit)
    return [Sending(**dict(row)) for row in rows]


async def latest_sendings(conn: Connection, account: int) -> dict[int, Sending]:
    """By schedule, of its last due time the one that went worst."""
    return {row["report"]: Sending(**dict(row)) for row in await conn.fetch(LATEST, account)}


async def people_of(conn: Connection, account: int) -> list[str]:
    """E-mails of those who may sign in to the account."""
    return [row["email"] for row in await conn.fetch(PEOPLE, account)]


def may_get(email: str, people: Collection[str], allowed: Collection[str]) -> bool:
    """`allowed`: addresses, domains, or `*`, as the operator configured them."""
    return email in people or not {"*", email, email.rpartition("@")[2]}.isdisjoint(allowed)


def schedule_of(row: asyncpg.Record) -> Schedule:
    return msgspec.convert({**dict(row), "recipients": tuple(row["recipients"])}, Schedule)


async def _sound(conn: Connection, account: int, plan: Plan, allowed: Collection[str], *, folder: bool) -> Plan:
    """As it is kept. Raises Refused."""
    name = " ".join(plan.name.split())
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise Refused("a report has a name of {most} characters at most, on one line", most=LONGEST_NAME)
    if plan.report not in REPORTS or plan.period not in PERIODS or plan.model not in MODELS:
        raise Refused("choose a report, its period and its model")
    if plan.format not in FORMATS or plan.every not in EVERY or not 0 <= plan.minute < MINUTES_OF_DAY:
        raise Refused("choose a format and a time")
    if not 1 <= plan.day <= (7 if plan.every == "week" else LAST_DAY):
        raise Refused("choose a day")
    if plan.site is not None and plan.report == "pools":
        raise Refused("sites share pools: choose all sites")
    if plan.site is not None and not await conn.fetchval(
        "SELECT 1 FROM sites WHERE account_id = $1 AND id = $2", account, plan.site
    ):
        raise Refused("there is no site {site}", site=plan.site)
    recipients = await _recipients(conn, account, plan.recipients, allowed)
    if plan.to_folder and not folder:
        raise Refused("this server has no folder for reports; the operator sets one: [reports] folder")
    if not recipients and not plan.to_folder:
        raise Refused("say to whom the report goes")
    return msgspec.structs.replace(plan, name=name, recipients=recipients, day=1 if plan.every == "day" else plan.day)


async def _recipients(
    conn: Connection, account: int, given: Sequence[str], allowed: Collection[str]
) -> tuple[str, ...]:
    emails = tuple(dict.fromkeys(email_of(text) for text in given))
    if len(emails) > MOST_RECIPIENTS:
        raise Refused("a report goes to {most} addresses at most", most=MOST_RECIPIENTS)
    people = await people_of(conn, account)
    for email in emails:
        if not email.isascii():
            raise Refused("{email}: mail servers want addresses in Latin letters", email=email)
        if not may_get(email, people, allowed):
            raise Refused(
                "{email} may not sign in to this account: add a user, or ask the operator to allow the address",
                email=email,
            )
    return emails


async def _written(work: Any, name: str) -> Any:
    try:
        return await work
    except asyncpg.UniqueViolationError:
        raise Refused("there is a scheduled report named {name!r} already", name=name) from None


def _values(plan: Plan) -> list[object]:
    return [getattr(plan, "site" if name == "site_id" else name) for name in SET]


QUEUE = """
INSERT INTO report_sendings (account_id, report_id, due_at, recipient)
SELECT $1, $2, $3, unnest($4::text[]) ON CONFLICT DO NOTHING"""


async def ask_for(conn: Connection, schedule: Schedule) -> datetime:
    """Now, besides its time. Twice within a minute is once. Returns the due time."""
    at: datetime = await conn.fetchval("SELECT date_trunc('minute', now())")
    await queue(conn, schedule, at)
    return at


async def queue(conn: Connection, schedule: Schedule, due_at: datetime) -> None:
    """One sending for each recipient; told twice, it is once."""
    recipients = [*schedule.recipients, *([FOLDER] if schedule.to_folder else [])]
    await conn.execute(QUEUE, schedule.account, schedule.id, due_at, recipients)
