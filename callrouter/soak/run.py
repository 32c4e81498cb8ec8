"""The soak from the start of the servers to the verdict. Knows the order of things; the terminal shows them."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import httpx
import msgspec

from callrouter.chaos.stage import ground
from callrouter.chaos.verdict import calls_in_cel
from callrouter.db.connect import connect
from callrouter.demo import Say, section
from callrouter.lab.asterisk import Attachment
from callrouter.lab.calls import AsteriskLab
from callrouter.lab.load import Noted, placed_by_sipp
from callrouter.lab.obtain import PbxSoftware
from callrouter.lab.stack import PROCESSES, Stack
from callrouter.lab.stack import running as processes
from callrouter.lab.visitors import Visitor, visitors
from callrouter.soak.cores import all_but_one, confine
from callrouter.soak.office import Planned, answers, office, planned
from callrouter.soak.ramp import LEAST_RATE, Ramp, Try, rate_of, tried
from callrouter.soak.verdict import Found, fifths, is_flat, judged

VISITORS = 600
TRY_SECONDS = 20.0
FIRST_RATE = 40.0
STEADY = 0.95
"""Of the rate that was held with callrouter."""
LONGEST_S = 6.0
"""A call lasts half of it as planned. Nobody calls while there are more calls than come in this time: a PBX that fell
behind for a moment, on a machine that had other things to do, catches up instead of drowning."""
WANTED_RATIO = 0.9
SETTLE_SECONDS = 120.0
SIGN_OF_LIFE_SECONDS = 300.0
SAMPLES = 200
INBOUND = "from-trunk"
APPEALS = """
SELECT linkedid, caller, called, status, final_group, employee, session, complete, attribution_pending, talk_s
FROM appeals WHERE kind = 'call' AND started_at >= $1
"""
FINAL = "SELECT count(*) FROM appeals WHERE kind = 'call' AND started_at >= $1 AND complete AND NOT attribution_pending"

Show = Callable[[float, str], None]


class Played(NamedTuple):
    """What was found; memory of our processes in MB, CPU in ms a call of everything; calls a second that began."""

    found: Found
    memory: dict[str, list[float]]
    cpu: dict[str, float]
    rate: float


class Soaked(msgspec.Struct, frozen=True, kw_only=True):
    """The result; `rate_without` and `ratio` are None when a rate was given."""

    calls: int
    apart: bool
    """Asterisk had a core of its own."""
    rate: float
    """Wanted, of all calls."""
    rate_played: float
    """At which they began."""
    rate_without: float | None
    rate_with: float | None
    ratio: float | None
    tries_without: tuple[Try, ...]
    tries_with: tuple[Try, ...]
    memory_mb: Mapping[str, tuple[float, ...]]
    """Of each process, in each fifth of the calls."""
    memory_flat: bool
    cpu_ms_per_call: Mapping[str, float]
    found: Found

    @property
    def right(self) -> bool:
        found = self.found
        whole = not (found.missing or found.extra or found.wrong or found.complaints)
        return whole and self.memory_flat and (self.ratio is None or self.ratio >= WANTED_RATIO)


class Soak:
    """One run on one ground."""

    def __init__(self, pbx: AsteriskLab, stack: Stack, servers: Mapping[str, int], postgres: str, show: Show) -> None:
        self._pbx, self._stack, self._servers = pbx, stack, servers
        self._postgres = postgres
        self._show = show
        self._callers = 0
        self._numbers: dict[str, str] = {}
        """Number → the visit that holds it."""

    async def ramps(self, alone: AsteriskLab) -> tuple[Ramp, Ramp]:
        """Which rate is held by an Asterisk that knows nothing of callrouter, and which by ours: they try in turn.

        What else the host does changes from minute to minute, and weighs on both alike.
        """
        ramps = Ramp(FIRST_RATE), Ramp(FIRST_RATE)
        while any(ramp.next for ramp in ramps):
            for ramp, pbx, what in zip(ramps, (alone, self._pbx), ("without", "with"), strict=True):
                if (rate := ramp.next) is not None:
                    self._show(0.0, f"{what} callrouter: {rate:g} calls/s")
                    ramp.note(await self._tried(pbx, rate))
        return ramps

    async def _tried(self, pbx: AsteriskLab, rate: float) -> Try:
        calls = self._planned(round(rate * TRY_SECONDS))
        before = cpu_seconds(pbx.pid)
        notes = await self._placed(pbx, calls, rate)
        return tried(rate, list(notes.values()), (cpu_seconds(pbx.pid) - before) / len(calls) * 1000)

    async def visit(self, sites: dict[str, str], browser: httpx.AsyncClient) -> list[Visitor]:
        """People with the pages open whose numbers will be called."""
        arriving = visitors(sites, 1)
        people = [next(arriving) for _ in range(VISITORS)]
        for one in people:
            await one.open(browser)
        self._numbers = {one.number: one.session for one in people}
        return people

    async def play(self, calls: int, rate: float) -> Played:
        """All the calls."""
        began, plan = datetime.now(UTC), self._planned(calls)
        watched = {"asterisk": self._pbx.pid, **self._servers, **{name: self._stack.pid(name) for name in PROCESSES}}
        before = {name: cpu_seconds(pid) for name, pid in watched.items()}
        memory: dict[str, list[float]] = {name: [] for name in PROCESSES}
        sampling = asyncio.ensure_future(self._sample(memory, calls / rate, f"{calls} calls at {rate:g}/s"))
        try:
            notes = await self._placed(self._pbx, plan, rate)
        finally:
            sampling.cancel()
        cpu = {name: round((cpu_seconds(pid) - before[name]) / calls * 1000, 2) for name, pid in watched.items()}
        rows = await self._settled(began, calls)
        callers = {one.caller for one in plan}
        with self._pbx.cel_file.open(encoding="utf-8", errors="replace", newline="") as lines:
            recorded = [one for one, caller in calls_in_cel(lines, INBOUND).items() if caller in callers]
        found = judged(plan, notes, answers(self._pbx), self._numbers, rows=rows, pbx_calls=recorded)
        return Played(found, memory, cpu, rate_of(list(notes.values())))

    async def _placed(self, pbx: AsteriskLab, calls: Sequence[Planned], rate: float) -> dict[str, Noted]:
        customers = [one.customer for one in calls]
        return await placed_by_sipp(pbx, customers, rate=rate, at_once=math.ceil(rate * LONGEST_S))

    def _planned(self, calls: int) -> list[Planned]:
        first, self._callers = self._callers, self._callers + calls
        return planned([*self._numbers], first, calls)

    async def _sample(self, memory: dict[str, list[float]], seconds: float, what: str) -> None:
        began = time.monotonic()
        while True:
            await asyncio.sleep(max(1.0, seconds / SAMPLES))
            for name, samples in memory.items():
                samples.append(resident_mb(self._stack.pid(name)))
            self._show(min(1.0, (time.monotonic() - began) / seconds), what)

    async def _settled(self, began: datetime, calls: int) -> list[dict[str, Any]]:
        """The appeals, once all are final; or as they are when no more become so for a while."""
        conn: asyncpg.Connection[asyncpg.Record] = await connect(self._postgres)
        try:
            final, moved = -1, time.monotonic()
            while final < calls and time.monotonic() < moved + SETTLE_SECONDS:
                now = await conn.fetchval(FINAL, began)
                if now != final:
                    final, moved = now, time.monotonic()
                self._show(1.0, f"{calls - final} appeals to come")
                await asyncio.sleep(0.5)
            return [dict(row) for row in await conn.fetch(APPEALS, began)]
        finally:
            await conn.close()


async def soak(
    folder: Path, software: PbxSoftware, calls: int, rate: float | None, *, apart: bool, say: Say, show: Show
) -> Soaked:  # fmt: skip
    """`rate`: of the calls; None: the highest that is held, found with and without callrouter.

    `apart`: Asterisk has a core of its own, and everything else the others, whether callrouter runs or not.
    """
    async with contextlib.AsyncExitStack() as opened:
        core = opened.enter_context(all_but_one()) if apart else None
        postgres, valkey, sites = await opened.enter_async_context(ground(folder, VISITORS // 3 + 1, say))
        stack = Stack(folder / "callrouter", postgres=postgres.url, redis=valkey.url)
        pbx, alone = [await opened.enter_async_context(office(software, folder / name)) for name in ("pbx", "alone")]
        if core is not None:
            confine(pbx.pid, [core])
            confine(alone.pid, [core])
        stack.configure(section(pbx, "agi"))
        await pbx.attach(Attachment(mode="agi", agi=stack.agi))
        say("starting callrouter router, web and worker")
        await opened.enter_async_context(processes(stack))
        run = Soak(pbx, stack, {"valkey": valkey.pid, "postgres": postgres.pid}, postgres.url, show)
        browser = await opened.enter_async_context(_browser(stack))
        await opened.enter_async_context(_staying(await run.visit(sites, browser), browser))
        if rate:
            return _told(await run.play(calls, rate), calls, rate, None, apart=apart)
        ramps = await run.ramps(alone)
        steady = round(ramps[1].held * STEADY, 1) or LEAST_RATE
        return _told(await run.play(calls, steady), calls, steady, ramps, apart=apart)


def _told(
    played: Played, calls: int, rate: float, ramps: tuple[Ramp, Ramp] | None, *, apart: bool
) -> Soaked:  # fmt: skip
    without, beside = ramps or (None, None)
    ratio = round(beside.held / without.held, 3) if without and beside and without.held else None
    return Soaked(
        calls=calls, apart=apart, rate=rate, rate_played=played.rate, rate_without=without.held if without else None,
        rate_with=beside.held if beside else None, ratio=ratio,
        tries_without=tuple(without.tries if without else ()), tries_with=tuple(beside.tries if beside else ()),
        memory_mb={name: fifths(each) for name, each in played.memory.items() if each},
        memory_flat=all(is_flat(each) for each in played.memory.values()), cpu_ms_per_call=played.cpu,
        found=played.found,
    )  # fmt: skip


def _browser(stack: Stack) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=stack.web, timeout=10.0, trust_env=False)


@contextlib.asynccontextmanager
async def _staying(people: Sequence[Visitor], browser: httpx.AsyncClient) -> AsyncIterator[None]:
    """Their pages stay open."""

    async def stay() -> None:
        while True:
            for one in people:
                await asyncio.sleep(SIGN_OF_LIFE_SECONDS / len(people))
                with contextlib.suppress(httpx.HTTPError):
                    await one.stay(browser)

    staying = asyncio.ensure_future(stay())
    try:
        yield
    finally:
        staying.cancel()
        await asyncio.gather(staying, return_exceptions=True)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, with its children that ended; of a server with sessions, theirs as well."""
    total = 0.0
    for each in (pid, *_children(pid)):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return total


def resident_mb(pid: int) -> float:
    """Memory of a process and its children."""
    pages = 0
    for each in (pid, *_children(pid)):
        with contextlib.suppress(OSError):
            pages += int(Path(f"/proc/{each}/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
