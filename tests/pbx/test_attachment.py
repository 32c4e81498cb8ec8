"""Our attachments to a real Asterisk: what it really sends, accepts and survives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from callrouter.ami.agi_wire import AgiRequest
from callrouter.ami.ari import AriClient, AriSettings
from callrouter.ami.connection import AmiConnection, AmiSettings
from callrouter.ami.fastagi import FastAgiServer
from callrouter.ami.snapshot import Snapshot
from callrouter.ami.wire import Event
from callrouter.clock import SystemClock
from callrouter.lab.calls import AsteriskLab
from callrouter.lab.obtain import PbxSoftware
from callrouter.lab.plan import CallPlan, Outcome
from tests.pbx.conftest import Build
from tests.pbx.poll import until

HOSTILE = 'Весна «2026», ${SHELL(id)} "quoted",A=B;c\\d\r\nx' * 4
CALL = CallPlan(outcome=Outcome.DIRECT, caller="79165552001", did="74952222725", talk_s=0.2)


class Watcher:
    def __init__(self, pbx: AsteriskLab) -> None:
        self.events: list[Event] = []
        self.states: list[str] = []
        self.snapshots: list[Snapshot] = []
        self.ami = AmiConnection(
            AmiSettings(
                name="pbx1", port=pbx.ami_port, username=pbx.ami_user, secret=pbx.ami_secret,
                ping_interval=0.3, action_timeout=2.0, first_wait=0.05, longest_wait=0.2,
            ),
            lambda event, _at: self.events.append(event),
            lambda state, _reason: self.states.append(state),
            SystemClock(),
            on_snapshot=self.snapshots.append,
        )  # fmt: skip

    def seen(self, name: str) -> list[Event]:
        return [event for event in self.events if event["Event"] == name]


@asynccontextmanager
async def watching(pbx: AsteriskLab) -> AsyncIterator[Watcher]:
    watcher = Watcher(pbx)
    await watcher.ami.start()
    try:
        await until(lambda: bool(watcher.snapshots))
        yield watcher
    finally:
        await watcher.ami.stop()


async def resolve(request: AgiRequest) -> Mapping[str, str]:
    return {
        "CALLROUTER_ROUTE": "support",
        "CALLROUTER_CAMPAIGN": HOSTILE,
        "CALLROUTER_KEYWORD": "окна " * 50,
        "CALLROUTER_SITE": request.called,
        "CALLROUTER_CLIENT": "",
        "CALLROUTER_UNIQUE": "1",
    }


@asynccontextmanager
async def door(resolve: Any = resolve) -> AsyncIterator[str]:
    server = FastAgiServer(resolve, SystemClock())
    try:
        yield f"agi://127.0.0.1:{await server.start('127.0.0.1', 0)}/resolve"
    finally:
        await server.stop(0.2)


def variables_after(pbx: AsteriskLab) -> dict[str, str]:
    log = (pbx.folder / "log" / "messages").read_text(errors="replace")
    after = log[log.rindex("after callrouter: ") :].splitlines()[0]
    return dict(part.split("=", 1) for part in after.removeprefix("after callrouter: ").split("|"))


def test_calls_under_way_are_in_the_snapshot_and_their_events_follow(new_pbx: Build) -> None:
    async def scenario() -> None:
        async with new_pbx() as pbx, watching(pbx) as watcher:
            assert watcher.snapshots[0].settings["SystemName"] == "pbx1"
            assert {q["Queue"] for q in watcher.snapshots[0].queues} >= {"sales"}
            call = asyncio.ensure_future(
                pbx.place(CallPlan(outcome=Outcome.DIRECT, caller="79165552001", did="74952222725", talk_s=2.0))
            )
            await until(lambda: len(watcher.seen("BridgeEnter")) == 2)
            async with watching(pbx) as second:
                snapshot = second.snapshots[0]
                assert len(snapshot.channels) == len(snapshot.status) == 2
                assert {c["Linkedid"] for c in snapshot.channels} == {watcher.seen("Newchannel")[0]["Uniqueid"]}
                (bridge,) = snapshot.bridges
                assert len(snapshot.bridged[bridge["BridgeUniqueid"]]) == 2
            await call
            await until(lambda: len(watcher.seen("Hangup")) == 2)
            assert all(float(event["Timestamp"]) for event in watcher.seen("Hangup"))

    asyncio.run(scenario())


def test_a_pbx_that_is_killed_and_started_again_is_found_again(new_pbx: Build) -> None:
    async def scenario() -> None:
        async with new_pbx() as pbx, watching(pbx) as watcher:
            await pbx.kill()
            await until(lambda: "lost" in watcher.states)
            await pbx.restart()
            await until(lambda: watcher.states[-1] == "up" and len(watcher.snapshots) > 1)
            first, last = watcher.snapshots[0].core, watcher.snapshots[-1].core
            assert last["CoreStartupTime"] >= first["CoreStartupTime"]
            await pbx.place(CALL)
            await until(lambda: len(watcher.seen("Hangup")) == 2)

    asyncio.run(scenario())


def test_a_pbx_that_hangs_is_noticed_and_taken_back(new_pbx: Build) -> None:
    async def scenario() -> None:
        async with new_pbx() as pbx, watching(pbx) as watcher:
            pbx.freeze()
            try:
                await until(lambda: "lost" in watcher.states, 3)
            finally:
                pbx.thaw()
            await until(lambda: watcher.states[-1] == "up")

    asyncio.run(scenario())


def test_hostile_values_reach_the_dialplan_as_text_through_agi(new_pbx: Build) -> None:
    async def scenario() -> None:
        async with door() as address, new_pbx(mode="agi", agi=address) as pbx:
            await pbx.place(CALL)
            after = variables_after(pbx)
            assert (after["STATUS"], after["ROUTE"], after["UNIQUE"]) == ("ok", "support", "1")

    asyncio.run(scenario())


def test_a_late_answer_keeps_the_call_150_ms(new_pbx: Build) -> None:
    async def scenario() -> None:
        async def never(request: AgiRequest) -> Mapping[str, str]:
            await asyncio.Event().wait()
            return {}

        async with door(never) as address, new_pbx(mode="agi", agi=address) as pbx:
            truth = await pbx.place(CALL)
            assert truth.wait_s < 1.2  # a busy machine; the watchdog would be 1.5
            assert variables_after(pbx)["STATUS"] == "late"

    asyncio.run(scenario())


@pytest.mark.parametrize("version", [22, 16])
def test_every_variable_arrives_through_either_door(
    new_pbx: Build, asterisk_22: PbxSoftware, request: pytest.FixtureRequest, version: int
) -> None:
    software = asterisk_22 if version == 22 else request.getfixturevalue("asterisk_16")
    expected = {
        "CALLROUTER_ROUTE": "support",
        "CALLROUTER_SITE": "74952222725",
        "CALLROUTER_CLIENT": "",
        "CALLROUTER_UNIQUE": "1",
        "CALLROUTER_STATUS": "ok",
    }

    async def scenario() -> None:
        async with door() as address:
            for mode in ("agi", "ari"):
                async with new_pbx(software, mode, mode=mode, agi=address, ami_filters=False) as pbx:
                    async with ari(pbx), watching(pbx) as watcher:
                        await pbx.place(CALL)
                    found = {e["Variable"]: e["Value"] for e in watcher.seen("VarSet")}
                    assert {name: found.get(name) for name in expected} == expected, mode
                    assert found["CALLROUTER_CAMPAIGN"].startswith("Весна 2026 SHELLid quotedABcdxВесна"), mode
                    assert len(found["CALLROUTER_CAMPAIGN"]) == 100, mode
                    assert found["CALLROUTER_KEYWORD"] == ("окна " * 20).strip(), mode

    asyncio.run(scenario())


@asynccontextmanager
async def ari(pbx: AsteriskLab, kind: type[AriClient] = AriClient) -> AsyncIterator[list[str]]:
    states: list[str] = []
    settings = AriSettings(
        name="pbx1", url=pbx.ari_url, username=pbx.ari_user, password=pbx.ari_password,
        first_wait=0.05, longest_wait=0.2, ping_interval=0.5,
    )  # fmt: skip
    client = kind(settings, resolve, lambda state, _reason: states.append(state), SystemClock())
    await client.start()
    try:
        await until(lambda: bool(states))
        yield states
    finally:
        await client.stop()


class Deaf(AriClient):
    """A router that dies between taking a call and handing it back."""

    def _take(self, question: AgiRequest) -> None:
        self.taken = True


def test_a_call_waiting_for_a_lost_router_is_handed_back_when_one_comes(new_pbx: Build) -> None:
    async def scenario() -> None:
        async with new_pbx(mode="ari", seconds=8) as pbx:
            async with ari(pbx, Deaf):
                call = asyncio.ensure_future(pbx.place(CALL))
                await until(lambda: "Stasis(" in (pbx.folder / "log" / "messages").read_text(errors="replace"))
                await asyncio.wait({call}, timeout=0.3)
            assert not call.done(), "the caller waits in the application"
            async with ari(pbx):
                truth = await call
            assert truth.wait_s < 7
            assert variables_after(pbx)["STATUS"] == "ok"

    asyncio.run(scenario())


def test_wrong_credentials_for_ari_are_said(new_pbx: Build) -> None:
    async def scenario() -> None:
        async with new_pbx(mode="ari") as pbx:
            pbx.ari_password = "wrong"
            async with ari(pbx) as states:
                assert states[0] == "refused"

    asyncio.run(scenario())


def test_an_ari_that_hangs_is_noticed_and_taken_back(new_pbx: Build) -> None:
    async def scenario() -> None:
        async with new_pbx(mode="ari") as pbx, ari(pbx) as states:
            pbx.freeze()
            try:
                await until(lambda: "lost" in states, 5)
            finally:
                pbx.thaw()
            await until(lambda: states[-1] == "up")
            await pbx.place(CALL)
            assert variables_after(pbx)["STATUS"] == "ok"

    asyncio.run(scenario())
