"""Keeps the directory current: reads it from Postgres, again on NOTIFY and now and then, and from a file at need.

A process starts from the snapshot on its disk while Postgres is away (without one it knows nothing, and says so), and
goes on with what it knows when Postgres goes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import msgspec
import structlog
from msgspec import json

from callrouter.background import Background
from callrouter.callbacks.settings import CallbackSettings
from callrouter.clock import Clock, SystemClock
from callrouter.db.connect import TROUBLE, Connection
from callrouter.numbers import Number
from callrouter.pool import metrics
from callrouter.pool.delay import DelayModel
from callrouter.pool.directory import Account, Directory, NumberEntry, PoolChoice, Site, Widget
from callrouter.pool.keys import NAMESPACE
from callrouter.pool.model import StaticBinding
from callrouter.pool.routing import RouteRule

log = structlog.get_logger()

T = TypeVar("T")

CHANNEL = "callrouter_directory"
SETTLE_SECONDS = 0.2
"""An import notifies once per statement: wait for the rest of it before reading."""
RETRY_SECONDS = 2.0
START_SECONDS = 3.0
"""How long a starting process waits for Postgres: calls come meanwhile."""
READ_SECONDS = 30.0
UNKNOWN = 0
ROWS_AT_A_TIME = 1000
SITES_AT_A_TIME = 50

Listener = Callable[[Directory], Awaitable[None]]


class DirectorySource:
    """`directory` is the newest one read. `connect` opens a connection of its own, for it listens on it."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[asyncpg.Connection[asyncpg.Record]]],
        *,
        snapshot: Path | None = None,
        poll_seconds: float = 60.0,
        namespace: str = NAMESPACE,
        clock: Clock | None = None,
    ) -> None:
        self._connect = connect
        self._snapshot = snapshot
        self._poll_seconds = poll_seconds
        self._namespace = namespace
        self._clock = clock or SystemClock()
        self._changed = asyncio.Event()
        self._background = Background()
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._listeners: list[Listener] = []
        self._failing = False
        self.directory = Directory(namespace=namespace, known=False)

    def on_change(self, listener: Listener) -> None:
        """`listener` is awaited with each directory read from now on."""
        self._listeners.append(listener)

    async def start(self) -> Directory:
        """Read once, from Postgres or else from the snapshot if there is one, and keep current until `stop`."""
        try:
            async with asyncio.timeout(START_SECONDS):
                self._connection = await self._open()
        except TROUBLE as error:
            self._failing = True
            reason = str(error) or "no answer in time"
            if self._read_snapshot():
                log.warning("DIRECTORY-FROM-SNAPSHOT", reason=reason, read_at=self.directory.read_at.isoformat())
            else:
                log.warning("DIRECTORY-UNKNOWN", reason=reason, snapshot=str(self._snapshot or "none is kept"))
        self._background.keep("directory", self._keep)
        return self.directory

    async def stop(self) -> None:
        await self._background.stop()

    async def _open(self) -> asyncpg.Connection[asyncpg.Record]:
        """A connection that listens, and whatever the directory is now: in this order, so that no change is missed."""
        connection = await self._connect()
        try:
            await connection.add_listener(CHANNEL, self._notified)
            connection.add_termination_listener(self._terminated)
            await self._read(connection)
        except BaseException:
            await connection.close(timeout=1)
            raise
        return connection

    def _notified(self, *_: object) -> None:
        self._changed.set()

    def _terminated(self, _: object) -> None:
        self._changed.set()

    async def _keep(self) -> None:
        try:
            while True:
                self._connection = await self._await_change(self._connection)
        finally:
            connection, self._connection = self._connection, None
            if connection is not None and not connection.is_closed():
                connection.terminate()

    async def _await_change(
        self, connection: asyncpg.Connection[asyncpg.Record] | None
    ) -> asyncpg.Connection[asyncpg.Record] | None:
        try:
            if connection is None or connection.is_closed():
                return await self._open()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._poll_seconds):
                    await self._changed.wait()
                await asyncio.sleep(SETTLE_SECONDS)
            if connection.is_closed():
                return None
            self._changed.clear()
            await self._read(connection, current=self.directory.version)
        except TROUBLE as error:
            if not self._failing:
                reason = str(error) or "no answer in time"
                log.warning("DIRECTORY-STALE", reason=reason, read_at=self.directory.read_at.isoformat())
            self._failing = True
            if connection is not None and not connection.is_closed():
                connection.terminate()
            await asyncio.sleep(RETRY_SECONDS)
            return None
        return connection

    async def _read(self, connection: Connection, *, current: int = UNKNOWN) -> None:
        """`current`: the version this connection read; in a snapshot or another server it may be another state."""
        async with asyncio.timeout(READ_SECONDS):
            directory = await read_directory(
                connection, clock=self._clock, namespace=self._namespace, before=self.directory, current=current
            )
        metrics.DIRECTORY_NUMBERS.set(len(directory.numbers))
        metrics.DIRECTORY_READ_AT.set(directory.read_at.timestamp())
        self._failing = False
        if directory is self.directory:
            return
        await asyncio.to_thread(directory.index)
        self.directory = directory
        if self._snapshot:
            await self._write_snapshot(self._snapshot, directory)
        for listener in self._listeners:
            try:
                await listener(directory)
            except Exception as error:  # one listener's trouble is not the directory's
                log.exception("DIRECTORY-LISTENER-FAILED", reason=str(error))

    async def _write_snapshot(self, path: Path, directory: Directory) -> None:
        try:
            await asyncio.to_thread(_write_snapshot, path, directory)
        except OSError as error:
            log.warning("DIRECTORY-SNAPSHOT-NOT-WRITTEN", snapshot=str(path), reason=str(error))

    def _read_snapshot(self) -> bool:
        if self._snapshot is None:
            return False
        try:
            directory = _read_snapshot(self._snapshot)
        except (OSError, ValueError):  # also msgspec's errors
            return False
        self.directory = msgspec.structs.replace(directory, namespace=self._namespace)
        self.directory.index()
        return True


ACCOUNTS = """
SELECT a.id, a.default_route, a.attribution_window, a.time_zone, m.model,
       coalesce(extract(epoch FROM z.utc_offset) / 3600, 0)::float8 AS utc_offset
FROM accounts a
LEFT JOIN pg_timezone_names z ON z.name = a.time_zone
LEFT JOIN LATERAL (
    SELECT model FROM delay_models d WHERE d.account_id = a.id ORDER BY fitted_at DESC LIMIT 1) m ON true
ORDER BY a.id"""

LEASED_PEAKS = """
SELECT DISTINCT ON (pool_id) pool_id, leased_peak FROM pool_plans ORDER BY pool_id, made_at DESC, id DESC"""

REMOVED_POOLS = "SELECT id FROM removed_pools WHERE removed_at > now() - interval '30 days' ORDER BY id"
SITES = "SELECT * FROM sites ORDER BY id"
NUMBERS = "SELECT account_id, number, pool_id, state, route FROM numbers ORDER BY number"
BINDINGS = "SELECT * FROM static_bindings ORDER BY number, valid_from DESC"


async def read_directory(
    connection: Connection,
    *,
    clock: Clock | None = None,
    namespace: str = NAMESPACE,
    before: Directory | None = None,
    current: int = UNKNOWN,
) -> Directory:
    """The whole inventory as one transaction sees it, by and by, so that the event loop gets its turn.

    If that is of version `current` still, which is `before`'s, it is `before` itself. Numbers that are as they were are
    the same objects: of many, making indices and letting go each would cost calls a tenth of a second.
    """
    before = before or Directory()
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        version = await connection.fetchval("SELECT version FROM directory_version")
        unversioned: dict[str, Any] = {  # clocks are put forward, the removed are forgotten, plans are saved
            "accounts": tuple(map(_account, await connection.fetch(ACCOUNTS))),
            "removed_pools": tuple(row["id"] for row in await connection.fetch(REMOVED_POOLS)),
            "leased_peaks": {row["pool_id"]: row["leased_peak"] for row in await connection.fetch(LEASED_PEAKS)},
        }
        read_at = (clock or SystemClock()).now()
        if version == current:
            if any(getattr(before, name) != value for name, value in unversioned.items()):
                return msgspec.structs.replace(before, **unversioned, read_at=read_at)
            msgspec.structs.force_setattr(before, "read_at", read_at)
            return before
        choices = await _choices(connection)
        return Directory(
            **unversioned,
            sites=await _read_all(
                connection, SITES, lambda row: _site(row, tuple(choices.get(row["id"], ()))), SITES_AT_A_TIME
            ),
            numbers=await _read_all(connection, NUMBERS, lambda row: _number(row, before)),
            bindings=await _read_all(connection, BINDINGS, _binding),
            pools=tuple(row["id"] for row in await connection.fetch("SELECT id FROM pools ORDER BY id")),
            version=version,
            read_at=read_at,
            namespace=namespace,
        )


async def _choices(connection: Connection) -> dict[int, list[PoolChoice]]:
    """The pools of each site."""
    by_site: dict[int, list[PoolChoice]] = {}
    for row in await connection.fetch("SELECT * FROM site_pools ORDER BY site_id, priority, pool_id"):
        choice = PoolChoice(pool=row["pool_id"], regions=tuple(row["regions"]), sources=tuple(row["sources"]))
        by_site.setdefault(row["site_id"], []).append(choice)
    return by_site


async def _read_all(
    connection: Connection, query: str, make: Callable[[asyncpg.Record], T], at_a_time: int = ROWS_AT_A_TIME
) -> tuple[T, ...]:
    cursor = await connection.cursor(query)
    made: list[T] = []
    while rows := await cursor.fetch(at_a_time):
        made += map(make, rows)
    return tuple(made)


def _account(row: asyncpg.Record) -> Account:
    return Account(
        id=row["id"], default_route=row["default_route"], window=row["attribution_window"],
        time_zone=row["time_zone"], utc_offset=row["utc_offset"], model=_model(row["model"]),
    )  # fmt: skip


def _model(stored: str | dict[str, object] | None) -> DelayModel | None:
    """A model that another version wrote and this one cannot read is as good as none."""
    if stored is None:
        return None
    try:
        return msgspec.convert(json.decode(stored) if isinstance(stored, str) else stored, DelayModel)
    except msgspec.MsgspecError as error:
        log.warning("DELAY-MODEL-UNREADABLE", reason=str(error))
        return None


def _site(row: asyncpg.Record, pools: tuple[PoolChoice, ...]) -> Site:
    return Site(
        id=row["id"], account=row["account_id"], name=row["name"], domains=tuple(row["domains"]),
        excluded_referrers=tuple(row["excluded_referrers"]), country=row["country"],
        own_numbers=tuple(map(Number, row["own_numbers"])), fallback_number=row["fallback_number"],
        display_pattern=row["display_pattern"], route=row["route"], hold=row["hold"], rest=row["rest"],
        gap=row["visit_gap"], overflow=row["overflow"], enabled=row["enabled"], pools=pools,
        leases_per_address=row["leases_per_address"], leases_per_site=row["leases_per_site"],
        requests_per_second=row["requests_per_second"],
        consent=row["consent"], widget=_set(row["widget"], Widget, "DIRECTORY-WIDGET-UNREADABLE", row["id"]),
        callback=_set(row["callback"], CallbackSettings, "DIRECTORY-CALLBACK-UNREADABLE", row["id"]),
        routing=_set(row["routing"], tuple[RouteRule, ...], "DIRECTORY-ROUTING-UNREADABLE", row["id"]),
    )  # fmt: skip


def _set(stored: object, kind: type[T], event: str, site: int) -> T:
    """What the site set; where that does not fit, as if nothing were set."""
    try:
        return msgspec.convert(json.decode(stored) if isinstance(stored, str) else stored, kind)
    except (msgspec.MsgspecError, ValueError) as error:
        log.warning(event, site=site, reason=str(error))
        return kind()


def _number(row: asyncpg.Record, before: Directory) -> NumberEntry:
    entry = NumberEntry(
        number=Number(row["number"]), account=row["account_id"], pool=row["pool_id"], active=row["state"] == "active",
        route=row["route"],
    )  # fmt: skip
    known = before.number(entry.number)
    return known if known == entry else entry


def _binding(row: asyncpg.Record) -> StaticBinding:
    return StaticBinding(
        number=Number(row["number"]), account=row["account_id"], site=row["site_id"], channel=row["channel"],
        source=row["source"], medium=row["medium"], campaign=row["campaign"], valid_from=row["valid_from"],
        valid_to=row["valid_to"],
    )  # fmt: skip


class _More(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a snapshot after the first."""

    numbers: tuple[NumberEntry, ...] = ()
    bindings: tuple[StaticBinding, ...] = ()


def _write_snapshot(path: Path, directory: Directory) -> None:
    """Whole or not at all: a process that starts meanwhile reads the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    with draft.open("wb") as file:
        file.writelines(json.encode(line) + b"\n" for line in _lines(directory))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _lines(directory: Directory) -> Iterator[Directory | _More]:
    """Some numbers in each, for while a line is encoded no other thread gets its turn."""
    numbers, bindings = directory.numbers, directory.bindings
    yield msgspec.structs.replace(directory, numbers=(), bindings=())
    for at in range(0, len(numbers), ROWS_AT_A_TIME):
        yield _More(numbers=numbers[at : at + ROWS_AT_A_TIME])
    for at in range(0, len(bindings), ROWS_AT_A_TIME):
        yield _More(bindings=bindings[at : at + ROWS_AT_A_TIME])


def _read_snapshot(path: Path) -> Directory:
    """Raises OSError or ValueError. Snapshots of earlier versions are one line."""
    first, *others = path.read_bytes().splitlines()
    directory, more = json.decode(first, type=Directory), [json.decode(line, type=_More) for line in others]
    return msgspec.structs.replace(
        directory,
        numbers=(*directory.numbers, *(entry for part in more for entry in part.numbers)),
        bindings=(*directory.bindings, *(binding for part in more for binding in part.bindings)),
    )
