"""Beside the router: proves by the PBX's own record that no call is missing, after each gap and every night.

A gap is a time that was not watched: AMI was lost, or the router was not running. What was told of calls in it is
compared with CEL and mended by `callrouter reconcile`, run as a process of its own at low priority, for the router has
calls to answer. Knows when, and since when; keeps the time up to which calls are proven in the journal's folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Mapping
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

import msgspec
import structlog
from prometheus_client import Counter, Gauge

from callrouter.clock import Clock
from callrouter.log import OncePerKind

log = structlog.get_logger()

RUNS = Counter(
    "callrouter_reconcile_runs_total",
    "Comparisons of the appeals with the PBX's own record: agrees (perhaps after repair), differs, failed.",
    ["outcome"],
)
MISSING = Counter("callrouter_reconcile_missing_total", "Calls of the PBX's own record that had no appeal.", ["pbx"])
LATEST_MISSING = Gauge(
    "callrouter_reconcile_latest_missing",
    "Calls of the PBX's own record that had no appeal, in the latest comparison and before its repair.",
    ["pbx"],
)
INCOMPLETE = Counter(
    "callrouter_reconcile_incomplete_total", "Appeals of calls seen in part, of which the PBX recorded all.", ["pbx"]
)
REPAIRED = Counter("callrouter_reconcile_repaired_total", "Appeals written anew from the PBX's own record.", ["pbx"])
EXTRA = Gauge(
    "callrouter_reconcile_extra", "Appeals of calls that the PBX's own record lacks, in the latest comparison.", ["pbx"]
)
PROVEN = Gauge("callrouter_reconcile_proven_timestamp_seconds", "Time up to which each call is proven to be known.")

STATE = "proven.json"
SETTLING = timedelta(seconds=5)
"""So long an appeal may take to Postgres; a call that ended later is not judged yet."""
GAP_SECONDS = SETTLING.total_seconds() + 1
"""From the end of a gap to its comparison."""
START_SECONDS = 60.0
"""The same from the router's start, if no PBX is attached by then."""
OVERLAP = timedelta(seconds=60)
NIGHT = time(3, 40)
"""Local time of the comparison of a whole day."""
WHOLE_DAY = timedelta(hours=26)
FIRST_PAUSE, LAST_PAUSE = 10.0, 300.0
SMALL_BACKLOG = 1 << 20
"""Bytes of appeals under way. With more, Postgres is away or behind, and lacks what is to be compared."""
BACKLOG_SECONDS = 5.0
LONGEST_SECONDS = 3600.0
"""A comparison that is not done by then hangs: Postgres may have gone without a word."""
NAMED = 5


class State(msgspec.Struct):
    """`began`: before it this installation knows of no call. `until`: up to then each call is proven."""

    began: datetime
    until: datetime


class Judged(msgspec.Struct):
    """What the command tells of one PBX."""

    pbx: str
    missing: int
    incomplete: int
    extra: int
    repaired: int
    missing_calls: list[str]
    extra_calls: list[str]
    refused_lines: int = 0
    complaint: str = ""


class Answer(msgspec.Struct):
    agree: bool
    pbx: list[Judged]


class ReconcileFailed(Exception):
    """The command gave no answer; the text is its complaint."""


class Prover:
    """`run` it; tell it of gaps (`gap`) and, now and then, that all is watched (`watched`)."""

    def __init__(
        self, folder: Path, config_file: str, clock: Clock, *, backlog: Callable[[], int],
        up_since: Callable[[], Mapping[str, datetime]],
    ) -> None:  # fmt: skip
        self._file = folder / STATE
        self._config_file = config_file
        self._clock = clock
        self._backlog = backlog
        self._up_since = up_since
        self._due = asyncio.Event()
        self._due_at = clock.monotonic() + START_SECONDS
        self._not_before = 0.0
        self._in_gap = True
        self._comparing = False
        """What is compared now counts as proven only when that has succeeded."""
        self._say = OncePerKind(clock.monotonic)
        self._state = self._loaded()
        self._night = self._next_night()
        self._proven(self._state.until)

    def gap(self) -> None:
        """Something went unseen until now."""
        self._in_gap = True
        self._due_at = self._clock.monotonic() + GAP_SECONDS
        self._due.set()

    def watched(self) -> None:
        """Each PBX is attached: what ends from now on is seen. To be told twice a minute or so."""
        self._doubt_times_to_come()
        if not self._in_gap and not self._comparing and self._backlog() <= SMALL_BACKLOG:
            self._proven(max(self._state.until, self._clock.now() - OVERLAP))

    async def run(self) -> None:
        """Compare whenever it is due, until cancelled."""
        pause = FIRST_PAUSE
        while True:
            is_night = await self._wait()
            self._comparing = True
            try:
                await self._compare(whole_day=is_night)
            except (ReconcileFailed, OSError) as error:
                RUNS.labels("failed").inc()
                self._say.warning("RECONCILE-FAILED", reason=str(error))
                self._in_gap = True
                self._not_before = self._clock.monotonic() + pause
                pause = min(pause * 2, LAST_PAUSE)
            else:
                pause = FIRST_PAUSE
                if is_night:
                    self._night = self._next_night()
            finally:
                self._comparing = False

    async def _wait(self) -> bool:
        """Until a comparison is due; True if it is the night's."""
        while (seconds := self._seconds_left()) > 0:
            self._due.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(seconds, LAST_PAUSE)):
                    await self._due.wait()
        return self._night <= self._clock.now()

    def _seconds_left(self) -> float:
        now = self._clock.monotonic()
        night = (self._night - self._clock.now()).total_seconds()
        due = min(night, self._due_at - now) if self._in_gap else night
        away = BACKLOG_SECONDS if self._backlog() > SMALL_BACKLOG else 0.0
        return max(due, self._not_before - now, away)

    def _doubt_times_to_come(self) -> None:
        """A clock that was ahead and has been set right: what it called proven has yet to happen."""
        now = self._clock.now()
        if self._state.until > now:
            self._state.until = max(min(self._state.began, now), now - WHOLE_DAY)
            self.gap()

    async def _compare(self, *, whole_day: bool) -> None:
        self._doubt_times_to_come()
        until = self._clock.now() - SETTLING
        since = self._state.until
        if whole_day:
            since = min(since, max(self._state.began, until - WHOLE_DAY))
        was_in_gap, self._in_gap = self._in_gap, False
        if since < until:
            self._tell(await self._asked(since, until))
            self._proven(until)
        elif was_in_gap:
            self._in_gap = True
            self._due_at = self._clock.monotonic() + GAP_SECONDS

    async def _asked(self, since: datetime, until: datetime) -> Answer:
        """Run the command. Raises ReconcileFailed."""
        command = [sys.executable, "-m", "callrouter", "reconcile", "--calmly"]
        command += [f"--since={since.isoformat()}", f"--until={until.isoformat()}"]
        command += [f"--up-since={name}={at.isoformat()}" for name, at in self._up_since().items()]
        if self._config_file:
            command.append(f"--config={self._config_file}")
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                answer, complaint = await process.communicate()
        except TimeoutError:
            raise ReconcileFailed(f"it was not done after {LONGEST_SECONDS:.0f} seconds") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        try:
            return msgspec.json.decode(answer, type=Answer)
        except msgspec.DecodeError:
            last = complaint.decode(errors="replace").strip().rpartition("\n")[2]
            raise ReconcileFailed(last.removeprefix("Error: ") or f"exit status {process.returncode}") from None

    def _tell(self, answer: Answer) -> None:
        RUNS.labels("agrees" if answer.agree else "differs").inc()
        for each in answer.pbx:
            MISSING.labels(each.pbx).inc(each.missing)
            LATEST_MISSING.labels(each.pbx).set(each.missing)
            INCOMPLETE.labels(each.pbx).inc(each.incomplete)
            REPAIRED.labels(each.pbx).inc(each.repaired)
            EXTRA.labels(each.pbx).set(each.extra)
            told: dict[str, Any] = {"pbx": each.pbx, "repaired": each.repaired}
            if each.missing:
                log.warning("RECONCILE-MISSING", calls=each.missing, such_as=each.missing_calls[:NAMED], **told)
            elif each.incomplete:
                log.info("calls seen in part were completed from CEL", calls=each.incomplete, **told)
            if each.extra:
                log.warning("RECONCILE-EXTRA", appeals=each.extra, such_as=each.extra_calls[:NAMED], pbx=each.pbx)
            if each.refused_lines:
                log.warning("RECONCILE-LINES", lines=each.refused_lines, reason=each.complaint, pbx=each.pbx)

    def _next_night(self) -> datetime:
        now = self._clock.now().astimezone()
        night = now.replace(hour=NIGHT.hour, minute=NIGHT.minute, second=0, microsecond=0)
        return night if night > now else night + timedelta(days=1)

    def _loaded(self) -> State:
        now = self._clock.now()
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=State)
        except (OSError, msgspec.MsgspecError):  # the first start: what was before is for an operator to ask about
            return State(now, now)

    def _proven(self, until: datetime) -> None:
        """Durable, or a router that is killed would not know since when it was not there."""
        self._state.until = until
        PROVEN.set(until.timestamp())
        draft = self._file.with_name(self._file.name + ".draft")
        with contextlib.suppress(OSError):  # a disk that is full is the journal's to tell
            draft.write_bytes(msgspec.json.encode(self._state))
            draft.replace(self._file)
