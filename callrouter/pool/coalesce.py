"""What is asked while other questions are under way travels together: one send and one wait for all of them.

A single command costs a client more than the server: one send, one wake-up, one connection taken and given back. Under
load these are shared by all that gathered meanwhile; a lone question is sent at once. Cancelling one leaves the others
alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from functools import partial
from typing import Any, Generic, Protocol, TypeVar
from weakref import WeakKeyDictionary

from redis import exceptions
from redis.asyncio import RedisCluster

from callrouter.background import Background
from callrouter.pool.keys import Slot
from callrouter.pool.line import Line, Lost, packed
from callrouter.pool.nodes import NodeSender, Words
from callrouter.pool.scripts import Script

Q = TypeVar("Q")
A = TypeVar("A")
Command = tuple[Script, tuple[bytes, ...]]
"""A script and what it is told, its slot first."""
Sent = tuple[Command, "asyncio.Future[Any]"]

BATCH = 64
"""Questions per flight: a script that runs long delays everybody else on the server."""
FLIGHTS = 2
"""Batches under way at once by the client: while one is answered the next is gathered."""
ON_LINE = 1
"""The same by the line, where a batch is answered so soon that a second would only leave with fewer questions."""
IN_FLIGHT = 2 * BATCH
"""Single commands on a line at once: the rest waits here, for the line gives up on replies that come late."""


class RedisClient(Protocol):
    """What we use of `redis.asyncio.Redis` and `redis.asyncio.RedisCluster` alike."""

    def evalsha(self, sha: str, numkeys: int, *args: Any) -> Awaitable[Any]: ...
    def eval(self, script: str, numkeys: int, *args: Any) -> Awaitable[Any]: ...
    def pipeline(self, transaction: bool = ...) -> Any: ...
    def execute_command(self, *args: Any) -> Awaitable[Any]: ...


_flying: WeakKeyDictionary[RedisClient, Background] = WeakKeyDictionary()


def flights_of(client: RedisClient) -> Background:
    """All that is under way by this client."""
    background = _flying.get(client)
    if background is None:
        background = _flying[client] = Background()
    return background


class _Flights(Generic[Q, A]):
    """Gathers questions and sends them off a batch at a time. What carries a batch is up to the subclass."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client
        self._nodes = NodeSender(client) if isinstance(client, RedisCluster) else None
        self._waiting: list[tuple[Q, asyncio.Future[A]]] = []
        self._flights: set[asyncio.Task[object]] = set()
        self._called = False

    _most = FLIGHTS

    def _gather(self, question: Q) -> asyncio.Future[A]:
        answer: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, answer))
        if not self._called and self._under_way() < self._most:
            self._fly_soon()
        return answer

    def _fly_soon(self) -> None:
        """Once this tick is over, so that all who ask in it travel together."""
        self._called = True
        asyncio.get_running_loop().call_soon(self._fly)

    def _fly(self) -> None:
        """Send off what waits."""
        self._called = False
        self._waiting = [entry for entry in self._waiting if not entry[1].done()]
        while self._waiting and self._under_way() < self._most:
            batch = self._waiting[:BATCH]
            del self._waiting[:BATCH]
            self._depart(batch)

    def _under_way(self) -> int:
        return len(self._flights)

    def _depart(self, batch: list[tuple[Q, asyncio.Future[A]]]) -> None:
        flight = flights_of(self._client).start("store-flight", self._take(batch))
        self._flights.add(flight)
        flight.add_done_callback(partial(self._landed, batch))

    def _landed(self, batch: list[tuple[Q, asyncio.Future[A]]], flight: asyncio.Task[object]) -> None:
        self._flights.discard(flight)
        for _, answer in batch:
            if not answer.done():  # it was cancelled, or is a fault of ours
                answer.set_exception(exceptions.ConnectionError("the client was closed"))
        if self._waiting:
            self._fly()

    async def _take(self, batch: list[tuple[Q, asyncio.Future[A]]]) -> None:
        try:
            found = await self._carry([question for question, _ in batch])
        except (exceptions.RedisError, exceptions.RedisClusterException, OSError, ValueError) as error:
            found = [error] * len(batch)
        for (_, answer), each in zip(batch, found, strict=True):
            if answer.done():
                continue
            if isinstance(each, Exception):
                answer.set_exception(each)
            else:
                answer.set_result(each)

    async def _carry(self, questions: list[Q]) -> list[A | Exception]:
        """The answers in the order of the questions; an exception where one failed, raised where all did."""
        raise NotImplementedError

    async def _send(self, commands: list[tuple[Script, Words]]) -> list[Any]:
        """Carry out scripts, each with its words (slot first), by one send."""
        if self._nodes is not None:
            return await self._nodes.send(commands)
        if len(commands) == 1:
            script, words = commands[0]
            return [await self._alone(script, words)]
        pipeline = self._client.pipeline(transaction=False)
        for script, words in commands:
            pipeline.execute_command("EVALSHA", script.sha, 1, *words)
        replies: list[Any] = await pipeline.execute(raise_on_error=False)
        for place, reply in enumerate(replies):
            if isinstance(reply, exceptions.NoScriptError):
                script, words = commands[place]
                replies[place] = await self._client.eval(script.text, 1, *words)
        return replies

    async def _alone(self, script: Script, words: Words) -> Any:
        try:
            return await self._client.evalsha(script.sha, 1, *words)
        except exceptions.NoScriptError:
            return await self._client.eval(script.text, 1, *words)


class Pipeliner(_Flights[Command, Any]):
    """Scripts as they come, each a command of its own, carried out in the order in which they were asked for.

    With a `line`, commands go by it; the client is asked when there is none, and again about whatever it lost.
    """

    def __init__(self, client: RedisClient, line: Line | None = None) -> None:
        super().__init__(client)
        self._line = line
        self._on_line = 0
        """Commands sent by the line and not yet answered."""
        self._heads: dict[str, tuple[bytes, ...]] = {}

    def run(self, script: Script, slot: Slot, words: Sequence[bytes]) -> asyncio.Future[Any]:
        """The script's future reply."""
        command = (script, (slot.encode(), *words))
        if self._line is None or self._waiting or self._flights or self._on_line >= IN_FLIGHT:
            return self._gather(command)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if not self._put(self._line, (command, answer)):
            self._depart([(command, answer)])
        return answer

    def _put(self, line: Line, asked: Sent) -> bool:
        script, words = asked[0]
        head = self._heads.get(script.sha)
        if head is None:
            head = self._heads[script.sha] = (b"EVALSHA", script.sha.encode(), b"1")
        if not line.send(packed((*head, *words)), partial(self._arrived, asked)):
            return False
        self._on_line += 1
        return True

    def _fly(self) -> None:
        """What waits goes by the line, unless the client is under way: it must not be overtaken."""
        if self._line is None or not self._line.ready():
            super()._fly()
            return
        self._called = False
        if self._flights:
            return
        waiting = [entry for entry in self._waiting if not entry[1].done()]
        sent = 0
        while sent < len(waiting) and self._on_line < IN_FLIGHT and self._put(self._line, waiting[sent]):
            sent += 1
        self._waiting = waiting[sent:]
        if self._waiting and not self._on_line:
            super()._fly()

    def _arrived(self, asked: Sent, reply: object) -> None:
        """What the line brought for one command."""
        self._on_line -= 1
        if isinstance(reply, Exception | Lost):
            if isinstance(reply, Exception) and "NOSCRIPT" not in str(reply) and self._line is not None:
                self._line.abort()  # loading, a replica now …: the client finds out where to ask
            if not asked[1].done():
                self._depart([asked])
        elif not asked[1].done():
            asked[1].set_result(reply)
        if self._waiting and not self._called and self._on_line <= IN_FLIGHT // 2:
            self._fly_soon()

    async def _carry(self, questions: list[Command]) -> list[Any]:
        return await self._send([(script, words) for script, words in questions])


Question = tuple[Slot, tuple[bytes, ...], tuple[bytes, ...]]
Asked = tuple[Question, "asyncio.Future[Any]"]


class Coalescer(_Flights[Question, Any]):
    """One script that takes many questions: one command for all questions to the same slot.

    The script is told a head, then the words of each question; it answers with a list, or a single one by itself.
    With a `line`, commands go by it; the client is asked when there is none, and again about whatever it lost.
    """

    def __init__(self, client: RedisClient, script: Script, line: Line | None = None) -> None:
        super().__init__(client)
        self._script = script
        self._line = line
        self._most = FLIGHTS if line is None else ON_LINE
        self._on_line = 0
        """Commands sent by the line and not yet answered."""
        self._evalsha = (b"EVALSHA", script.sha.encode(), b"1")

    def ask(self, slot: Slot, head: tuple[bytes, ...], words: tuple[bytes, ...]) -> asyncio.Future[Any]:
        """The future answer to one question."""
        return self._gather((slot, head, words))

    def _under_way(self) -> int:
        return len(self._flights) + self._on_line

    def _depart(self, batch: list[Asked]) -> None:
        if self._line is None:
            super()._depart(batch)
            return
        groups: dict[tuple[Slot, tuple[bytes, ...]], list[Asked]] = {}
        for asked in batch:
            groups.setdefault(asked[0][:2], []).append(asked)
        for (slot, head), group in groups.items():
            words = [word for (_, _, words), _ in group for word in words]
            command = packed((*self._evalsha, slot.encode(), *head, *words))
            if self._line.send(command, partial(self._arrived, group)):
                self._on_line += 1
            else:
                super()._depart(group)

    def _arrived(self, group: list[Asked], reply: list[Any] | bytes | Exception | Lost) -> None:
        """What the line brought for one command."""
        self._on_line -= 1
        if isinstance(reply, list | bytes):
            for (_, answer), found in zip(group, _each(reply), strict=True):
                if not answer.done():
                    answer.set_result(found)
        else:
            if isinstance(reply, Exception) and "NOSCRIPT" not in str(reply) and self._line is not None:
                self._line.abort()  # loading, a replica now …: the client finds out where to ask
            super()._depart([asked for asked in group if not asked[1].done()])
        if self._waiting and not self._called:
            self._fly_soon()

    async def _carry(self, questions: list[Question]) -> list[Any]:
        groups: dict[tuple[Slot, Words], list[int]] = {}
        for place, (slot, head, _) in enumerate(questions):
            groups.setdefault((slot, head), []).append(place)
        commands = [
            (self._script, (slot, *head, *(word for place in places for word in questions[place][2])))
            for (slot, head), places in groups.items()
        ]
        answers: list[Any] = [exceptions.ResponseError("no answer")] * len(questions)
        for places, reply in zip(groups.values(), await self._send(commands), strict=True):
            found = [reply] * len(places) if isinstance(reply, Exception) else _each(reply)
            for place, answer in zip(places, found, strict=True):
                answers[place] = answer
        return answers


def _each(reply: list[Any] | bytes) -> list[Any]:
    """One answer per question: a single one comes alone."""
    return reply if isinstance(reply, list) else [reply]
