"""The PBX's own record against the appeals: each call once, and none that the PBX does not know (rules §1).

Knows CEL's calls and the table of appeals. What is missing, or was seen in part only, is written anew from CEL,
without a visit: a router that runs attributes it from the lease history, as it does all late calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from callrouter.appeals.directory import load_settings
from callrouter.appeals.enrich import enrich
from callrouter.appeals.model import CallAppeal
from callrouter.appeals.orders import CALLED
from callrouter.appeals.row import appeal_id
from callrouter.appeals.settings import Settings
from callrouter.appeals.store import write
from callrouter.callbacks.line import attempt_of
from callrouter.calls.profile import PbxProfile
from callrouter.calls.record import CallRecord, Step
from callrouter.calls.times import system_of
from callrouter.cel.gather import Gathered, Gatherer
from callrouter.cel.records import records_of
from callrouter.cel.rows import Row
from callrouter.cel.stretch import Stretch
from callrouter.db.connect import Connection

SHORTEST_BEFORE, LONGEST_BEFORE = timedelta(hours=4), timedelta(hours=26)
"""So long before `since` rows are read, for calls that were in progress then. After a short gap a longer call than that
is not judged; it is when a whole day is compared (the tracker gives a call up after a day)."""
UPTIME_SLACK = timedelta(seconds=1)
"""Asterisk tells its uptime in whole seconds."""
TOLD = 100
"""Calls that are named in an outcome; all are counted."""
BATCH = 200
SAME_MOMENT = timedelta(seconds=2)
ROWS_BETWEEN_TELLING = 20_000

APPEALS = """
SELECT id, pbx, linkedid, complete, ended_at >= $3 AND ended_at < $4 AS judged, started_at FROM appeals
WHERE kind = 'call' AND pbx = ANY ($1::text[]) AND started_at >= $2 AND started_at < $4"""

# A callback's appeal has its order's id and began with it, up to weeks before the call.
CALLBACKS = """
SELECT NULL AS id, a.pbx, a.linkedid, a.complete, a.ended_at >= $3 AND a.ended_at < $4 AS judged, called.started_at
FROM callback_orders o
JOIN appeals a ON (a.account_id, a.started_at, a.id) = (o.account_id, o.ordered_at, o.id)
CROSS JOIN LATERAL (SELECT coalesce((a.details ->> 'dialled_at')::timestamptz, o.dialled_at) AS started_at) called
WHERE o.dialled_at >= $2::timestamptz - interval '1 hour' AND a.kind = 'callback' AND a.pbx = ANY ($1::text[])
    AND called.started_at >= $2 AND called.started_at < $4"""

STANDING = """
SELECT pbx, linkedid, revision, complete, recording, agi_ms, steps, employee FROM appeals
WHERE id = ANY ($1::uuid[]) AND started_at BETWEEN $2 AND $3"""

CARRIED_OUT = """
SELECT a.pbx, a.linkedid, a.revision - $2 AS revision, a.complete, a.recording, a.agi_ms, a.steps, a.employee
FROM callback_orders o
JOIN appeals a ON (a.account_id, a.started_at, a.id) = (o.account_id, o.ordered_at, o.id)
WHERE o.serial = ANY ($1::bigint[]) AND a.linkedid IS NOT NULL"""


class Outcome(msgspec.Struct, kw_only=True):
    """Of one PBX and one stretch of time. Counts are of calls that ended in it; internal ones make no appeal."""

    pbx: str
    since: datetime
    """The time asked for, or that of the file's first row if that is later."""
    until: datetime
    pbx_calls: int = 0
    appeals: int = 0
    missing: int = 0
    """Calls without appeal, before the repair."""
    incomplete: int = 0
    """Appeals of calls seen in part, of which CEL has all."""
    extra: int = 0
    """Appeals of calls that CEL does not have."""
    repaired: int = 0
    missing_calls: list[str] = []
    extra_calls: list[str] = []
    rows: int = 0
    refused_lines: int = 0
    complaint: str = ""

    @property
    def agrees(self) -> bool:
        return self.missing + self.incomplete <= self.repaired and not self.extra


class Standing(msgspec.Struct, gc=False):
    """An appeal as far as it is compared."""

    complete: bool
    judged: bool
    linkedid: str
    started: float
    met: bool = False


Telling = Callable[[int], None]


class Reconciliation:
    """Of one PBX. `up_since` is when this Asterisk was started: what had not ended by then, never did otherwise."""

    def __init__(
        self, connection: Connection, profile: PbxProfile, *, since: datetime, until: datetime, dry_run: bool = False,
        up_since: datetime | None = None, telling: Telling = lambda _rows: None,
    ) -> None:  # fmt: skip
        self._connection = connection
        self._profile = profile
        self._since, self._until = since, until
        self._read_from = since - min(LONGEST_BEFORE, max(SHORTEST_BEFORE, until - since))
        self._dry_run = dry_run
        self._up_since = up_since
        self._telling = telling
        self._settings = Settings()
        self._standing: dict[UUID, Standing] = {}
        self._unsure: set[str] = set()
        """Linkedids of calls that are not over, or that began before what was read."""
        self._wanting: list[CallRecord] = []
        self.outcome = Outcome(pbx=profile.name, since=since, until=until)

    async def run(self, cel: Path) -> Outcome:
        """Compare, and repair unless it is a dry run. Raises ForeignCel, OSError and what Postgres raises."""
        self._settings = await load_settings(self._connection)
        stretch = Stretch(cel, self._read_from.timestamp())
        rows = iter(stretch)
        first = list(islice(rows, 1))
        await self._load({self._profile.name, *(system_of(row.uniqueid) for row in first)} - {""})
        for call in self._calls(chain(first, rows)):
            goes_past = call.rows[-1].at >= self._since.timestamp()
            for record in records_of(call, self._profile):
                self._judge(record, goes_past=goes_past)
            if len(self._wanting) >= BATCH:
                await self._repair()
        await self._repair()
        self._close(stretch)
        return self.outcome

    async def _load(self, names: set[str]) -> None:
        """The appeals; `names` under which the PBX is known: the configured one, and its own if that differs."""
        arguments = (sorted(names), self._read_from, self._since, self._until)
        async with self._connection.transaction():
            for query in (APPEALS, CALLBACKS):
                async for row in self._connection.cursor(query, *arguments, prefetch=2000):
                    self._standing[row["id"] or appeal_id(row["pbx"], row["linkedid"])] = Standing(
                        bool(row["complete"]), bool(row["judged"]), row["linkedid"] or "", row["started_at"].timestamp()
                    )

    def _calls(self, rows: Iterable[Row]) -> Iterator[Gathered]:
        gatherer = Gatherer(self._profile)
        for count, row in enumerate(rows):
            if not count % ROWS_BETWEEN_TELLING:
                self._telling(count)
            for call in gatherer.feed(row):
                if not call.whole:
                    self._unsure |= call.linkedids  # what lacks rows is not held against appeals
                yield call
        for call in gatherer.finish():
            last = call.rows[-1].at
            died = self._up_since is not None and last < (self._up_since - UPTIME_SLACK).timestamp()
            if died or (call.whole and last < self._until.timestamp()):
                yield call
            else:
                self._unsure |= call.linkedids

    def _judge(self, record: CallRecord, *, goes_past: bool) -> None:
        """`goes_past`: what it was told together with ended in the stretch, so that nobody could judge it before."""
        if record.direction == "internal":
            return
        standing = self._standing.get(appeal_id(record.pbx, record.linkedid))
        if standing is not None:
            standing.met = True
        if record.ended_at >= self._until or not (goes_past or record.ended_at >= self._since):
            return
        self.outcome.pbx_calls += record.ended_at >= self._since
        if standing is None:
            self._wanting.append(record)
        elif record.complete and not standing.complete:
            self.outcome.incomplete += 1
            self._wanting.append(record)

    async def _repair(self) -> None:
        """Write what is wanting; what was published meanwhile is looked up once more."""
        wanting, self._wanting = self._wanting, []
        if not wanting:
            return
        standing = await self._standing_now(wanting)
        appeals = []
        for record in wanting:
            old = standing.get((record.pbx, record.linkedid))
            if old is None:
                self.outcome.missing += 1
                _name(self.outcome.missing_calls, record.linkedid)
            if old is None or (record.complete and not old["complete"]):
                appeals.append(appeal_of(record, dict(old) if old else None))
        if appeals and not self._dry_run:
            rows = [row for appeal in appeals if (row := enrich(appeal, self._settings)) is not None]
            written = await write(self._connection, rows, self._settings)
            self.outcome.repaired += len(written.rows)

    async def _standing_now(self, wanting: list[CallRecord]) -> dict[tuple[str, str], asyncpg.Record]:
        """The appeals there are of these calls, those that carried out orders among them."""
        ids = [appeal_id(record.pbx, record.linkedid) for record in wanting]
        times = [record.started_at for record in wanting]
        day = timedelta(days=1)
        found = await self._connection.fetch(STANDING, ids, min(times) - day, max(times) + day)
        serials = [attempt.serial for record in wanting if (attempt := attempt_of(record.linkedid))]
        if serials:
            found += await self._connection.fetch(CARRIED_OUT, serials, CALLED)
        return {(row["pbx"], row["linkedid"]): row for row in found}

    def _close(self, stretch: Stretch) -> None:
        outcome = self.outcome
        covered = stretch.covers_from
        outcome.rows, outcome.refused_lines, outcome.complaint = stretch.rows, stretch.refused, stretch.complaint
        outcome.since = max(self._since, datetime.fromtimestamp(covered, UTC)) if covered else self._until
        for standing in self._standing.values():
            if not standing.judged or covered is None or standing.started < covered:
                continue
            outcome.appeals += 1
            if not standing.met and standing.linkedid not in self._unsure:
                outcome.extra += 1
                _name(outcome.extra_calls, standing.linkedid)


def appeal_of(record: CallRecord, old: dict[str, Any] | None) -> CallAppeal:
    """The call as CEL tells it, with what CEL cannot know and the appeal before did."""
    if old is None:
        return CallAppeal(call=record)
    names = _names(record, msgspec.convert(old["steps"] or (), tuple[Step, ...]))
    record = msgspec.structs.replace(
        record, recording=record.recording or old["recording"], agi_ms=old["agi_ms"],
        employee=names.get(record.employee or "", record.employee),
        steps=tuple(
            msgspec.structs.replace(step, who=names.get(step.who or "", step.who)) for step in record.steps
        ),
    )  # fmt: skip
    return CallAppeal(call=record, revision=old["revision"])


def _names(record: CallRecord, seen: tuple[Step, ...]) -> dict[str, str]:
    """Extension → the agent's name, where the appeal before has the same step by his name.

    Each answer that was seen is one of CEL's at most, the nearest: somebody else may have answered a moment later.
    """
    answers = [step for step in record.steps if step.kind == "answered" and step.who]
    extensions = {step.who for step in answers}
    names = {}
    for other in seen:
        if other.kind == "answered" and other.who and answers and other.who not in extensions:
            nearest = min(answers, key=lambda step: abs(other.at - step.at))
            if nearest.who and abs(other.at - nearest.at) < SAME_MOMENT:
                names[nearest.who] = other.who
    return names


def _name(calls: list[str], linkedid: str) -> None:
    if len(calls) < TOLD:
        calls.append(linkedid)
