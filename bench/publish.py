"""Publishing appeals against a raw COPY of the same rows into the same table, emptied, on the same server, in turns.

Ours is the whole path: journal on disk → records → whose call → clients → uniqueness → Postgres → cursor.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec
import uvloop

from bench.row import Row
from callrouter.appeals.directory import load_settings
from callrouter.appeals.enrich import enrich
from callrouter.appeals.journal import Journal
from callrouter.appeals.model import CallAppeal
from callrouter.appeals.publish import Publisher
from callrouter.appeals.row import COLUMNS
from callrouter.calls.record import CallRecord, Step
from callrouter.clock import SystemClock
from callrouter.db.connect import Connection, Pool, open_pool
from callrouter.db.migrate import migrate
from callrouter.garbage import settle_collector
from callrouter.lab.servers import embedded_postgres
from callrouter.numbers import Number
from callrouter.pool.model import Attribution, Candidate, Resolution
from callrouter.sessions.model import TrafficSource, Visit

CALLS = 20_000
ROUNDS = 7
CALLERS = 12_000
SITES = 20
TARGET = 0.3
BACKLOG = 100_000
"""Appeals in the journal when Postgres was away for long, or the router."""
BACKLOG_RATE = 5_000


def a_day_of_calls(count: int, seed: int = 1) -> list[CallAppeal]:
    """Calls as a busy day has them: in order of their end, some callers more than once, most attributed."""
    chance = random.Random(seed)
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return [_appeal(n, midnight + timedelta(seconds=n * 86000 / count), chance) for n in range(count)]


def _appeal(n: int, at: datetime, chance: random.Random) -> CallAppeal:
    caller = Number(f"7916{chance.randrange(CALLERS):07}")
    site = int(caller) % SITES + 1  # people call the company they know
    wait, talk = chance.random() * 30, chance.random() * 200
    answered = at + timedelta(seconds=wait)
    steps = (
        Step(at, "started"),
        Step(at + timedelta(seconds=1), "group_entered", group="sales"),
        Step(at + timedelta(seconds=2), "rang", who="101"),
        Step(answered, "answered", who="101"),
        Step(answered + timedelta(seconds=talk), "ended"),
    )
    call = CallRecord(
        pbx="pbx1", linkedid=f"pbx1-{at.timestamp():.0f}.{n}", direction="inbound", caller=caller,
        called="74952232725", caller_raw=f"+{caller}", called_raw="4952232725", customer=caller, started_at=at,
        answered_at=answered, ended_at=answered + timedelta(seconds=talk), status="answered", lost_reason=None,
        wait_s=wait, talk_s=talk, group="sales", employee="101", steps=steps, hangup_cause=16, hangup_by="caller",
        recording=f"/recordings/{n}.wav", agi_ms=3.2, complete=True,
    )  # fmt: skip
    return CallAppeal(call=call, resolution=_resolution(caller, at, site, n))


def _resolution(caller: Number, at: datetime, site: int, n: int) -> Resolution:
    visit = Visit(
        session=f"session-{n:08}", visitor=f"visitor-{n:08}", account=site + 1, site=site,
        traffic=TrafficSource(channel="paid search", source="yandex", medium="cpc", campaign=f"campaign {n % 50}",
                              keyword="пластиковые окна цена", click_id=f"{n:020}"),
        landing_page="https://shop.example/windows?utm_source=yandex&utm_medium=cpc", referrer="https://yandex.ru/",
        started_at=at - timedelta(minutes=4), seen_at=at, pages=3, page="https://shop.example/windows/price",
        title="Окна — цены", device="mobile", os="Android 14", browser="Chrome 130", location="Москва",
        ga_client_id="123.456", ym_client_id="789",
    )  # fmt: skip
    credited = Candidate(method="holder", account=site + 1, site=site, session=visit.session, weight=0.93)
    other = Candidate(method="last_holder", account=site + 1, site=site, session="earlier", weight=0.04)
    attribution = Attribution(
        method="holder",
        confidence=0.93,
        account=site + 1,
        site=site,
        session=visit.session,
        candidates=(credited, other),
    )
    return Resolution(
        number=Number("74952232725"), caller=caller, at=at, attribution=attribution, visit=visit, took_ms=1.7
    )


async def publish_all(pool: Pool, folder: Path, appeals: Sequence[CallAppeal], *, anew: bool = False) -> float:
    """Seconds from the journal, filled, to the last commit. `anew`: by a router that was started after."""
    journal = Journal(folder)
    await asyncio.gather(*(journal.append(appeal) for appeal in appeals))
    if anew:
        journal.close()
        journal = Journal(folder)
    publisher = Publisher(pool, journal, _nobody, SystemClock())
    started = time.perf_counter()
    running = asyncio.create_task(publisher.run())
    await publisher.stop(seconds=600)
    seconds = time.perf_counter() - started
    await running
    journal.close()
    return seconds


async def copy_all(pool: Pool, appeals: Sequence[CallAppeal]) -> float:
    """Seconds of one COPY of the finished rows."""
    async with pool.acquire() as connection:
        settings = await load_settings(connection)
        rows = [row for appeal in appeals if (row := enrich(appeal, settings))]
        records = [msgspec.structs.astuple(row) for row in rows]
        started = time.perf_counter()
        await connection.copy_records_to_table("appeals", columns=COLUMNS, records=records)
        return time.perf_counter() - started


async def _empty(pool: Pool, expected: int) -> None:
    """Make room for the next round, after a look at whether this one did its work."""
    found = await pool.fetchval("SELECT count(*) FROM appeals")
    if found != expected:
        raise RuntimeError(f"{found} of {expected} appeals arrived: the measurement is void")
    await pool.execute("TRUNCATE appeals, clients, client_identities")


async def _nobody(_connection: Connection, _call: CallRecord) -> Resolution | None:
    return None


class Measured(NamedTuple):
    """Appeals per second."""

    turns: list[tuple[float, float]]
    """Of each: published, and copied."""
    catching_up: float


async def measure(count: int = CALLS, rounds: int = ROUNDS) -> Measured:
    appeals, backlog = a_day_of_calls(count), a_day_of_calls(BACKLOG)
    settle_collector()  # as the router does; the input need not be walked again and again, on either side
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        async with embedded_postgres(folder / "postgres") as url:
            await migrate(url, lambda _line: None)
            async with await open_pool(url) as pool:
                await _found_accounts(pool)
                # The first turn warms caches and connections, and does not count.
                turns = [await _turn(pool, folder / f"journal{n}", appeals) for n in range(rounds + 1)][1:]
                caught_up = await publish_all(pool, folder / "backlog", backlog, anew=True)
                await _empty(pool, BACKLOG)
                return Measured(turns, BACKLOG / caught_up)


async def _found_accounts(pool: Pool) -> None:
    await pool.execute("INSERT INTO accounts (id, name) SELECT n + 1, n FROM generate_series(1, $1) n", SITES)
    await pool.execute(
        "INSERT INTO sites (account_id, id, name) SELECT n + 1, n, n FROM generate_series(1, $1) n", SITES
    )


async def _turn(pool: Pool, journal: Path, appeals: Sequence[CallAppeal]) -> tuple[float, float]:
    copied = await copy_all(pool, appeals)
    await _empty(pool, len(appeals))
    published = await publish_all(pool, journal, appeals)
    await _empty(pool, len(appeals))
    return len(appeals) / published, len(appeals) / copied


def run() -> list[Row]:
    turns, catching_up = uvloop.run(measure())
    return [
        Row(
            name="publish: journal → Postgres vs raw COPY",
            ours=statistics.median(ours for ours, _peer in turns),
            peer=statistics.median(peer for _ours, peer in turns),
            ratio=statistics.median(ours / peer for ours, peer in turns),
            unit="appeals/s",
            target=TARGET,
            note=f"median of {len(turns)} turns",
        ),
        Row(
            name=f"publish: a restarted router catches up on {BACKLOG} appeals", ours=catching_up,
            peer=BACKLOG_RATE, ratio=catching_up / BACKLOG_RATE, unit="appeals/s", target=1,
            note="the peer is the limit",
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    print(run())
