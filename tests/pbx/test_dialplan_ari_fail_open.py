"""The ARI door lets calls through as the FastAGI door does: no application, a hung one, one that dies with the call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import websockets

from callrouter.lab.calls import AsteriskLab
from callrouter.lab.obtain import PbxSoftware
from tests.pbx.conftest import SharedPbx
from tests.pbx.poll import until
from tests.pbx.test_dialplan_fail_open import SECONDS, USUAL, answered, direct_call


@asynccontextmanager
async def silent_application(pbx: AsteriskLab) -> AsyncIterator[websockets.ClientConnection]:
    """An ARI application that takes calls and does nothing with them."""
    url = pbx.ari_url.replace("http", "ws")
    async with websockets.connect(f"{url}/events?app=callrouter&api_key={pbx.ari_user}:{pbx.ari_password}") as socket:
        yield socket


def test_call_is_not_delayed_when_no_application_is_connected(shared_pbx: SharedPbx, runner: asyncio.Runner) -> None:
    async def scenario() -> None:
        async with shared_pbx(mode="ari") as pbx:
            truth, after = await answered(pbx)
            assert truth.wait_s < USUAL
            assert (after["STATUS"], after["UNIQUE"]) == ("error", "0")

    runner.run(scenario())


@pytest.mark.parametrize("version", [22, 16])
def test_call_goes_on_when_the_application_never_answers(
    shared_pbx: SharedPbx, runner: asyncio.Runner, asterisk_22: PbxSoftware, asterisk_16: PbxSoftware, version: int
) -> None:
    async def scenario() -> None:
        software = asterisk_22 if version == 22 else asterisk_16
        async with shared_pbx(software, mode="ari", seconds=SECONDS) as pbx, silent_application(pbx) as application:
            truth, after = await answered(pbx)
            assert '"74952222725"' in str(await application.recv())
            assert SECONDS < truth.wait_s < SECONDS + USUAL
            assert after["STATUS"] == "late"

    runner.run(scenario())


def test_call_goes_on_when_the_application_dies_with_the_call_in_hand(
    shared_pbx: SharedPbx, runner: asyncio.Runner
) -> None:
    async def scenario() -> None:
        async with shared_pbx(mode="ari", seconds=SECONDS) as pbx:
            async with silent_application(pbx) as application:
                call = asyncio.create_task(pbx.place(direct_call()))
                await application.recv()
                application.transport.abort()
            truth = await call
            assert truth.wait_s < SECONDS + USUAL

    runner.run(scenario())


def test_channel_is_freed_when_the_caller_gives_up_on_a_hung_application(
    shared_pbx: SharedPbx, runner: asyncio.Runner
) -> None:
    async def scenario() -> None:
        async with shared_pbx(mode="ari", seconds=30) as pbx, silent_application(pbx) as application:
            leg = pbx.phones.agent.start_call("79165552009", "74952222725")
            await application.recv()
            await leg.hang_up()

            async def nothing_is_left() -> bool:
                return "0 active channels" in await pbx.rx("core show channels count")

            await until(nothing_is_left)

    runner.run(scenario())
