"""The connection as the router sees it: up, events, snapshot, lost, up again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from structlog.testing import capture_logs

from callrouter.ami.connection import AmiConnection, AmiSettings
from callrouter.ami.snapshot import Snapshot
from callrouter.ami.wire import Event
from callrouter.clock import Clock, SystemClock
from tests.integration.ami.fake_asterisk import BOOTED, FakeAsterisk, fake_asterisk, stays_so, until


@dataclass
class Router:
    """Keeps what it is told, in order."""

    heard: list[Event] = field(default_factory=list)
    states: list[tuple[str, str]] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    ami: AmiConnection = field(init=False)

    def ups(self) -> int:
        return [state for state, _ in self.states].count("up")


@asynccontextmanager
async def router(
    fake: FakeAsterisk, secret: str = "secret", *, clock: Clock | None = None,
    heard_at: Callable[[float], None] = lambda _at: None, **settings: object,
) -> AsyncIterator[Router]:  # fmt: skip
    one = Router()
    values = {"ping_interval": 0.1, "action_timeout": 1.0, "first_wait": 0.02, "longest_wait": 0.1} | settings

    def on_event(event: Event, at: float) -> None:
        heard_at(at)
        one.heard.append(event)

    one.ami = AmiConnection(
        AmiSettings(name="pbx1", port=fake.port, username="u", secret=secret, **values),  # type: ignore[arg-type]
        on_event,
        lambda *state: one.states.append(state),
        clock or SystemClock(),
        on_snapshot=one.snapshots.append,
    )
    await one.ami.start()
    try:
        yield one
    finally:
        await one.ami.stop()


def test_a_login_is_followed_by_one_snapshot_of_everything() -> None:
    async def scenario() -> None:
        async with fake_asterisk() as fake, router(fake) as r:
            await until(lambda: r.snapshots)
            snapshot = r.snapshots[0]
            assert [c["Uniqueid"] for c in snapshot.channels] == ["pbx1-1.1"]
            assert snapshot.status[0]["DNID"] == "74952232725"
            assert snapshot.bridged["b1"][0]["Uniqueid"] == "pbx1-1.1"
            assert snapshot.bridged["b1"][0]["BridgeUniqueid"] == "b1"
            names = "BridgeListItem Status CoreShowChannel BridgeInfoChannel QueueParams CoreShowChannelsComplete"
            assert [event["Event"] for event in snapshot.events()] == names.split()
            assert snapshot.queues[0]["Queue"] == "sales"
            assert snapshot.settings["SystemName"] == "pbx1"
            assert snapshot.began_at <= snapshot.taken_at
            assert r.states[0] == ("up", "Asterisk Call Manager/11.0.0")
            assert [e["Event"] for e in r.heard] == ["FullyBooted"]
            assert await stays_so(lambda: len(r.snapshots) == 1, 0.2)

    asyncio.run(scenario())


def test_an_asterisk_that_finishes_starting_later_is_asked_again() -> None:
    async def scenario() -> None:
        async with fake_asterisk() as fake, router(fake) as r:
            await until(lambda: r.snapshots)
            fake.send(BOOTED)
            await until(lambda: len(r.snapshots) == 2)

    asyncio.run(scenario())


def test_a_lost_connection_comes_back_with_a_new_snapshot() -> None:
    async def scenario() -> None:
        async with fake_asterisk() as fake, router(fake) as r:
            for times in range(1, 4):
                await until(lambda: r.ups() == len(r.snapshots) == times)  # noqa: B023 - run at once
                fake.drop()
            await until(lambda: r.ups() == 4)
            assert [state for state, _ in r.states] == ["up", "lost"] * 3 + ["up"]

    asyncio.run(scenario())


def test_a_right_password_after_a_wrong_one_needs_no_restart() -> None:
    async def scenario() -> None:
        async with fake_asterisk() as fake:
            fake.password = "other"
            with capture_logs() as logs:
                async with router(fake) as r:
                    await until(lambda: len(r.states) >= 3)
                    assert set(r.states) == {("refused", "Authentication failed")}
                    fake.password = "secret"
                    await until(r.ups)
            refusals = [line for line in logs if line["event"] == "AMI-LOGIN-REFUSED"]
            assert len(refusals) == 1, "said once, not at every attempt"

    asyncio.run(scenario())


def test_nobody_listening_is_waited_for() -> None:
    async def scenario() -> None:
        async with fake_asterisk() as fake:
            port, fake.port = fake.port, 1
            async with router(fake) as r:
                await until(lambda: len(r.states) > 2)
                assert {state for state, _ in r.states} == {"lost"}
                with pytest.raises(ConnectionError):
                    await r.ami.action({"Action": "Ping"})
            fake.port = port

    asyncio.run(scenario())


def test_a_server_that_is_no_asterisk_is_named_as_such() -> None:
    async def scenario() -> None:
        async with fake_asterisk() as fake:
            fake.mute = {"Login"}
            async with router(fake, connect_timeout=0.1) as r:
                await until(lambda: r.states)
                assert r.states[0] == ("lost", "no answer to the login (Asterisk Call Manager/11.0.0)")

    asyncio.run(scenario())


def test_events_are_let_gather_and_an_action_does_not_wait_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callrouter.ami.protocol.GATHER_S", 3600.0)

    async def scenario() -> None:
        async with fake_asterisk() as fake, router(fake, ping_interval=60.0) as r:
            await until(lambda: r.snapshots)
            await until(lambda: not r.ami.protocol.transport.is_reading())
            for number in "123":
                fake.send(f"Event: Hangup\r\nUniqueid: {number}\r\n\r\n".encode())
            assert await stays_so(lambda: r.heard[-1]["Event"] == "FullyBooted", 0.1)
            assert (await r.ami.action({"Action": "Ping"}))[0]["Response"] == "Success"
            assert [e["Uniqueid"] for e in r.heard if e["Event"] == "Hangup"] == ["1", "2", "3"]

    asyncio.run(scenario())


def test_garbage_half_events_and_a_cut_off_event_cost_nothing_else() -> None:
    async def scenario() -> None:
        async with fake_asterisk() as fake, router(fake) as r:
            await until(lambda: r.snapshots)
            fake.send(
                b"\0\xff\xfe garbage \r\n\r\n" + b"x" * (3 << 20) + b"\r\n\r\nEvent: Hangup\r\nUniqueid: 1\r\n\r\n"
            )
            await until(lambda: r.heard[-1]["Event"] == "Hangup")
            fake.send(b"Event: Hangup\r\nUniq")
            fake.drop()
            await until(lambda: r.ups() == 2)
            fake.send(b"Event: Hangup\r\nUniqueid: 2\r\n\r\n")
            await until(lambda: r.heard[-1].get("Uniqueid") == "2")
            assert [e["Uniqueid"] for e in r.heard if e["Event"] == "Hangup"] == ["1", "2"]

    asyncio.run(scenario())


def test_an_answer_after_its_time_limit_is_not_taken_for_an_event() -> None:
    async def scenario() -> None:
        async with fake_asterisk() as fake, router(fake) as r:
            await until(lambda: r.snapshots)
            fake.mute = {"Status"}
            with pytest.raises(TimeoutError):
                await r.ami.action({"Action": "Status"}, timeout=0.05)
            fake.send(fake.answer(fake.received("Status")[-1]))
            fake.send(b"Event: Hangup\r\nUniqueid: 1\r\n\r\n")
            await until(lambda: r.heard[-1]["Event"] == "Hangup")
            assert "Status" not in [e["Event"] for e in r.heard]

    asyncio.run(scenario())


def test_answers_to_another_clients_actions_are_events_to_us() -> None:
    async def scenario() -> None:
        async with fake_asterisk() as fake, router(fake) as r:
            await until(lambda: r.snapshots)
            fake.send(b"Event: OriginateResponse\r\nActionID: other-1\r\nResponse: Failure\r\nUniqueid: 9\r\n\r\n")
            fake.send(b"Event: Hangup\r\nUniqueid: 1\r\n\r\n")
            await until(lambda: r.heard[-1]["Event"] == "Hangup")
            assert r.heard[-2]["Event"] == "OriginateResponse"

    asyncio.run(scenario())


def test_a_busy_peer_that_answers_no_ping_but_sends_events_is_kept() -> None:
    async def scenario() -> None:
        async with fake_asterisk() as fake, router(fake) as r:
            await until(lambda: r.snapshots)
            fake.mute = {"Ping"}

            def busy() -> bool:
                fake.send(b"Event: Newexten\r\nUniqueid: 1\r\n\r\n")
                return fake.connections == 1

            assert await stays_so(busy, 0.6)

    asyncio.run(scenario())


class SetClock(SystemClock):
    """That of a machine whose clock is set meanwhile."""

    off = timedelta()

    def now(self) -> datetime:
        return super().now() + self.off


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_silent_peer_is_left_and_a_living_one_kept_whatever_is_made_of_our_clock(hours: int) -> None:
    async def scenario() -> None:
        clock = SetClock()
        async with fake_asterisk() as fake, router(fake, clock=clock) as r:
            await until(lambda: r.snapshots)
            clock.off = timedelta(hours=hours)
            assert await stays_so(lambda: fake.connections == 1, 0.4)
            fake.mute = {"Ping"}
            clock.off = timedelta()
            await until(lambda: fake.connections > 1, 5)

    asyncio.run(scenario())


def test_what_has_no_time_of_its_own_gets_the_pbxs_whatever_our_clock_says() -> None:
    async def scenario() -> None:
        clock, at = SetClock(), list[float]()
        async with fake_asterisk() as fake, router(fake, clock=clock, heard_at=at.append) as r:
            await until(lambda: r.snapshots)
            fake.send(b"Event: Newexten\r\nUniqueid: 1\r\nTimestamp: 1700000000.5\r\n\r\n")
            await until(lambda: r.heard[-1]["Event"] == "Newexten")
            clock.off = timedelta(days=400)
            fake.send(b"Event: Hangup\r\nUniqueid: 1\r\n\r\n")
            await until(lambda: r.heard[-1]["Event"] == "Hangup")
            assert 0 <= at[-1] - 1700000000.5 < 10
            fake.drop()
            await until(lambda: len(r.snapshots) > 1)
            assert abs(r.snapshots[-1].taken_at.timestamp() - at[-1]) < 10, "known also of the next connection"

    asyncio.run(scenario())


def test_a_hundred_reconnections_leave_no_task_behind() -> None:
    async def scenario() -> None:
        async with fake_asterisk() as fake, router(fake, first_wait=0.0, longest_wait=0.0) as r:
            for times in range(100):
                await until(lambda: r.ups() > times)  # noqa: B023 - run at once
                fake.drop()
            await until(lambda: r.ups() == 101)
            assert len([t for t in asyncio.all_tasks() if (t.get_name() or "").startswith("ami ")]) <= 3

    asyncio.run(scenario())
