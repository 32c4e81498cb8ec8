"""Keeps the directory current: reads it from Postgres, again on NOTIFY and now and then, and from a file at need.

A process starts from the snapshot on its disk while Postgres is away (without one it knows nothing, and says so), and
goes on with what it knows when Postgres goes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

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
            await self._read(connection)
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

    async def _read(self, connection: Connection) -> None:
        async with asyncio.timeout(READ_SECONDS):
            directory = await read_directory(connection, clock=self._clock, namespace=self._namespace)
        unchanged = msgspec.structs.replace(self.directory, read_at=directory.read_at) == directory
        self.directory = directory
        metrics.DIRECTORY_NUMBERS.set(len(directory.numbers))
        metrics.DIRECTORY_READ_AT.set(directory.read_at.timestamp())
        self._failing = False
        if unchanged:
            return
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
            directory = msgspec.json.decode(self._snapshot.read_bytes(), type=Directory)
        except (OSError, msgspec.MsgspecError):
            return False
        self.directory = msgspec.structs.replace(directory, namespace=self._namespace)
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


async def read_directory(
    connection: Connection, *, clock: Clock | None = None, namespace: str = NAMESPACE
) -> Directory:
    """The whole inventory as one transaction sees it."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        accounts = await connection.fetch(ACCOUNTS)
        sites = await connection.fetch("SELECT * FROM sites ORDER BY id")
        choices = await connection.fetch("SELECT * FROM site_pools ORDER BY site_id, priority, pool_id")
        pools = await connection.fetch("SELECT id FROM pools ORDER BY id")
        removed = await connection.fetch(
            "SELECT id FROM removed_pools WHERE removed_at > now() - interval '30 days' ORDER BY id"
        )
        numbers = await connection.fetch(
            "SELECT account_id, number, pool_id, state, route FROM numbers ORDER BY number"
        )
        planned = await connection.fetch(LEASED_PEAKS)
        version = await connection.fetchval("SELECT version FROM directory_version")
        bindings = await connection.fetch("SELECT * FROM static_bindings ORDER BY number, valid_from DESC")
    by_site: dict[int, list[PoolChoice]] = {}
    for row in choices:
        choice = PoolChoice(pool=row["pool_id"], regions=tuple(row["regions"]), sources=tuple(row["sources"]))
        by_site.setdefault(row["site_id"], []).append(choice)
    return Directory(
        accounts=tuple(map(_account, accounts)),
        sites=tuple(_site(row, tuple(by_site.get(row["id"], ()))) for row in sites),
        numbers=tuple(_number(row) for row in numbers),
        bindings=tuple(_binding(row) for row in bindings),
        pools=tuple(row["id"] for row in pools),
        removed_pools=tuple(row["id"] for row in removed),
        leased_peaks={row["pool_id"]: row["leased_peak"] for row in planned},
        version=version,
        read_at=(clock or SystemClock()).now(),
        namespace=namespace,
    )


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


def _number(row: asyncpg.Record) -> NumberEntry:
    return NumberEntry(
        number=Number(row["number"]), account=row["account_id"], pool=row["pool_id"], active=row["state"] == "active",
        route=row["route"],
    )  # fmt: skip


def _binding(row: asyncpg.Record) -> StaticBinding:
    return StaticBinding(
        number=Number(row["number"]), account=row["account_id"], site=row["site_id"], channel=row["channel"],
        source=row["source"], medium=row["medium"], campaign=row["campaign"], valid_from=row["valid_from"],
        valid_to=row["valid_to"],
    )  # fmt: skip


def _write_snapshot(path: Path, directory: Directory) -> None:
    """Whole or not at all: a process that starts meanwhile reads the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_bytes(msgspec.json.encode(directory))
    draft.replace(path)
