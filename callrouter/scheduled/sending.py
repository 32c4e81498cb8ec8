"""The worker's part: each due time once for each recipient, however many workers there are, and after a crash.

One worker sends, the one that holds an advisory lock on a connection of its own; the others stand by. What is to be
sent stands in `report_sendings` before anything is sent. A mail is marked `sending` after the mail server said that it
would take it, before it is given: a worker that dies in between leaves it doubtful, and it is not sent again. People
would rather ask for a report than get it twice.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.errors import MessageError
from zoneinfo import ZoneInfo

import msgspec
import structlog

from callrouter.db.connect import TROUBLE, Connection, Pool, connect, scoped
from callrouter.reports import uploads
from callrouter.scheduled import store
from callrouter.scheduled.due import latest_due
from callrouter.scheduled.folder import put
from callrouter.scheduled.letter import letter
from callrouter.scheduled.metrics import SENDINGS, WRITE_SECONDS
from callrouter.scheduled.model import FOLDER, MailSettings, Outlet, Schedule, Sending, State, Written
from callrouter.scheduled.post import NotSent, Posting

log = structlog.get_logger()

TICK_SECONDS = 10.0
STAND_BY_SECONDS = 15.0
AGAIN_AFTER = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 180, 360, 720))
"""Pauses between tries: in all a day."""
AT_ONCE = 50
HOURLY = timedelta(hours=1)
MOST_AN_HOUR = 500
"""Mails of an account: whoever adds users chooses whom the server writes to."""

LOCK = "SELECT pg_try_advisory_lock(hashtextextended('callrouter.scheduled_reports', 0))"
BROKEN_OFF = """
UPDATE report_sendings SET state = 'doubtful', ended_at = now(), note = 'the worker ended while it was sent'
WHERE state = 'sending' RETURNING account_id, report_id"""
ENABLED = f"""
SELECT {", ".join(f"s.{name}" for name in ("id", "done_until", "version", *store.SET) if name != "site_id")},
    s.account_id AS account, s.site_id AS site, a.time_zone
FROM scheduled_reports s JOIN accounts a ON a.id = s.account_id WHERE s.enabled"""  # noqa: S608 - names of columns
DONE_UNTIL = """
UPDATE scheduled_reports SET done_until = $3 WHERE account_id = $1 AND id = $2 AND version = $4 AND done_until < $3
RETURNING 1"""
WAITING = """
SELECT account_id AS account, report_id AS report, due_at, recipient, state, attempts, next_at, ended_at, note
FROM report_sendings WHERE state = 'waiting' AND next_at <= now()
ORDER BY next_at, account_id, report_id, due_at LIMIT $1"""
KEY = "account_id = $1 AND report_id = $2 AND due_at = $3 AND recipient = $4"
GIVEN = f"""
UPDATE report_sendings SET state = 'sending', attempts = attempts + 1 WHERE {KEY} AND state = 'waiting'
RETURNING 1"""  # noqa: S608 - a key
ENDED = f"""
UPDATE report_sendings SET state = $5, note = $6, ended_at = now()
WHERE {KEY} AND state <> 'sent'"""  # noqa: S608 - a key
LATER = f"""
UPDATE report_sendings SET state = 'waiting', note = $5, attempts = $7, next_at = now() + $6::interval
WHERE {KEY} AND state IN ('waiting', 'sending')"""  # noqa: S608 - a key
FORGET = f"DELETE FROM report_sendings WHERE due_at < now() - interval '{store.KEPT_DAYS} days'"  # noqa: S608 - a number

Writer = Callable[[Connection, Schedule, datetime], Awaitable[Written]]
"""Writes a report as of its due time, on a connection that sees its account alone and one snapshot."""


class Sender:
    """One per worker. `run` it for ever."""

    def __init__(
        self, url: str, postgres: Pool, writer: Writer, outlet: Outlet, *, tick_seconds: float = TICK_SECONDS
    ) -> None:
        self._url = url
        self._postgres = postgres
        self._write = writer
        self._outlet = outlet
        self._tick = tick_seconds
        self._tidied = datetime.min.replace(tzinfo=UTC)
        self._mailed: dict[int, deque[float]] = defaultdict(deque)
        """When each account's mails went, within the hour."""

    async def run(self) -> None:
        while True:
            try:
                async with self._alone() as conn:
                    while True:
                        await self._pass(conn)
                        await asyncio.sleep(self._tick)
            except TROUBLE as error:
                log.warning("REPORTS-NOT-SENT", reason=str(error) or type(error).__name__)
            await asyncio.sleep(self._tick)

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[Connection]:
        """The connection whose end gives the lock back, whatever happens to this process."""
        conn = await connect(self._url, command_seconds=30.0)
        try:
            # A host that is gone says no goodbye: else its lock would outlive it by hours.
            await conn.execute(
                "SET tcp_keepalives_idle = 20; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 4"
            )
            await self._stand_by(conn)
            for row in await conn.fetch(BROKEN_OFF):
                SENDINGS.labels("doubtful").inc()
                log.warning("REPORT-DOUBTFUL", account=row["account_id"], report=row["report_id"])
            yield conn
        finally:
            conn.terminate()

    async def _stand_by(self, conn: Connection) -> None:
        while True:
            if await conn.fetchval(LOCK):
                return
            await asyncio.sleep(min(STAND_BY_SECONDS, self._tick))

    async def _pass(self, conn: Connection) -> None:
        now = await conn.fetchval("SELECT now()")
        for row in await conn.fetch(ENABLED):
            told = dict(row)
            zone = ZoneInfo(told.pop("time_zone"))
            schedule = msgspec.convert({**told, "recipients": tuple(told["recipients"])}, Schedule)
            await self._queue_due(conn, schedule, zone, now)
        waiting = [Sending(**dict(row)) for row in await conn.fetch(WAITING, AT_ONCE)]
        for key in dict.fromkeys((each.account, each.report, each.due_at) for each in waiting):
            of_key = [each for each in waiting if (each.account, each.report, each.due_at) == key]
            await self._send_all(conn, of_key)
        if now - self._tidied > HOURLY:
            self._tidied = now
            await conn.execute(FORGET)
            await uploads.forget_old(conn)

    async def _queue_due(self, conn: Connection, schedule: Schedule, zone: ZoneInfo, now: datetime) -> None:
        due = latest_due(schedule, zone, schedule.done_until, now)
        if due is None:
            return
        async with conn.transaction():  # a schedule that was changed meanwhile is looked at again
            if await conn.fetchval(DONE_UNTIL, schedule.account, schedule.id, due, schedule.version):
                await store.queue(conn, schedule, due)

    async def _send_all(self, conn: Connection, sendings: Sequence[Sending]) -> None:
        """Of one report and due time: written once, sent to each."""
        first = sendings[0]
        try:
            schedule = await store.schedule_numbered(conn, first.account, first.report)
            with WRITE_SECONDS.time():
                async with scoped(self._postgres, first.account, snapshot=True) as walled:
                    written = await self._write(walled, schedule, first.due_at)
        except Exception as error:  # noqa: BLE001 - a report that cannot be written holds up no other
            log.warning("REPORT-NOT-WRITTEN", account=first.account, report=first.report, reason=str(error))
            for each in sendings:
                await self._failed(conn, each, NotSent(f"it could not be written: {type(error).__name__}"))
            return
        people = await store.people_of(conn, first.account)
        for each in sendings:
            try:
                await self._send(conn, schedule, each, written, people)
            except NotSent as error:
                await self._failed(conn, each, error)

    async def _send(
        self, conn: Connection, schedule: Schedule, sending: Sending, written: Written, people: Collection[str]
    ) -> None:
        """Raises NotSent."""
        if sending.recipient == FOLDER:
            if self._outlet.folder is None:
                raise NotSent("no folder is configured: [reports] folder")
            try:
                await asyncio.to_thread(put, self._outlet.folder, schedule, sending.due_at, written.file)
            except OSError as error:
                raise NotSent(f"the folder does not take it: {error.strerror or type(error).__name__}") from error
            await self._ended(conn, sending, "sent")
        elif not store.may_get(sending.recipient, people, self._outlet.allowed):
            raise NotSent("the address belongs to nobody who may sign in to the account any more", lasting=True)
        elif self._outlet.mail is None:
            raise NotSent("no mail server is configured: [mail] host")
        else:
            await self._mail(conn, schedule, sending, written, self._outlet.mail)

    async def _mail(
        self, conn: Connection, schedule: Schedule, sending: Sending, written: Written, mail: MailSettings
    ) -> None:
        key = f"{schedule.account} {schedule.id} {sending.due_at.isoformat()}"
        try:
            message = letter(written, sender=mail.sender, recipient=sending.recipient, key=key, at=datetime.now(UTC))
        except (MessageError, ValueError) as error:
            raise NotSent("mail servers take no such address", lasting=True) from error
        self._require_few(schedule.account)
        posting = Posting(mail)
        try:
            await asyncio.to_thread(posting.begin, message)
            if not await conn.fetchval(GIVEN, *_key(sending)):
                return  # another worker has it: this one's connection was taken for dead
            try:
                await asyncio.to_thread(posting.give, message)
            except NotSent as error:
                if error.doubtful or error.lasting:
                    await self._ended(conn, sending, "doubtful" if error.doubtful else "failed", str(error))
                    log.warning("REPORT-NOT-SENT", **_who(sending), reason=str(error), again=False)
                    return
                raise
            await self._ended(conn, sending, "sent")
        finally:
            with suppress(OSError):
                await asyncio.to_thread(posting.close)

    def _require_few(self, account: int) -> None:
        """Raises NotSent, and it is tried again later."""
        now, mailed = time.monotonic(), self._mailed[account]
        while mailed and mailed[0] < now - HOURLY.total_seconds():
            mailed.popleft()
        if len(mailed) >= MOST_AN_HOUR:
            raise NotSent("the account has sent as many mails within an hour as it may")
        mailed.append(now)

    async def _failed(self, conn: Connection, sending: Sending, error: NotSent) -> None:
        again = not error.lasting and sending.attempts < len(AGAIN_AFTER)
        log.warning("REPORT-NOT-SENT", **_who(sending), reason=str(error), again=again)
        if again:
            SENDINGS.labels("delayed").inc()
            await conn.execute(LATER, *_key(sending), str(error), AGAIN_AFTER[sending.attempts], sending.attempts + 1)
        else:
            await self._ended(conn, sending, "failed", str(error))

    async def _ended(self, conn: Connection, sending: Sending, state: State, note: str = "") -> None:
        SENDINGS.labels(state).inc()
        await conn.execute(ENDED, *_key(sending), state, note)


def _key(sending: Sending) -> tuple[int, int, datetime, str]:
    return sending.account, sending.report, sending.due_at, sending.recipient


def _who(sending: Sending) -> dict[str, object]:
    return {"account": sending.account, "report": sending.report, "due_at": sending.due_at.isoformat()}
