"""The shipped AMI user sees what call tracking needs, is spared the rest, and may change nothing on the PBX."""

from __future__ import annotations

import asyncio
import re
from collections import Counter

import pytest

from callrouter.calls.tracker import RELEVANT_EVENTS, RELEVANT_VARIABLES
from callrouter.lab.asterisk import SHIPPED
from callrouter.lab.calls import AsteriskLab
from callrouter.lab.obtain import PbxSoftware
from callrouter.lab.plan import CallPlan, Outcome
from tests.captures.make import Tap
from tests.pbx.conftest import SharedPbx


async def events_of(pbx: AsteriskLab, *plans: CallPlan, user: str = "") -> tuple[Counter[str], bytes]:
    secret = pbx.observer_secret if user else pbx.ami_secret
    tap = Tap(pbx.ami_port, user or pbx.ami_user, secret)
    await tap.open()
    for plan in plans:
        await pbx.place(plan)
    data = await tap.close(quiet=0.3)
    return Counter(name.decode() for name in re.findall(rb"\nEvent: (\w+)", data)), data


@pytest.mark.parametrize("name", ["manager_callrouter.conf", "manager_callrouter_22.conf"])
def test_filter_names_each_event_that_call_tracking_reads(name: str) -> None:
    filters = [line for line in (SHIPPED / name).read_text().splitlines() if line.startswith("eventfilter")]
    listed = {"CoreShowChannel", "Status", "BridgeListItem", "BridgeInfoChannel", "QueueEntry", "CoreStatus"}
    for event in RELEVANT_EVENTS - listed:
        if not event.endswith("Complete") or event == "AgentComplete":  # those end a list that was asked for
            assert any(re.search(rf"\b{event}\b", line) or begins(event, line) for line in filters), event
    for variable in RELEVANT_VARIABLES:
        patterns = [line for line in filters if "VarSet" in line]
        assert any(variable.lstrip("_").removeprefix("CALLROUTER_") in pattern for pattern in patterns)


def begins(event: str, line: str) -> bool:
    _, starts_with, text = line.partition("method(starts_with)) = Event: ")
    return bool(starts_with) and event.startswith(text)


@pytest.mark.parametrize("version", [22, 16])
def test_filter_passes_what_tracking_needs_and_little_else(
    shared_pbx: SharedPbx, runner: asyncio.Runner, asterisk_22: PbxSoftware, asterisk_16: PbxSoftware, version: int
) -> None:
    async def scenario() -> None:
        async with shared_pbx(
            asterisk_22 if version == 22 else asterisk_16, mode="agi", agi="agi://127.0.0.1:1/x"
        ) as pbx:
            queue = CallPlan(outcome=Outcome.BLIND_TRANSFER, caller="79165554001", did="74952222725", talk_s=0.3)
            group = CallPlan(outcome=Outcome.RING_GROUP, caller="79165554002", did="74952222725", talk_s=0.3)
            menu = CallPlan(outcome=Outcome.ABANDONED_IN_IVR, caller="79165554003", did="74952222725")
            nobody = CallPlan(outcome=Outcome.NO_AGENTS, caller="79165554004", did="74952222725")
            seen, data = await events_of(pbx, queue, group, menu, nobody)
            needed = {"Newchannel", "DialBegin", "DialEnd", "BridgeEnter", "BridgeLeave", "Hangup", "QueueCallerJoin"}
            assert needed <= set(seen)
            assert seen["BlindTransfer"] == 1
            assert seen["FullyBooted"] == 1
            assert b"Variable: CALLROUTER_GROUP\r\nValue: shop" in data
            assert b"Variable: QUEUESTATUS\r\nValue: JOINEMPTY" in data
            assert re.search(rb"Application: BackGround\r\n", data)
            assert not {"TestEvent", "CEL", "Cdr", "NewConnectedLine", "SuccessfulAuth"} & set(seen)
            assert {*re.findall(rb"Event: Newstate\r\n(?:.+\r\n)*?ChannelState: (\d+)", data)} == {b"6"}
            assert b"0" not in re.findall(rb"Event: NewCallerid\r\n(?:.+\r\n)*?ChannelState: (\d+)", data)
            variables = set(re.findall(rb"\nVariable: (\w+)", data))
            assert variables <= {
                b"CALLROUTER_GROUP", b"MIXMONITOR_FILENAME", b"QUEUESTATUS"
            }  # fmt: skip

    runner.run(scenario())


@pytest.mark.parametrize(
    "action",
    [
        "Action: Originate\r\nChannel: Local/1@from-internal\r\nApplication: Hangup",
        "Action: Command\r\nCommand: core show version",
        "Action: Hangup\r\nChannel: /.*/",
        "Action: Redirect\r\nChannel: x\r\nContext: from-internal\r\nExten: 201\r\nPriority: 1",
        "Action: Setvar\r\nVariable: A\r\nValue: B",
        "Action: GetConfig\r\nFilename: manager.conf",
        "Action: QueueAdd\r\nQueue: sales\r\nInterface: PJSIP/299",
        "Action: DBPut\r\nFamily: a\r\nKey: b\r\nVal: c",
    ],
)
def test_ami_user_may_change_nothing(shared_pbx: SharedPbx, runner: asyncio.Runner, action: str) -> None:
    assert b"Permission denied" in runner.run(_answer(shared_pbx, action))


@pytest.mark.parametrize("action", ["CoreStatus", "CoreShowChannels", "Status", "BridgeList", "QueueStatus", "Ping"])
def test_ami_user_may_ask_what_reattaching_needs(shared_pbx: SharedPbx, runner: asyncio.Runner, action: str) -> None:
    assert b"Response: Success" in runner.run(_answer(shared_pbx, f"Action: {action}"))


async def _answer(shared_pbx: SharedPbx, action: str) -> bytes:
    async with shared_pbx() as pbx:
        tap = Tap(pbx.ami_port, pbx.ami_user, pbx.ami_secret)
        await tap.open()
        return await tap.ask(action)
