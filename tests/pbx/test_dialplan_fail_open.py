"""Whatever callrouter does or fails to do, the call rings and is answered, and is held no longer than promised."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from callrouter.lab.calls import AsteriskLab
from callrouter.lab.obtain import PbxSoftware
from callrouter.lab.plan import CallPlan, Outcome, Truth
from tests.pbx.conftest import SharedPbx
from tests.pbx.poll import until
from tests.pbx.stub_agi import Behaviour, StubAgi

SECONDS = 1.0
"""The watchdog's limit in these tests."""
USUAL = 0.6
"""Ringing and set-up of an undisturbed direct call, with room for a busy machine."""
SYN_LOST = 2.0
"""Asterisk's own limit for a TCP connection, in which it looks at nothing else."""


def direct_call(n: int = 1) -> CallPlan:
    return CallPlan(outcome=Outcome.DIRECT, caller=f"7916555{2000 + n}", did="74952222725", talk_s=0.2)


async def answered(pbx: AsteriskLab, n: int = 1) -> tuple[Truth, dict[str, str]]:
    """Place a call; what the phones did, and the variables with which the dialplan went on."""
    truth = await pbx.place(direct_call(n))
    assert truth.status == "answered"
    log = (pbx.folder / "log" / "messages").read_text(errors="replace")
    after = log[log.rindex("after callrouter: ") :].splitlines()[0]
    return truth, dict(part.split("=", 1) for part in after.removeprefix("after callrouter: ").split("|"))


def dialled(stub: StubAgi) -> list[str]:
    """The arguments of the first question: CALLROUTER_DID, FROM_DID, the trunk's number, the extension."""
    return [stub.requests[0][f"agi_arg_{n}"] for n in range(1, 5)]


@contextmanager
def unroutable() -> Iterator[str]:
    """The address of a listener whose backlog is full: the kernel drops each further SYN."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield f"agi://127.0.0.1:{listener.getsockname()[1]}/resolve"
        for filler in fillers:
            filler.close()


def test_answer_of_callrouter_reaches_the_dialplan(shared_pbx: SharedPbx, runner: asyncio.Runner) -> None:
    async def scenario() -> None:
        async with StubAgi(Behaviour.ANSWER) as stub, shared_pbx(mode="agi", agi=stub.address) as pbx:
            truth, after = await answered(pbx)
            assert after["STATUS"] == "ok"
            assert after["ROUTE"] == "support"
            assert after["LIMIT"] == "0"
            assert truth.wait_s < USUAL
            assert stub.requests[0]["agi_callerid"] == "79165552001"
            assert dialled(stub) == ["", "", "74952222725", "74952222725"]

    runner.run(scenario())


def test_number_dialled_is_the_extension_left_where_nothing_else_tells_it(
    shared_pbx: SharedPbx, runner: asyncio.Runner
) -> None:
    async def scenario() -> None:
        async with StubAgi(Behaviour.ANSWER) as stub, shared_pbx(mode="agi", agi=stub.address) as pbx:
            _, manager = await asyncio.open_connection("127.0.0.1", pbx.ami_port)
            login = f"Action: Login\r\nUsername: observer\r\nSecret: {pbx.observer_secret}\r\n\r\n"
            order = "Action: Originate\r\nChannel: Local/74952222799@from-trunk\r\nApplication: Hangup\r\n\r\n"
            manager.write((login + order).encode())
            await until(lambda: bool(stub.requests))
            assert dialled(stub) == ["", "", "", "74952222799"]
            assert "Unknown argument" not in (pbx.folder / "log" / "messages").read_text(errors="replace")
            manager.close()

    runner.run(scenario())


def test_call_is_not_delayed_when_callrouter_is_down(shared_pbx: SharedPbx, runner: asyncio.Runner) -> None:
    async def scenario() -> None:
        async with shared_pbx(mode="agi", agi="agi://127.0.0.1:1/resolve") as pbx:
            truth, after = await answered(pbx)
            assert truth.wait_s < USUAL
            assert (after["STATUS"], after["ROUTE"], after["UNIQUE"]) == ("error", "", "0")

    runner.run(scenario())


@pytest.mark.parametrize("version", [22, 16])
def test_without_settings_the_router_beside_asterisk_is_asked(
    shared_pbx: SharedPbx, runner: asyncio.Runner, version: int, request: pytest.FixtureRequest
) -> None:
    software: PbxSoftware = request.getfixturevalue(f"asterisk_{version}")

    async def scenario() -> None:
        async with shared_pbx(software, mode="agi", agi="") as pbx:
            await answered(pbx)
            steps = (pbx.folder / "log" / "messages").read_text(errors="replace")
            assert '"agi://127.0.0.1:4573/resolve,,,74952222725,74952222725"' in steps

    runner.run(scenario())


@pytest.mark.parametrize("behaviour", [Behaviour.CLOSE_AT_ONCE, Behaviour.CLOSE_BEFORE_SCRIPT])
def test_call_is_not_delayed_when_callrouter_closes(
    shared_pbx: SharedPbx, runner: asyncio.Runner, behaviour: Behaviour
) -> None:
    async def scenario() -> None:
        async with StubAgi(behaviour) as stub, shared_pbx(mode="agi", agi=stub.address) as pbx:
            truth, after = await answered(pbx)
            assert truth.wait_s < USUAL
            assert after["STATUS"] == "error"

    runner.run(scenario())


def test_half_a_script_is_not_believed(shared_pbx: SharedPbx, runner: asyncio.Runner) -> None:
    async def scenario() -> None:
        commands = ('SET VARIABLE CALLROUTER_ROUTE "support"', 'SET VARIABLE CALLROUTER_STATUS "ok"')
        stub = StubAgi(Behaviour.CLOSE_IN_MID_SCRIPT, commands)
        async with stub, shared_pbx(mode="agi", agi=stub.address) as pbx:
            truth, after = await answered(pbx)
            assert truth.wait_s < USUAL
            assert (after["STATUS"], after["ROUTE"]) == ("error", "")

    runner.run(scenario())


@pytest.mark.parametrize("behaviour", [Behaviour.HANG, Behaviour.HANG_IN_MID_SCRIPT, Behaviour.GARBAGE])
def test_call_goes_on_when_the_watchdog_has_waited_long_enough(
    shared_pbx: SharedPbx, runner: asyncio.Runner, behaviour: Behaviour
) -> None:
    async def scenario() -> None:
        stub = StubAgi(behaviour, ('SET VARIABLE CALLROUTER_ROUTE "support"', 'SET VARIABLE CALLROUTER_STATUS "ok"'))
        async with stub, shared_pbx(mode="agi", agi=stub.address, seconds=SECONDS) as pbx:
            truth, after = await answered(pbx)
            assert SECONDS < truth.wait_s < SECONDS + USUAL
            assert (after["STATUS"], after["ROUTE"]) == ("late", "")

    runner.run(scenario())


def test_watchdog_works_the_same_on_asterisk_16(
    shared_pbx: SharedPbx, runner: asyncio.Runner, asterisk_16: PbxSoftware
) -> None:
    async def scenario() -> None:
        stub = StubAgi(Behaviour.HANG)
        async with stub, shared_pbx(asterisk_16, mode="agi", agi=stub.address, seconds=SECONDS) as pbx:
            truth, after = await answered(pbx)
            assert SECONDS < truth.wait_s < SECONDS + USUAL
            assert after["STATUS"] == "late"
            stub.behaviour = Behaviour.ANSWER
            truth, after = await answered(pbx, 2)
            assert truth.wait_s < USUAL
            assert after["STATUS"] == "ok"

    runner.run(scenario())


def test_unreachable_callrouter_costs_two_seconds_at_most(shared_pbx: SharedPbx, runner: asyncio.Runner) -> None:
    async def scenario() -> None:
        with unroutable() as address:
            async with shared_pbx(mode="agi", agi=address, seconds=SECONDS) as pbx:
                truth, after = await answered(pbx)
                assert truth.wait_s < SYN_LOST + USUAL
                assert after["STATUS"] in ("late", "error")

    runner.run(scenario())


@pytest.mark.parametrize("first", [Behaviour.HANG, Behaviour.CLOSE_AT_ONCE, None])
def test_second_router_answers_when_the_first_does_not(
    shared_pbx: SharedPbx, runner: asyncio.Runner, first: Behaviour | None
) -> None:
    async def scenario() -> None:
        async with StubAgi(first or Behaviour.HANG) as broken, StubAgi(Behaviour.ANSWER) as stub:
            address = broken.address if first else "agi://127.0.0.1:1/resolve"
            async with shared_pbx(mode="agi", agi=address, agi_2=stub.address, seconds=SECONDS) as pbx:
                truth, after = await answered(pbx)
                assert truth.wait_s < (SECONDS / 2 if first is Behaviour.HANG else 0) + USUAL
                assert (after["STATUS"], after["ROUTE"]) == ("ok", "support")

    runner.run(scenario())


@pytest.mark.parametrize("version", [22, 16])
@pytest.mark.parametrize("first", [Behaviour.HANG, Behaviour.CLOSE_AT_ONCE])
def test_two_routers_that_both_hang_hold_a_call_no_longer_than_one(
    shared_pbx: SharedPbx, runner: asyncio.Runner, first: Behaviour, version: int, request: pytest.FixtureRequest
) -> None:
    software: PbxSoftware = request.getfixturevalue(f"asterisk_{version}")

    async def scenario() -> None:
        async with StubAgi(first) as one, StubAgi(Behaviour.HANG) as other:
            attachment = {"mode": "agi", "agi": one.address, "agi_2": other.address, "seconds": SECONDS}
            async with shared_pbx(software, **attachment) as pbx:
                truth, after = await answered(pbx)
                assert SECONDS < truth.wait_s < SECONDS + USUAL
                assert (after["STATUS"], after["ROUTE"]) == ("late", "")
                assert len(other.requests) == 1

    runner.run(scenario())


def test_second_router_answers_when_the_first_is_unreachable(shared_pbx: SharedPbx, runner: asyncio.Runner) -> None:
    async def scenario() -> None:
        with unroutable() as address:
            stub = StubAgi(Behaviour.ANSWER)
            async with stub, shared_pbx(mode="agi", agi=address, agi_2=stub.address, seconds=SECONDS) as pbx:
                truth, after = await answered(pbx)
                assert truth.wait_s < SYN_LOST + USUAL
                assert (after["STATUS"], after["ROUTE"]) == ("ok", "support")

    runner.run(scenario())


def test_no_channel_is_left_behind_when_the_caller_gives_up_on_a_hung_callrouter(
    shared_pbx: SharedPbx, runner: asyncio.Runner
) -> None:
    async def scenario() -> None:
        async with StubAgi(Behaviour.HANG) as stub, shared_pbx(mode="agi", agi=stub.address, seconds=30) as pbx:
            plan = CallPlan(outcome=Outcome.ABANDONED_RINGING, caller="79165552003", did="74952222725", wait_s=0.3)
            await pbx.place(plan)

            async def nothing_is_left() -> bool:
                return "0 active channels" in await pbx.rx("core show channels count")

            await until(nothing_is_left)

    runner.run(scenario())


def test_absolute_limit_that_a_call_already_had_goes_on(shared_pbx: SharedPbx, runner: asyncio.Runner) -> None:
    async def scenario() -> None:
        stub = StubAgi(Behaviour.HANG)
        async with stub, shared_pbx(mode="agi", agi=stub.address, seconds=SECONDS) as pbx:
            await pbx.rx("dialplan set global LIMIT_BEFORE 60")
            _truth, after = await answered(pbx)
            assert 58 < float(after["LIMIT"]) < 59.1
            stub.behaviour = Behaviour.ANSWER
            _truth, after = await answered(pbx, 2)
            assert 59.5 < float(after["LIMIT"]) <= 60
            await pbx.rx('dialplan set global LIMIT_BEFORE ""')

    runner.run(scenario())


def test_hung_callrouter_does_not_hold_many_calls_longer_than_one(
    shared_pbx: SharedPbx, runner: asyncio.Runner, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with StubAgi(Behaviour.HANG) as stub, shared_pbx(mode="agi", agi=stub.address, seconds=SECONDS) as pbx:
            plans = [
                CallPlan(
                    outcome=Outcome.ANSWERED_IN_QUEUE, caller=f"7916555{2100 + n}", did="74952222725", talk_s=0.2,
                    destination=("support", "local")[n % 2],
                )
                for n in range(4)
            ]  # fmt: skip
            truths = await asyncio.gather(*(pbx.place(plan) for plan in plans))
            assert all(truth.status == "answered" for truth in truths)
            assert all(truth.wait_s < SECONDS + 4 * USUAL for truth in truths)

    runner.run(scenario())
