"""A manager interface on a real socket that answers, or fails to, as a test wants it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from callrouter.ami.wire import Event, EventReader

BANNER = b"Asterisk Call Manager/11.0.0\r\n"
BOOTED = b"Event: FullyBooted\r\nPrivilege: system,all\r\nStatus: Fully Booted\r\n\r\n"
LISTS = {
    "CoreShowChannels": ("CoreShowChannel", "CoreShowChannelsComplete"),
    "Status": ("Status", "StatusComplete"),
    "BridgeList": ("BridgeListItem", "BridgeListComplete"),
    "BridgeInfo": ("BridgeInfoChannel", "BridgeInfoComplete"),
    "QueueStatus": ("QueueParams", "QueueStatusComplete"),
}
ITEM = {
    "CoreShowChannel": "Channel: PJSIP/carrier-1\r\nUniqueid: pbx1-1.1\r\nLinkedid: pbx1-1.1\r\n",
    "Status": "Channel: PJSIP/carrier-1\r\nUniqueid: pbx1-1.1\r\nDNID: 74952232725\r\n",
    "BridgeListItem": "BridgeUniqueid: b1\r\n",
    "BridgeInfoChannel": "Uniqueid: pbx1-1.1\r\n",
    "QueueParams": "Queue: sales\r\n",
}


class FakeAsterisk:
    """Answers Login, Ping and lists; `mute` names actions that get no answer, `password` is the one that is right."""

    def __init__(self) -> None:
        self.actions: list[Event] = []
        self.connections = 0
        self.refused_until = 0.0
        self.mute: set[str] = set()
        self.password = "secret"
        self.port = 0
        self.on_action: Callable[[Event], None] = lambda action: None
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def here(self) -> int:
        """How many are connected now."""
        return len(self._tasks)

    def received(self, name: str) -> list[Event]:
        return [action for action in self.actions if action["Action"] == name]

    def send(self, data: bytes) -> None:
        self._writers[-1].write(data)

    def drop(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self._writers.append(writer)
        writer.write(BANNER)
        actions = EventReader()
        try:
            while data := await reader.read(65536):
                for block in actions.feed(data.replace(b"Action: ", b"Event: Action\r\nAction: ")):
                    block.pop("Event")
                    self.actions.append(block)
                    self.on_action(block)
                    if block["Action"] not in self.mute:
                        writer.write(self.answer(block))
        except (ConnectionError, asyncio.CancelledError):
            pass  # the test is over
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    def answer(self, action: Event) -> bytes:
        name, tag = action["Action"], f"ActionID: {action.get('ActionID', '')}\r\n"
        if name == "Login":
            if action["Secret"] != self.password:
                return f"Response: Error\r\n{tag}Message: Authentication failed\r\n\r\n".encode()
            return f"Response: Success\r\n{tag}Message: Authentication accepted\r\n\r\n".encode() + BOOTED
        if name in LISTS:
            item, complete = LISTS[name]
            return (
                f"Response: Success\r\n{tag}EventList: start\r\nMessage: List will follow\r\n\r\n"
                f"Event: {item}\r\n{tag}{ITEM[item]}\r\n"
                f"Event: {complete}\r\n{tag}EventList: Complete\r\nListItems: 1\r\n\r\n"
            ).encode()
        return f"Response: Success\r\n{tag}SystemName: pbx1\r\n\r\n".encode()


@asynccontextmanager
async def fake_asterisk() -> AsyncIterator[FakeAsterisk]:
    fake = FakeAsterisk()
    server = await asyncio.start_server(fake.serve, "127.0.0.1", 0)
    fake.port = server.sockets[0].getsockname()[1]
    try:
        yield fake
    finally:
        server.close()
        fake.drop()
        for task in list(fake._tasks):
            task.cancel()
        await asyncio.gather(*fake._tasks, return_exceptions=True)


async def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.005)


async def stays_so(condition: Callable[[], object], seconds: float) -> bool:
    """Whether it is true throughout: for what must not, or with the stock class does not, happen."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not condition():
            return False
        await asyncio.sleep(0.01)
    return True
