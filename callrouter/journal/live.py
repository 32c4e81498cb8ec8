"""What happens just now, for whoever watches: appeals as they are published, calls as they ring. Knows no HTTP.

One connection of a process listens for all its watchers. Publishers tell in the transaction that writes
(`appeals.store`), routers when a call is resolved (`callrouter.ringing`). Who watches too slowly is told that he missed
something, and asks the journal; so is everybody when the connection was lost.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta
from uuid import UUID

import asyncpg
import msgspec
import structlog

from callrouter.appeals.store import CHANNEL
from callrouter.background import Background
from callrouter.db.connect import TROUBLE
from callrouter.journal.news import RINGING, CallNews, decode_call

log = structlog.get_logger()

RETRY_SECONDS = 2.0
PULSE_SECONDS = 15.0
"""A line that was cut says nothing, like one on which nothing happens: so the server is asked now and then."""
MOST_WAITING = 200
"""News that a watcher has not taken yet."""
MOST_CALLS = 200
"""Of an account, that are remembered for who begins to watch while they last."""
LONGEST_CALL = timedelta(hours=2)
"""Its end was not told: the router was killed, or Postgres away."""


class Notice(msgspec.Struct, frozen=True):
    """Appeals of an account that stand there now, or have changed; no ids: many."""

    account: int
    ids: tuple[UUID, ...] = ()


class Missed(msgspec.Struct, frozen=True):
    """Something was not told: look at the journal."""


News = Notice | CallNews | Missed


class Watcher:
    """One who watches an account. `take` waits for news."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[News] = asyncio.Queue(MOST_WAITING)

    async def take(self) -> News:
        return await self._waiting.get()

    def tell(self, news: News) -> None:
        if self._waiting.full():
            while not self._waiting.empty():
                self._waiting.get_nowait()
            news = Missed()
        self._waiting.put_nowait(news)


class Feed:
    """One per web process. It connects when the first one watches."""

    def __init__(self, connect: Callable[[], Awaitable[asyncpg.Connection[asyncpg.Record]]]) -> None:
        self._connect = connect
        self._watchers: dict[int, set[Watcher]] = defaultdict(set)
        self._calls: dict[int, dict[UUID, CallNews]] = defaultdict(dict)
        self._background = Background()
        self._listening = asyncio.Event()
        self._lost = asyncio.Event()
        self._wanted = False

    def __len__(self) -> int:
        return sum(map(len, self._watchers.values()))

    def of(self, account: int) -> int:
        """How many watch the account."""
        return len(self._watchers.get(account, ()))

    def calls_of(self, account: int) -> list[CallNews]:
        """Calls that ring or are talked as far as was told, the earliest first."""
        return list(self._calls[account].values()) if account in self._calls else []

    @contextlib.contextmanager
    def watching(self, account: int) -> Iterator[Watcher]:
        """Whatever is committed after `ready` came to an end is told."""
        if not self._wanted:
            self._wanted = True
            self._background.keep("live-feed", self._keep)
        watcher = Watcher()
        self._watchers[account].add(watcher)
        try:
            yield watcher
        finally:
            self._watchers[account].discard(watcher)
            if not self._watchers[account]:
                del self._watchers[account]

    async def ready(self) -> None:
        await self._listening.wait()

    async def stop(self) -> None:
        await self._background.stop()

    async def _keep(self) -> None:
        failing = False
        while True:
            try:
                connection = await self._connect()
                try:
                    await self._listen(connection)
                    failing = False
                finally:
                    connection.terminate()
            except TROUBLE as error:
                if not failing:
                    log.warning("LIVE-FEED-AWAY", reason=str(error) or "no answer in time")
                failing = True
            self._listening.clear()
            await asyncio.sleep(RETRY_SECONDS)

    async def _listen(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        """Until the connection is lost."""
        self._lost.clear()
        self._calls.clear()  # which end meanwhile is not told; one that rings from here on is kept
        connection.add_termination_listener(lambda _: self._lost.set())
        await connection.add_listener(CHANNEL, self._appeals)
        await connection.add_listener(RINGING, self._call)
        self._listening.set()
        for watchers in list(self._watchers.values()):
            for watcher in list(watchers):
                watcher.tell(Missed())
        while not self._lost.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PULSE_SECONDS):
                    await self._lost.wait()
                    return
            await connection.execute("SELECT 1", timeout=PULSE_SECONDS)

    def _appeals(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        with contextlib.suppress(msgspec.MsgspecError):
            self._tell(msgspec.json.decode(str(payload), type=Notice))

    def _call(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        with contextlib.suppress(msgspec.MsgspecError):
            news = decode_call(str(payload))
            self._remember(news)
            self._tell(news)

    def _remember(self, news: CallNews) -> None:
        calls = self._calls[news.account]
        if news.state == "ringing":
            calls[news.call] = news
            for call in [call for call, each in calls.items() if news.at - each.at > LONGEST_CALL]:
                del calls[call]
            if len(calls) > MOST_CALLS:
                del calls[next(iter(calls))]
        else:
            calls.pop(news.call, None)
        if not calls:
            del self._calls[news.account]

    def _tell(self, news: Notice | CallNews) -> None:
        for watcher in list(self._watchers.get(news.account, ())):
            watcher.tell(news)


async def gathered(watcher: Watcher, *, settle: float, idle: float) -> AsyncIterator[list[News]]:
    """News as they come, those of one moment together; an empty list now and then when there are none."""
    while True:
        try:
            async with asyncio.timeout(idle):
                news = [await watcher.take()]
        except TimeoutError:
            yield []
            continue
        if isinstance(news[0], Notice):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(settle):
                    while len(news) < MOST_WAITING and isinstance(news[-1], Notice):
                        news.append(await watcher.take())
        yield news
