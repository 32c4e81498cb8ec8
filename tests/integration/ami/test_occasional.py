"""A connection that is there while it is wanted: it rests, wakes, and looks whether it would still work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from callrouter.ami import metrics, occasional
from callrouter.ami.connection import AmiSettings
from callrouter.ami.occasional import Occasional
from callrouter.clock import SystemClock
from tests.integration.ami.fake_asterisk import FakeAsterisk, fake_asterisk, stays_so, until


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(occasional, "TEND_SECONDS", 0.02)
    monkeypatch.setattr(occasional, "QUIET_SECONDS", 0.1)
    monkeypatch.setattr(occasional, "CONNECT_SECONDS", 0.5)


@asynccontextmanager
async def line(fake: FakeAsterisk) -> AsyncIterator[Occasional]:
    settings = AmiSettings(
        name="pbx1 callbacks", port=fake.port, username="u", secret="secret", mask="call", first_wait=0.02,
        longest_wait=0.1, ping_interval=0.1,
    )  # fmt: skip
    one = Occasional(settings, SystemClock())
    await one.start()
    tending = asyncio.create_task(one.tend())
    try:
        yield one
    finally:
        tending.cancel()
        await asyncio.gather(tending, return_exceptions=True)
        await one.stop()


def rests(fake: FakeAsterisk) -> bool:
    """Nobody is connected, and no metric says that somebody should be."""
    told = {sample.labels["pbx"] for metric in metrics.AMI_UP.collect() for sample in metric.samples}
    return "pbx1 callbacks" not in told and fake.here == 0


def test_it_rests_when_nobody_needs_it_and_is_there_when_somebody_does() -> None:
    async def scenario() -> None:
        async with fake_asterisk() as fake, line(fake) as one:
            await until(lambda: one.ok)
            assert fake.received("Login")[0]["Events"] == "call"
            await until(lambda: rests(fake))
            assert one.ok, "it worked when it was tried last"
            async with one.connected() as connection:
                assert (await connection.action({"Action": "Ping"}))[0]["Response"] == "Success"
                assert await stays_so(lambda: not rests(fake), 0.4)
            await until(lambda: rests(fake))
            assert (fake.connections, len(fake.received("Login"))) == (2, 2)

    asyncio.run(scenario())


def test_who_comes_while_it_lies_down_and_several_at_once_share_one_connection() -> None:
    async def scenario() -> None:
        async with fake_asterisk() as fake, line(fake) as one:

            async def ask() -> None:
                async with one.connected() as connection:
                    await connection.action({"Action": "Ping"})

            await until(lambda: one.ok)
            for _ in range(5):
                await until(lambda: rests(fake))
                await asyncio.gather(*(ask() for _ in range(4)))
            assert fake.connections == 6

    asyncio.run(scenario())


def test_it_looks_from_time_to_time_whether_it_would_still_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(occasional, "LOOK_SECONDS", 0.3)

    async def scenario() -> None:
        async with fake_asterisk() as fake, line(fake) as one:
            await until(lambda: one.ok)
            await until(lambda: rests(fake))
            fake.password = "another"
            await until(lambda: not one.ok)
            with pytest.raises(ConnectionError, match="Authentication failed"):
                async with one.connected():
                    pass
            fake.password = "secret"
            assert await one.wake()

    asyncio.run(scenario())
