"""/api/v1/schedules: reports that are sent at their time."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody

from callrouter.appeals.credit import Model
from callrouter.db.connect import Connection
from callrouter.people import audit
from callrouter.people.model import Locale
from callrouter.pool.inventory import Refused
from callrouter.scheduled import store
from callrouter.scheduled.due import next_due
from callrouter.scheduled.model import MOST_RECIPIENTS, Every, Format, Outlet, Period, Plan, Schedule, Sending
from callrouter.web.api import examples, report_examples
from callrouter.web.api.access import Access, ApiRequest
from callrouter.web.api.changes import (
    HIGHEST_ID,
    AccountAsked,
    Id,
    IfMatch,
    Key,
    asked_account,
    meant_account,
    require_account,
    require_unchanged,
    tagged,
    told_once,
)
from callrouter.web.api.reading import Reading

CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])", re.ASCII)
Text = Annotated[str, msgspec.Meta(max_length=store.LONGEST_NAME)]
Email = Annotated[str, msgspec.Meta(max_length=254)]
Recipients = Annotated[tuple[Email, ...], msgspec.Meta(max_length=MOST_RECIPIENTS)]
Day = Annotated[int, msgspec.Meta(ge=1, le=31)]
AtTime = Annotated[str, msgspec.Meta(max_length=5)]
Number = Annotated[int, msgspec.Meta(ge=1, le=HIGHEST_ID)]


class ScheduleTold(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new one wants `name`, `report`, `period`, `format`, `every` and `at`; of a change, what is left out stays."""

    name: Text | None = None
    report: Text | None = None
    """As in `/reports/{name}`."""
    period: Period | None = None
    """Seen from the day on which it is sent."""
    format: Format | None = None
    """`html`: in the mail itself; else as an attached file."""
    every: Every | None = None
    day: Day | None = None
    """Of a week (1: Monday) or month (beyond its end: its last)."""
    at: AtTime | None = None
    """As 09:00, on the account's clock."""
    site: Number | msgspec.UnsetType | None = msgspec.UNSET
    """Null: all sites."""
    model: Model | None = None
    locale: Locale | None = None
    recipients: Recipients | None = None
    """E-mails of people who may sign in to the account, and whom the operator allowed besides."""
    to_folder: bool | None = None
    """Into the operator's folder for reports."""
    enabled: bool | None = None


class ScheduleShown(msgspec.Struct, frozen=True, kw_only=True):
    account: int
    id: int
    name: str
    report: str
    period: Period
    format: Format
    every: Every
    day: int
    at: str
    site: int | None
    model: Model
    locale: Locale
    recipients: tuple[str, ...]
    to_folder: bool
    enabled: bool
    next_due_at: datetime | None
    """Null: it rests."""
    sendings: list[Sending]
    """The latest due times first; `recipient` is empty for the folder."""


class Schedules(msgspec.Struct, frozen=True, kw_only=True):
    items: list[ScheduleShown]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    due_at: datetime


def schedule_handlers(access: Access, reading: Reading, outlet: Outlet) -> list[HTTPRouteHandler]:
    @get("/schedules", responses=examples.of(Schedules, report_examples.SCHEDULES), summary="Scheduled reports")
    async def listed(request: ApiRequest, account: AccountAsked = None) -> Schedules:
        caller = await access.caller(request, "reports:read")
        whose = meant_account(caller, account)
        async with reading.as_account(whose, snapshot=True) as conn:
            found = await store.list_schedules(conn, whose)
            return Schedules(items=[await _shown(conn, each, sendings=1) for each in found])

    @post("/schedules", responses=examples.of(ScheduleShown, report_examples.SCHEDULE, status=201), summary="Add one")
    async def add(
        request: ApiRequest, data: JSONBody[ScheduleTold], key: Key = None, account: AccountAsked = None
    ) -> ScheduleShown:
        """Due from now on."""
        caller = await access.caller(request, "reports:write")
        whose = meant_account(caller, account)

        async def work(conn: Connection) -> ScheduleShown:
            await require_account(conn, whose)
            plan = _plan(data, None)
            number = await store.add_schedule(
                conn, whose, plan, by=caller, allowed=outlet.allowed, folder=outlet.folder is not None
            )
            return await _shown(conn, await store.schedule_numbered(conn, whose, number))

        answer: ScheduleShown = await told_once(reading, caller, key, ["schedule", whose, data], work=work)
        return answer

    return [listed, add, *_one(access, reading, outlet)]


def _one(access: Access, reading: Reading, outlet: Outlet) -> list[HTTPRouteHandler]:
    shown = examples.of(ScheduleShown, report_examples.SCHEDULE)

    @get("/schedules/{schedule:int}", responses=shown, summary="A scheduled report")
    async def one(request: ApiRequest, schedule: Id) -> Response[ScheduleShown]:
        """With what became of it lately."""
        caller = await access.caller(request, "reports:read")
        async with reading.as_account(caller.account, snapshot=True) as conn:
            found = await store.schedule_numbered(conn, asked_account(caller, None), schedule)
            return tagged(await _shown(conn, found), found.version)

    @patch("/schedules/{schedule:int}", responses=shown, summary="Change a scheduled report")
    async def change(
        request: ApiRequest, schedule: Id, data: JSONBody[ScheduleTold], if_match: IfMatch = None
    ) -> Response[ScheduleShown]:
        """What was due before stays as it was."""
        caller = await access.caller(request, "reports:write")
        async with reading.changing(caller.account) as conn:
            found = await store.schedule_numbered(conn, asked_account(caller, None), schedule, lock=True)
            require_unchanged(if_match, found.version)
            await store.change_schedule(
                conn, found, _plan(data, found), by=caller, allowed=outlet.allowed, folder=outlet.folder is not None
            )
            now = await store.schedule_numbered(conn, found.account, schedule)
            return tagged(await _shown(conn, now), now.version)

    @delete("/schedules/{schedule:int}", responses=examples.refusals(), summary="Remove a scheduled report")
    async def remove(request: ApiRequest, schedule: Id) -> None:
        caller = await access.caller(request, "reports:write")
        async with reading.changing(caller.account) as conn:
            found = await store.schedule_numbered(conn, asked_account(caller, None), schedule, lock=True)
            await store.remove_schedule(conn, found, by=caller)

    @post(
        "/schedules/{schedule:int}/send", status_code=202, summary="Send it now",
        responses=examples.of(Asked, report_examples.ASKED, status=202),
    )  # fmt: skip
    async def send(request: ApiRequest, schedule: Id) -> Asked:
        """Besides its time; asked twice within a minute it is sent once."""
        caller = await access.caller(request, "reports:write")
        async with reading.changing(caller.account) as conn:
            found = await store.schedule_numbered(conn, asked_account(caller, None), schedule, lock=True)
            at = await store.ask_for(conn, found)
            await audit.record(conn, found.account, caller, "report.change", found.name, sent=True)
            return Asked(due_at=at)

    return [one, change, remove, send]


def _plan(told: ScheduleTold, before: Schedule | None) -> Plan:
    """Raises Refused."""
    given = {
        name: value
        for name in ScheduleTold.__struct_fields__
        if name != "at"
        and (value := getattr(told, name)) is not msgspec.UNSET
        and (value is not None or name == "site")
    }
    if told.at is not None:
        clock = CLOCK.fullmatch(told.at)
        if clock is None:
            raise Refused("{text!r} is no time of the day: write 09:00", text=told.at)
        given["minute"] = int(clock[1]) * 60 + int(clock[2])
    if before is not None:
        kept = {name: getattr(before, name) for name in Plan.__struct_fields__}
        return Plan(**{**kept, **given})
    missing = [name for name in ("name", "report", "period", "format", "every") if name not in given]
    if missing or told.at is None:
        raise Refused("a scheduled report wants {missing}", missing=", ".join([*missing, *([] if told.at else ["at"])]))
    return Plan(**given)


async def _shown(conn: Connection, schedule: Schedule, *, sendings: int = 50) -> ScheduleShown:
    zone = ZoneInfo(await conn.fetchval("SELECT time_zone FROM accounts WHERE id = $1", schedule.account))
    due = next_due(schedule, zone, max(datetime.now(UTC), schedule.done_until)) if schedule.enabled else None
    told = {name: getattr(schedule, name) for name in Plan.__struct_fields__ if name != "minute"}
    return ScheduleShown(
        **told, account=schedule.account, id=schedule.id, at=f"{schedule.minute // 60:02}:{schedule.minute % 60:02}",
        next_due_at=due, sendings=await store.sendings_of(conn, schedule, sendings),
    )  # fmt: skip
