"""Each unsafe habit of stock panoramisk 1.4, in one scenario run twice: ours behaves, the stock class does not.

If a release of panoramisk mends one of these, the second half of its test says so, and our override may go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Protocol

import pytest
from panoramisk import Manager
from structlog.testing import capture_logs

from callrouter.ami.backoff import Backoff
from callrouter.ami.connection import AmiConnection, AmiSettings
from callrouter.clock import SystemClock
from tests.integration.ami.fake_asterisk import FakeAsterisk, fake_asterisk, stays_so, until

INTERVAL = 0.1


class Client(Protocol):
    events: list[dict[str, Any]]
    states: list[tuple[str, str]]
    fail: bool
    manager: Any

    def inject(self, data: bytes) -> None:
        """As if TCP had delivered exactly this piece."""

    def send(self, headers: dict[str, str]) -> Awaitable[Any]: ...

    def waiting(self) -> int:
        """Actions whose answers are kept a place."""

    def buffered(self) -> int: ...

    async def begin(self, fake: FakeAsterisk, secret: str) -> None: ...

    async def end(self) -> None: ...


class Ours:
    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.states: list[tuple[str, str]] = []
        self.fail = False
        self.manager: Any = None

    async def begin(self, fake: FakeAsterisk, secret: str) -> None:
        settings = AmiSettings(
            name="pbx1", port=fake.port, username="u", secret=secret, ping_interval=INTERVAL,
            action_timeout=INTERVAL,
            connect_timeout=INTERVAL * 3, first_wait=INTERVAL, longest_wait=INTERVAL * 3, variables=None,
        )  # fmt: skip
        self.manager = AmiConnection(settings, self._heard, lambda *s: self.states.append(s), SystemClock())
        await self.manager.start()
        await until(lambda: self.states)

    def _heard(self, event: dict[str, str], at: float) -> None:
        if self.fail:
            raise KeyError("a bug")
        self.events.append(event)

    def inject(self, data: bytes) -> None:
        self.manager.protocol.data_received(data)

    def send(self, headers: dict[str, str]) -> Awaitable[Any]:
        answer: Awaitable[Any] = self.manager.action(headers)
        return answer

    def waiting(self) -> int:
        return len(self.manager.protocol.responses)

    def buffered(self) -> int:
        return len(self.manager.protocol.reader._pending)

    async def end(self) -> None:
        await self.manager.stop()


class Stock:
    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.states: list[tuple[str, str]] = []
        self.fail = False
        self.manager: Any = None

    async def begin(self, fake: FakeAsterisk, secret: str) -> None:
        self.manager = Manager(
            host="127.0.0.1", port=fake.port, username="u", secret=secret, ping_delay=0,
            loop=asyncio.get_running_loop(), on_login=lambda m: self.states.append(("login", str(m.authenticated))),
        )  # fmt: skip
        self.manager.ping_interval = self.manager.reconnect_timeout = INTERVAL
        self.manager.register_event("*", self._heard)
        await self.manager.connect()
        await until(lambda: fake.received("Login"))

    def _heard(self, manager: Any, event: Any) -> None:
        if self.fail:
            raise KeyError("a bug")
        self.events.append(dict(event.items()))

    def inject(self, data: bytes) -> None:
        self.manager.protocol.data_received(data)

    def send(self, headers: dict[str, str]) -> Awaitable[Any]:
        future: Awaitable[Any] = self.manager.send_action(headers)
        return future

    def waiting(self) -> int:
        return len(self.manager.protocol.responses)

    def buffered(self) -> int:
        return sum(len(piece) for piece in self.manager.protocol.queue)

    async def end(self) -> None:
        self.manager.loop = asyncio.get_running_loop()
        self.manager.connect = lambda *a: None  # close() does not stop it
        self.manager.close()


Scenario = Callable[[Client, FakeAsterisk], Awaitable[bool]]


def replaced(scenario: Scenario) -> Callable[[type[Client], bool], None]:
    """A test of both classes: the scenario says whether the client behaved."""

    async def play(kind: type[Client]) -> bool:
        async with fake_asterisk() as fake:
            client = kind()
            await client.begin(fake, "wrong" if "password" in scenario.__name__ else "secret")
            try:
                return await scenario(client, fake)
            finally:
                await client.end()

    @pytest.mark.parametrize(("kind", "behaves"), [(Ours, True), (Stock, False)], ids=["ours", "stock-does-not"])
    def test(kind: type[Client], behaves: bool) -> None:
        assert asyncio.run(play(kind)) is behaves

    test.__doc__ = scenario.__doc__
    return test


async def letters_survive_any_cut(client: Client, fake: FakeAsterisk) -> bool:
    event = "Event: Newchannel\r\nCallerIDName: Иван Петров\r\n\r\n".encode()
    client.events.clear()
    for cut in range(len(event)):
        client.inject(event[:cut])
        client.inject(event[cut:])
    return [e["CallerIDName"] for e in client.events] == ["Иван Петров"] * len(event)


async def an_empty_last_header_is_kept(client: Client, fake: FakeAsterisk) -> bool:
    client.inject(b"Event: VarSet\r\nVariable: CALLROUTER_GROUP\r\nValue: \r\n\r\n")
    return client.events[-1].get("Value") == ""


async def a_repeated_header_stays_text(client: Client, fake: FakeAsterisk) -> bool:
    client.inject(b"Event: UserEvent\r\nUniqueid: 1\r\nUniqueid: 2\r\n\r\n")
    return isinstance(client.events[-1]["Uniqueid"], str)


async def a_line_break_in_a_value_is_refused(client: Client, fake: FakeAsterisk) -> bool:
    try:
        await client.send({"Action": "Setvar", "Value": "x\r\n\r\nAction: Originate\r\nChannel: PJSIP/carrier/900"})
    except ValueError:
        await client.send({"Action": "CoreStatus"})
    return await stays_so(lambda: not fake.received("Originate"), 0.2)


async def an_action_without_answer_ends_in_time_and_leaves_nothing(client: Client, fake: FakeAsterisk) -> bool:
    fake.mute = {"Reload"}
    with suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(asyncio.ensure_future(client.send({"Action": "Reload"}))), 1)
    return not any(action["Action"] == "Reload" for action in client.manager.protocol.responses.values())


async def an_action_in_flight_is_never_sent_twice(client: Client, fake: FakeAsterisk) -> bool:
    fake.mute = {"Originate"}
    fake.on_action = lambda action: fake.drop() if action["Action"] == "Originate" else None
    answer = asyncio.ensure_future(client.send({"Action": "Originate", "Channel": "PJSIP/201"}))
    await until(lambda: fake.connections > 1)
    failed = await stays_so(lambda: len(fake.received("Originate")) == 1, 0.5)
    return failed and answer.done() and isinstance(answer.exception(), ConnectionError)


async def a_consumers_exception_costs_only_its_event(client: Client, fake: FakeAsterisk) -> bool:
    client.fail = True
    fake.send(b"Event: Hangup\r\nUniqueid: 1\r\n\r\n")
    lasted = await stays_so(lambda: fake.connections == 1, 0.4)
    client.fail = False
    fake.send(b"Event: Hangup\r\nUniqueid: 2\r\n\r\n")
    await until(lambda: any(e.get("Uniqueid") == "2" for e in client.events) or not lasted)
    return lasted


async def a_silent_peer_is_left_and_tried_again(client: Client, fake: FakeAsterisk) -> bool:
    fake.mute = {"Ping"}
    return not await stays_so(lambda: fake.connections == 1, 10 * INTERVAL)


async def unanswered_pings_leave_nothing(client: Client, fake: FakeAsterisk) -> bool:
    fake.mute = {"Ping"}
    await until(lambda: len(fake.received("Ping")) > 4)
    return client.waiting() <= 1


async def a_wrong_password_is_said_and_tried_again_slowly(client: Client, fake: FakeAsterisk) -> bool:
    with capture_logs() as logs:
        again = not await stays_so(lambda: fake.connections == 1, 0.6)
    said = ("refused", "Authentication failed") in client.states
    return said and again and not any("wrong" in str(line) for line in logs)


async def closing_during_the_wait_stops_it(client: Client, fake: FakeAsterisk) -> bool:
    fake.drop()
    connections = fake.connections
    await asyncio.sleep(0)
    await (client.manager.stop() if isinstance(client, Ours) else close_stock(client))
    return await stays_so(lambda: fake.connections == connections, 5 * INTERVAL)


async def close_stock(client: Client) -> None:
    assert isinstance(client, Stock)
    await until(lambda: client.manager.protocol.closed)
    client.manager.close()


async def megabytes_without_an_end_are_not_kept(client: Client, fake: FakeAsterisk) -> bool:
    for _ in range(64):
        client.inject(b"x" * 65536)
    return client.buffered() < 2 << 20


async def a_login_that_never_ends_is_given_up(client: Client, fake: FakeAsterisk) -> bool:
    fake.mute = {"Login"}
    fake.drop()
    await until(lambda: fake.connections > 1)
    await until(lambda: len(fake.received("Login")) > 1)
    return not await stays_so(lambda: fake.connections == 2, 10 * INTERVAL)


test_letters_survive_any_cut = replaced(letters_survive_any_cut)
test_an_empty_last_header_is_kept = replaced(an_empty_last_header_is_kept)
test_a_repeated_header_stays_text = replaced(a_repeated_header_stays_text)
test_a_line_break_in_a_value_is_refused = replaced(a_line_break_in_a_value_is_refused)
test_an_action_without_answer_ends_in_time = replaced(an_action_without_answer_ends_in_time_and_leaves_nothing)
test_an_action_in_flight_is_never_sent_twice = replaced(an_action_in_flight_is_never_sent_twice)
test_a_consumers_exception_costs_only_its_event = replaced(a_consumers_exception_costs_only_its_event)
test_a_silent_peer_is_left_and_tried_again = replaced(a_silent_peer_is_left_and_tried_again)
test_unanswered_pings_leave_nothing = replaced(unanswered_pings_leave_nothing)
test_a_wrong_password_is_said = replaced(a_wrong_password_is_said_and_tried_again_slowly)
test_closing_during_the_wait_stops_it = replaced(closing_during_the_wait_stops_it)
test_megabytes_without_an_end_are_not_kept = replaced(megabytes_without_an_end_are_not_kept)
test_a_login_that_never_ends_is_given_up = replaced(a_login_that_never_ends_is_given_up)


def test_waits_between_attempts_grow_and_differ_where_the_stock_class_repeats_one() -> None:
    backoff = Backoff(0.5, 30)
    waits = [backoff.next() for _ in range(12)]
    assert len(set(waits)) == 12
    assert 15 <= waits[-1] <= 30
    stock: list[float] = []

    class Loop:
        def call_soon(self, *args: object) -> None: ...
        def call_later(self, delay: float, *args: object) -> None:
            stock.append(delay)

    manager = Manager(loop=Loop())
    for _ in range(12):
        manager.connection_lost(None)
    assert len(set(stock)) == 1
