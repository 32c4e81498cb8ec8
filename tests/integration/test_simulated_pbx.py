"""The simulated PBX tells of a call what a tracker needs, asks as the dialplan does, and never gets stuck."""

from __future__ import annotations

import asyncio

import pytest

from callrouter.ami.wire import EventReader
from callrouter.calls.record import CallRecord
from callrouter.calls.replay import records
from callrouter.lab import company
from callrouter.lab.plan import BY_ROUTE, CallPlan, Outcome, Truth
from callrouter.lab.simulated import ANSWERED, LOST, SimulatedPbx
from tests.captures.make import Tap
from tests.pbx.stub_agi import Behaviour, StubAgi

SLACK = 0.3
SAME = ("direction", "status", "lost_reason", "group", "employee", "caller")


def a_plan(outcome: Outcome, n: int = 0) -> CallPlan:
    return CallPlan(outcome=outcome, caller=f"7916555{8000 + n}", did="74952222725", talk_s=0.3, wait_s=0.4)


async def followed(pbx: SimulatedPbx, *plans: CallPlan) -> tuple[list[Truth], list[CallRecord]]:
    """Play the calls at once; the truths, and what call tracking made of the events."""
    async with pbx:
        tap = Tap(pbx.ami_port, pbx.ami_user, pbx.ami_secret)
        await tap.open()
        truths = await asyncio.gather(*(pbx.place(plan) for plan in plans))
        data = await tap.close(quiet=0.2)
    reader = EventReader()
    events = reader.feed(data) + reader.finish()
    return list(truths), list(records(events, company.profile(pbx.name)))


def test_tracking_agrees_with_the_truth_for_each_outcome() -> None:
    plans = [a_plan(outcome, n) for n, outcome in enumerate(sorted(ANSWERED | LOST))]
    truths, found = asyncio.run(followed(SimulatedPbx(), *plans))
    of_caller = {record.caller: record for record in found}
    assert len(found) == len(truths)
    for truth in truths:
        record = of_caller[truth.caller]
        assert {name: getattr(record, name) for name in SAME} == {name: getattr(truth, name) for name in SAME}
        assert abs(record.talk_s - truth.talk_s) < SLACK
        assert abs(record.wait_s - truth.wait_s) < SLACK
        assert record.complete


def test_route_of_callrouter_is_followed() -> None:
    async def scenario() -> None:
        async with StubAgi(Behaviour.ANSWER) as stub:
            plan = CallPlan(
                outcome=Outcome.ANSWERED_IN_QUEUE, caller="79165558100", did="74952222725", destination=BY_ROUTE,
                talk_s=0.1,
            )  # fmt: skip
            truths, found = await followed(SimulatedPbx(agi=stub.address), plan)
            assert truths[0].group == found[0].group == "support"
            assert stub.requests[0]["agi_arg_1"] == "74952222725"
            assert stub.requests[0]["agi_callerid"] == "79165558100"

    asyncio.run(scenario())


@pytest.mark.parametrize("behaviour", [Behaviour.HANG, Behaviour.CLOSE_AT_ONCE, Behaviour.GARBAGE])
def test_call_goes_on_whatever_callrouter_does(behaviour: Behaviour) -> None:
    async def scenario() -> None:
        async with StubAgi(behaviour) as stub:
            truths, _found = await followed(SimulatedPbx(agi=stub.address), a_plan(Outcome.DIRECT))
            assert truths[0].status == "answered"

    asyncio.run(scenario())


def test_wrong_password_is_refused() -> None:
    async def scenario() -> None:
        async with SimulatedPbx() as pbx:
            reader, writer = await asyncio.open_connection("127.0.0.1", pbx.ami_port)
            writer.write(b"Action: Login\r\nUsername: callrouter\r\nSecret: no\r\n\r\n")
            await reader.readline()
            assert await reader.readline() == b"Response: Error\r\n"
            writer.close()

    asyncio.run(scenario())
