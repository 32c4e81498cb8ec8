"""A lasting connection to one Asterisk's manager interface: login, liveness, reconnecting, and a snapshot after login.

Built on panoramisk's Manager, whose connecting and action objects it keeps and whose unsafe parts it replaces (they are
semi-public, so the version is pinned). Knows no calls: events go, as they are read and without waiting, to `on_event`.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, Literal

import msgspec
import structlog
from panoramisk import Manager
from panoramisk.actions import Action

from callrouter.ami import metrics
from callrouter.ami.backoff import Backoff
from callrouter.ami.pbx_clock import PbxClock
from callrouter.ami.protocol import AmiProtocol
from callrouter.ami.snapshot import LIST_EVENTS, Snapshot, take_snapshot
from callrouter.ami.wire import Event, EventReader
from callrouter.clock import Clock

log = structlog.get_logger()

State = Literal["up", "lost", "refused"]
OWN_EVENTS = frozenset({b"FullyBooted", b"OriginateResponse"})
STEADY = 10.0
"""A connection that lasted so many seconds was a good one: the next attempt is made at once."""
MANY_MESSAGES = 100


class AmiSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach the manager interface of one Asterisk."""

    name: str
    """The PBX's name in logs and metrics."""
    host: str = "127.0.0.1"
    port: int = 5038
    username: str
    secret: str
    tls: bool = False
    ping_interval: float = 5.0
    """A peer that answers no ping and sends nothing for so long is gone."""
    action_timeout: float = 5.0
    connect_timeout: float = 5.0
    first_wait: float = 0.5
    longest_wait: float = 30.0
    events: tuple[str, ...] | None = None
    """Names of the events to deliver; None: all."""
    variables: tuple[str, ...] | None = ("CALLROUTER", "MIXMONITOR_FILENAME")
    """Prefixes of the channel variables whose VarSet events are delivered; None: all."""
    only: dict[str, dict[str, tuple[str, ...]]] = {}
    """The same for any event: name → header → prefixes, one of which is enough."""
    mask: str = "on"
    """Which events are asked for at the login: `on` for all, or their classes."""

    def reader(self) -> EventReader:
        """A reader that delivers what is set here, and what the connection itself needs."""
        names = None if self.events is None else frozenset(n.encode() for n in self.events) | LIST_EVENTS | OWN_EVENTS
        prefixes = None if self.variables is None else tuple(v.encode() for v in self.variables)
        only = {
            name.encode(): {header.encode(): tuple(v.encode() for v in values) for header, values in headers.items()}
            for name, headers in self.only.items()
        }
        return EventReader(names, prefixes, only=only)


class LoginRefused(Exception):
    """Asterisk is there and does not want us."""


class AmiConnection(Manager):  # type: ignore[misc] # panoramisk has no types
    """`start()` it once; it stays connected, or tries to, until `stop()`."""

    def __init__(
        self,
        settings: AmiSettings,
        on_event: Callable[[Event, float], None],
        on_state: Callable[[State, str], None],
        clock: Clock,
        *,
        on_snapshot: Callable[[Snapshot], None] | None = None,
        on_bytes: Callable[[bytes], None] | None = None,
    ) -> None:
        super().__init__(
            host=settings.host, port=settings.port, ssl=settings.tls, protocol_factory=self._new_protocol, log=log
        )
        self.settings = settings
        self._on_event, self._on_state, self._on_snapshot = on_event, on_state, on_snapshot
        self.on_bytes = on_bytes
        """Sees what came before it is read: for recordings."""
        self._clock = clock
        self.pbx_clock = PbxClock(clock)
        self._backoff = Backoff(settings.first_wait, settings.longest_wait)
        self._task: asyncio.Task[None] | None = None
        self._fresh = asyncio.Event()
        """Set when a snapshot is due."""
        self._id_prefix = f"callrouter-{secrets.token_hex(4)}-"
        self._ids = count(1)
        self._said: set[str] = set()
        name = settings.name
        self._bytes = metrics.AMI_BYTES.labels(name)
        self._events = metrics.AMI_EVENTS.labels(name)
        self._blocks = metrics.AMI_BLOCKS.labels(name)
        self._lag = metrics.AMI_LAG.labels(name)
        self._delivered = 0
        self._last: Event = {}

    # --- what the router uses -----------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin connecting; returns at once. `on_state` says when the connection is up."""
        self.loop = asyncio.get_running_loop()
        self._task = self.loop.create_task(self._stay_connected(), name=f"ami {self.settings.name}")

    async def stop(self) -> None:
        """End the connection, or the wait for one. Nothing connects again until `start`."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self.close()
        with contextlib.suppress(KeyError):
            metrics.AMI_UP.remove(self.settings.name)  # neither up nor down: nobody wants it

    async def action(self, headers: Mapping[str, Any], *, timeout: float | None = None) -> list[Event]:  # noqa: ASYNC109
        """Send an action; the answer, followed by the events of a list if it is one.

        ConnectionError: not connected, or the connection ended before the answer (which is never repeated).
        TimeoutError: no answer in time. ValueError: a value that would break out of its line.
        """
        if self.protocol is None:
            raise ConnectionError(f"not connected to the manager interface of {self.settings.name}")
        action = Action({"ActionID": f"{self._id_prefix}{next(self._ids)}", **headers})
        protocol: AmiProtocol = self.protocol
        answer = protocol.send(action)
        try:
            async with asyncio.timeout(self.settings.action_timeout if timeout is None else timeout):
                messages = await answer
        except TimeoutError:
            self.odd("no_answer")
            raise
        finally:
            protocol.forget(action)
        return [dict(message.items()) for message in (messages if isinstance(messages, list) else [messages])]

    # --- what the protocol uses ---------------------------------------------------------------------------------------

    def now(self) -> float:
        """By the PBX's clock."""
        return self.pbx_clock.seconds()

    def steady(self) -> float:
        """By ours that nobody sets."""
        return self._clock.monotonic()

    def dispatch(self, event: Event, at: float) -> None:
        """Hand one event to the consumer, whose failure costs only this event."""
        try:
            self._on_event(event, at)
        except Exception as error:  # noqa: BLE001 - a consumer's bug must not close the connection
            self._consumer_failed(event.get("Event", "?"), error)
        self._delivered += 1
        self._last = event
        if event.get("Event") == "FullyBooted":
            self._fresh.set()

    def count(self, size: int) -> None:
        """Metrics of one read, not of one event; and what time it is there."""
        self._bytes.inc(size)
        if self._delivered:
            self._events.inc(self._delivered)
            self._delivered = 0
            stamp = self._last.get("Timestamp", "")
            if stamp.replace(".", "", 1).isdigit():
                self._lag.set(self._clock.now().timestamp() - float(stamp))
                self.pbx_clock.told(stamp)

    def is_ours(self, message: Event) -> bool:
        return message.get("ActionID", "").startswith(self._id_prefix)

    def odd(self, kind: str, times: int = 1) -> None:
        metrics.AMI_ODD.labels(self.settings.name, kind).inc(times)

    # --- overrides of panoramisk's Manager ----------------------------------------------------------------------------

    def connection_made(self, f: asyncio.Future[Any]) -> None:
        """Only keep the protocol: who connects also logs in, in `_session`."""
        if not f.cancelled() and f.exception() is None:
            _, self.protocol = f.result()

    def close(self) -> None:
        if self.protocol is not None:
            self.protocol.close()
            self.protocol = None

    async def send_awaiting_actions(self, *_: Any) -> None:
        """Nothing is ever sent a second time."""

    def send_action(self, action: Mapping[str, Any], as_list: bool | None = None, **kwargs: Any) -> asyncio.Future[Any]:
        raise NotImplementedError("use action(), which has a time limit")

    # --- connecting ---------------------------------------------------------------------------------------------------

    def _new_protocol(self) -> AmiProtocol:
        return AmiProtocol(self, self.settings.reader())

    async def _stay_connected(self) -> None:
        while True:
            began = self._clock.monotonic()
            try:
                await self._session()
            except LoginRefused as error:
                self._down("refused", "login", str(error))
            except Exception as error:  # noqa: BLE001 - whatever it was, the call tracker needs its events back
                self._down("lost", type(error).__name__, str(error) or "no answer in time")
            finally:
                self.close()
            if self._clock.monotonic() - began > STEADY:
                self._backoff.succeeded()
            await asyncio.sleep(self._backoff.next())

    async def _session(self) -> None:
        """Connect, log in with events on, list what is there; never return, raise when the connection is over."""
        async with asyncio.timeout(self.settings.connect_timeout):
            await self.connect()
        protocol: AmiProtocol = self.protocol
        tasks: list[asyncio.Task[None]] = []
        try:
            await self._log_in(protocol)
            metrics.AMI_UP.labels(self.settings.name).set(1)
            self._said.clear()
            log.info("connected to Asterisk", pbx=self.settings.name, banner=protocol.reader.banner)
            self._tell("up", protocol.reader.banner)
            tasks = [
                asyncio.create_task(self._check_life(protocol), name=f"ami ping {self.settings.name}"),
                asyncio.create_task(self._take_snapshots(protocol), name=f"ami snapshot {self.settings.name}"),
            ]
            raise ConnectionError(await asyncio.shield(protocol.lost))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            metrics.AMI_UP.labels(self.settings.name).set(0)
            self._count_reader(protocol.reader)

    async def _log_in(self, protocol: AmiProtocol) -> None:
        """Events are on from the first moment, so that nothing falls between them and the snapshot."""
        login = {
            "Action": "Login", "Username": self.settings.username, "Secret": self.settings.secret,
            "Events": self.settings.mask,
        }  # fmt: skip
        self._fresh.set()
        try:
            answer = (await self.action(login, timeout=self.settings.connect_timeout))[0]
        except TimeoutError:
            what = protocol.reader.banner or protocol.reader.unfinished() or "no banner: is this the manager port?"
            raise TimeoutError(f"no answer to the login ({what})") from None
        if answer.get("Response") != "Success":
            raise LoginRefused(answer.get("Message", "login refused"))

    async def _check_life(self, protocol: AmiProtocol) -> None:
        """A peer may vanish without a word (half-open): only what it sends proves that it is there."""
        interval = self.settings.ping_interval
        while True:
            asked = self.steady()
            try:
                pong = await self.action({"Action": "Ping"}, timeout=interval)
            except TimeoutError:
                if protocol.heard_at < asked:
                    protocol.end(f"no answer to a ping and no event for {interval:g} s")
                    return
            except ConnectionError:
                return
            else:
                metrics.AMI_PING.labels(self.settings.name).observe(self.steady() - asked)
                self.pbx_clock.told(pong[0].get("Timestamp", ""))
            self._count_reader(protocol.reader)
            await asyncio.sleep(interval)

    async def _take_snapshots(self, protocol: AmiProtocol) -> None:
        """After the login, and again when Asterisk says that it has finished starting."""
        if self._on_snapshot is None:
            return
        while True:
            await self._fresh.wait()
            self._fresh.clear()
            try:
                snapshot = await take_snapshot(self.action, self.pbx_clock)
            except TimeoutError:
                protocol.end("no answer when asked for channels, bridges and queues")
                return
            except ConnectionError:
                return
            try:
                self._on_snapshot(snapshot)
            except Exception as error:  # noqa: BLE001 - as for events
                self._consumer_failed("snapshot", error)

    # --- telling ------------------------------------------------------------------------------------------------------

    def _down(self, state: State, reason: str, text: str) -> None:
        """Said once per reason until the next login; counted every time."""
        metrics.AMI_LOST.labels(self.settings.name, reason).inc()
        if self._once(f"{state} {text}"):
            event = "AMI-LOGIN-REFUSED" if state == "refused" else "AMI-LOST"
            address = f"{self.settings.host}:{self.settings.port}"
            log.error(event, pbx=self.settings.name, address=address, user=self.settings.username, reason=text)
        self._tell(state, text)

    def _tell(self, state: State, text: str) -> None:
        try:
            self._on_state(state, text)
        except Exception as error:  # noqa: BLE001 - as for events
            self._consumer_failed("state", error)

    def _consumer_failed(self, what: str, error: Exception) -> None:
        self.odd("consumer_failed")
        if self._once(f"consumer {what} {type(error).__name__}"):
            log.error("AMI-CONSUMER-FAILED", pbx=self.settings.name, what=what, exc_info=error)

    def _once(self, what: str) -> bool:
        if what in self._said or len(self._said) > MANY_MESSAGES:
            return False
        self._said.add(what)
        return True

    def _count_reader(self, reader: EventReader) -> None:
        """Move the reader's counts, which cost it nothing, into the metrics."""
        self._blocks.inc(reader.blocks)
        for kind in ("oversized", "undecodable", "malformed"):
            times = getattr(reader, kind)
            if times:
                self.odd(kind, times)
                setattr(reader, kind, 0)
                if self._once(kind):
                    log.warning("AMI-ODD-MESSAGE", pbx=self.settings.name, kind=kind, times=times)
        reader.blocks = 0
