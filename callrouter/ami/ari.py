"""The other door: calls that a dialplan hands over with `Stasis(callrouter,NUMBER)` are answered and handed back.

Knows ARI's websocket and the three requests it takes (list, set variables, continue); the question is the same as
FastAGI's, so `resolve` does not know by which door it came. Whatever fails, the channel is continued in the dialplan.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal
from urllib.parse import quote

import httpx
import msgspec
import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from callrouter.ami import metrics
from callrouter.ami.agi_wire import AgiRequest
from callrouter.ami.ari_wire import NotAri, read_event, read_listed
from callrouter.ami.backoff import Backoff
from callrouter.ami.dialplan import ordered
from callrouter.clock import Clock

log = structlog.get_logger()

Resolve = Callable[[AgiRequest], Awaitable[Mapping[str, str]]]
OnLate = Callable[[AgiRequest, Mapping[str, str]], None]
State = Literal["up", "lost", "refused"]
STEADY = 10.0
GONE = frozenset({404, 409, 412})
"""What Asterisk answers about a channel that has hung up or has left the application."""
REFUSED = frozenset({401, 403, 404})
ATTEMPTS = 4


class AriSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach ARI of one Asterisk."""

    name: str
    url: str = "http://127.0.0.1:8088/ari"
    username: str
    password: str
    app: str = "callrouter"
    deadline: float = 0.15
    request_timeout: float = 1.0
    ping_interval: float = 5.0
    first_wait: float = 0.5
    longest_wait: float = 30.0


class AriClient:
    """`start()` it once; it stays connected, or tries to, until `stop()`."""

    def __init__(
        self,
        settings: AriSettings,
        resolve: Resolve,
        on_state: Callable[[State, str], None],
        clock: Clock,
        *,
        on_late: OnLate | None = None,
    ) -> None:
        self.settings = settings
        self._resolve, self._on_state, self._on_late = resolve, on_state, on_late
        self._clock = clock
        self._backoff = Backoff(settings.first_wait, settings.longest_wait)
        self._http: httpx.AsyncClient | None = None
        self._task: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._in_hand: set[str] = set()
        self._said: set[str] = set()
        self._seconds = metrics.RESOLVE.labels("ari")

    async def start(self) -> None:
        self._http = httpx.AsyncClient(
            base_url=self.settings.url,
            auth=(self.settings.username, self.settings.password),
            timeout=self.settings.request_timeout,
            trust_env=False,
        )
        self._task = asyncio.create_task(self._stay_connected(), name=f"ari {self.settings.name}")

    async def stop(self, patience: float = 1.0) -> None:
        """Take no more calls, hand back those in hand."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=patience)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._http is not None:
            await self._http.aclose()

    # --- connecting ---------------------------------------------------------------------------------------------------

    async def _stay_connected(self) -> None:
        while True:
            began = self._clock.monotonic()
            try:
                await self._session()
            except InvalidStatus as error:
                status = error.response.status_code
                self._down("refused" if status in REFUSED else "lost", f"HTTP {status}")
            except Exception as error:  # noqa: BLE001 - whatever it was, callers wait to be handed back
                self._down("lost", f"{type(error).__name__}: {error}")
            finally:
                metrics.ARI_UP.labels(self.settings.name).set(0)
            if self._clock.monotonic() - began > STEADY:
                self._backoff.succeeded()
            await asyncio.sleep(self._backoff.next())

    async def _session(self) -> None:
        """Subscribe, then hand back who waited meanwhile; never return, raise when the connection is over."""
        settings = self.settings
        url = f"{settings.url.replace('http', 'ws', 1)}/events?app={quote(settings.app)}"
        basic = httpx.BasicAuth(settings.username, settings.password)
        header = next(basic.auth_flow(httpx.Request("GET", settings.url))).headers["Authorization"]
        async with connect(
            url,
            additional_headers={"Authorization": header},
            open_timeout=settings.ping_interval,
            ping_interval=settings.ping_interval,
            ping_timeout=settings.ping_interval,
            close_timeout=1,
            compression=None,
            proxy=None,
        ) as socket:
            metrics.ARI_UP.labels(settings.name).set(1)
            self._said.clear()
            log.info("connected to ARI", pbx=settings.name, app=settings.app)
            self._tell("up", "")
            self._background(self._adopt())
            await self._read(socket)

    async def _read(self, socket: ClientConnection) -> None:
        """Nothing here waits for anything but the next event: Asterisk closes a socket that is read slowly."""
        while True:
            try:
                event = read_event(await socket.recv())
            except NotAri as error:
                self._odd(error.kind)
                continue
            except ConnectionClosed as error:
                raise ConnectionError(f"closed: {error}") from None
            if event is not None:
                self._take(event)

    async def _adopt(self) -> None:
        """Channels that came into the application while nobody listened: nobody else will hand them back."""
        try:
            app = await self._request("GET", f"/applications/{quote(self.settings.app)}")
            for channel_id in app.json().get("channel_ids", []):
                answer = await self._request("GET", f"/channels/{quote(channel_id)}")
                if answer.is_success:
                    self._take(read_listed(answer.content))
        except NotAri as error:
            self._odd(error.kind)
        except (httpx.HTTPError, ValueError, AttributeError) as error:
            self._say("ARI-LIST-FAILED", f"{type(error).__name__}: {error}")

    # --- one call -----------------------------------------------------------------------------------------------------

    def _take(self, question: AgiRequest) -> None:
        if question.uniqueid not in self._in_hand:
            self._in_hand.add(question.uniqueid)
            self._background(self._serve(question))

    async def _serve(self, question: AgiRequest) -> None:
        channel_id, began = question.uniqueid, self._clock.monotonic()
        try:
            variables, status = await self._answer_in_time(question)
            await self._set(channel_id, variables, status)
            self._seconds.observe(self._clock.monotonic() - began)
        finally:
            await self._hand_back(channel_id)
            self._in_hand.discard(channel_id)

    async def _answer_in_time(self, question: AgiRequest) -> tuple[Mapping[str, str], str]:
        task: asyncio.Task[Mapping[str, str]] = self._background(self._ask(question))
        done, _ = await asyncio.wait({task}, timeout=self.settings.deadline)
        if not done:
            task.add_done_callback(lambda done: self._came_late(question, done))
            return {}, "late"
        return ({}, "error") if task.cancelled() or task.exception() else (task.result(), "ok")

    async def _ask(self, question: AgiRequest) -> Mapping[str, str]:
        return await self._resolve(question)

    def _came_late(self, question: AgiRequest, task: asyncio.Task[Mapping[str, str]]) -> None:
        if self._on_late is not None and not task.cancelled() and task.exception() is None:
            try:
                self._on_late(question, task.result())
            except Exception as error:  # noqa: BLE001 - the next call must not suffer for it
                self._say("ARI-RESOLVE-FAILED", f"on_late {type(error).__name__}", error)

    async def _set(self, channel_id: str, variables: Mapping[str, str], status: str) -> None:
        """All variables in one request: ARRAY() is a dialplan function that sets many, in order."""
        try:
            pairs = ordered(variables, status)
        except (ValueError, TypeError, AttributeError) as error:
            self._say("ARI-RESOLVE-FAILED", f"answer {type(error).__name__}", error)
            pairs = ordered({}, "error")
        names, values = ",".join(name for name, _ in pairs), ",".join(value for _, value in pairs)
        body = {"variable": f"ARRAY({names})", "value": values}
        with contextlib.suppress(httpx.HTTPError):
            await self._request("POST", f"/channels/{quote(channel_id)}/variable", params=body)
        said = pairs[-1][1]
        metrics.ARI_REQUESTS.labels(said if said in {"ok", "unattributed", "late"} else "error").inc()

    async def _hand_back(self, channel_id: str) -> None:
        """Into the dialplan again. A caller must not be left in silence, so this is tried more than once."""
        for attempt in range(ATTEMPTS):
            try:
                answer = await self._request("POST", f"/channels/{quote(channel_id)}/continue")
            except httpx.HTTPError as error:
                self._say("ARI-CONTINUE-FAILED", type(error).__name__)
            else:
                if answer.is_success or answer.status_code in GONE:
                    return
                self._say("ARI-CONTINUE-FAILED", f"HTTP {answer.status_code}")
            await asyncio.sleep(0.1 * 2**attempt)
        self._odd("not_continued")

    # --- small change -------------------------------------------------------------------------------------------------

    async def _request(self, method: str, path: str, params: dict[str, str] | None = None) -> httpx.Response:
        if self._http is None:
            raise RuntimeError("start() first")
        return await self._http.request(method, path, params=params)

    def _background(self, coroutine: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._say("ARI-RESOLVE-FAILED", type(error).__name__, error)

    def _down(self, state: State, text: str) -> None:
        metrics.ARI_LOST.labels(self.settings.name, state).inc()
        self._say("ARI-REFUSED" if state == "refused" else "ARI-LOST", text)
        self._tell(state, text)

    def _tell(self, state: State, text: str) -> None:
        try:
            self._on_state(state, text)
        except Exception as error:  # noqa: BLE001 - who listens must not end the connection
            self._say("ARI-RESOLVE-FAILED", f"state {type(error).__name__}", error)

    def _odd(self, kind: str) -> None:
        metrics.ARI_REQUESTS.labels(kind).inc()

    def _say(self, event: str, reason: str, error: BaseException | None = None) -> None:
        if (event + reason) not in self._said:
            self._said.add(event + reason)
            log.error(event, pbx=self.settings.name, reason=reason, exc_info=error)
