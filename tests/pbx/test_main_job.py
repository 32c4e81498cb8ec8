"""The main job on a real Asterisk: visitors over HTTP, real SIP calls, appeals in Postgres held against the truth.

Each attachment runs every outcome once, all through the product as `callrouter demo` runs it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from callrouter.db.connect import connect
from callrouter.demo import STATIC_NUMBER, STATIC_SOURCE, Choices, Demo, product
from callrouter.lab.plan import BY_ROUTE, CallPlan, Outcome
from callrouter.lab.verdict import Placed, differences, is_credited_rightly
from callrouter.lab.visitors import visitors
from tests.waiting import until

ATTACHMENTS = [("agi", 22), ("ari", 22), ("watch", 22), ("agi", 16), ("ari", 16)]
OUTCOMES = list(Outcome)
OUTSIDE = {Outcome.OUTBOUND, Outcome.OUTBOUND_BUSY, Outcome.INTERNAL}
AT_ONCE = 6

Row = Mapping[str, Any]


class Played(msgspec.Struct, frozen=True):
    """All outcomes by one attachment: the truth and the appeal of each."""

    attach: str
    calls: dict[str, tuple[Placed, Row | None]]
    appeals: int


def plan_of(index: int, outcome: Outcome) -> CallPlan:
    """Outbound and internal calls are placed by an employee's phone; each other call by a caller of its own."""
    if outcome is Outcome.INTERNAL:
        return CallPlan(outcome=outcome, caller="241", did="242")
    if outcome in OUTSIDE:
        return CallPlan(outcome=outcome, caller=f"{232 + index % 2}", did=f"7916556{index:04}")
    return CallPlan(outcome=outcome, caller=f"7916555{index:04}", did=STATIC_NUMBER)


async def play(folder: Path, attach: Any, version: int) -> Played:
    choices = Choices(attach=attach, asterisk=version)
    async with product(folder, choices, lambda _line: None) as running:
        async with httpx.AsyncClient(base_url=running.stack.web, timeout=5.0, trust_env=False) as browser:
            placed = await place_all(running, browser)
        conn = await connect(running.postgres)
        expected = sum(call.truth.direction != "internal" for call in placed.values())

        async def published() -> bool:
            return bool(await conn.fetchval("SELECT count(*) FROM appeals") >= expected)

        await until(published)
        rows = [dict(row) for row in await conn.fetch("SELECT * FROM appeals")]
        await conn.close()
    by_customer = {row["customer"]: row for row in rows}
    return Played(attach, {o: (call, by_customer.get(call.customer)) for o, call in placed.items()}, len(rows))


async def place_all(running: Demo, browser: httpx.AsyncClient) -> dict[str, Placed]:
    turns = asyncio.Semaphore(AT_ONCE)
    arriving = visitors(running.sites, 7)

    async def one(index: int, outcome: Outcome) -> tuple[str, Placed]:
        plan = plan_of(index, outcome)
        async with turns:
            if outcome in OUTSIDE:
                return outcome, Placed(await running.pbx.place(plan), None, "")
            if outcome is Outcome.DIRECT:
                return outcome, Placed(await running.pbx.place(plan), None, STATIC_SOURCE)
            visitor = next(arriving)
            await visitor.open(browser)
            plan = replace(plan, did=visitor.number)
            if outcome is Outcome.ANSWERED_IN_QUEUE:
                plan = replace(plan, destination=BY_ROUTE)
            return outcome, Placed(await running.pbx.place(plan), visitor.session, visitor.arrival.source)

    return dict(await asyncio.gather(*(one(index, outcome) for index, outcome in enumerate(OUTCOMES))))


@pytest.fixture(scope="module", params=ATTACHMENTS, ids=lambda param: f"{param[0]}-{param[1]}")
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Played:
    attach, version = request.param
    return asyncio.run(play(tmp_path_factory.mktemp(f"{attach}{version}"), attach, version))


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_the_appeal_tells_what_the_call_did(played: Played, outcome: Outcome) -> None:
    call, row = played.calls[outcome]
    if outcome is Outcome.INTERNAL:
        assert row is None, "an internal call makes no appeal"
        return
    assert row is not None, "the call has no appeal"
    assert differences(call, row) == []


@pytest.mark.parametrize("outcome", [outcome for outcome in OUTCOMES if outcome not in OUTSIDE])
def test_the_call_is_credited_to_the_visit_that_saw_the_number(played: Played, outcome: Outcome) -> None:
    call, row = played.calls[outcome]
    assert row is not None
    assert is_credited_rightly(call, row), f"{row['method']} {row['session']} {row['source']}"
    assert row["account_id"] == 2
    assert row["late"] is False
    assert row["is_unique"] is True
    assert row["client_id"] is not None
    assert (row["agi_ms"] is None) == (played.attach == "watch")
    assert row["agi_ms"] is None or row["agi_ms"] < 150


def test_each_call_has_one_appeal_and_nothing_else_has(played: Played) -> None:
    assert played.appeals == sum(call.truth.direction != "internal" for call, _ in played.calls.values())
