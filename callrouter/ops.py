"""What an operator's tools ask each process: /metrics, /health, /ready. Knows HTTP and Prometheus; not what is healthy.

`/health` is 200 as long as the process answers and names each dependency with its state; `/ready` is 503 while a part
without which the process cannot do its job is away.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.error import CannotListenError
from twisted.web.http import NOT_FOUND, OK, SERVICE_UNAVAILABLE
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

JSON = b"application/json"


OTHER_PORT = "is it running already? Stop the other, or give another port"


class Part(msgspec.Struct, frozen=True):
    """The state of one dependency. `needed`: the process is not ready without it."""

    ok: bool
    detail: str = ""
    needed: bool = False


Parts = Callable[[], Mapping[str, Part]]
Page = Callable[[Request], tuple[int, object]]
"""What a process tells besides: a status, and what is then told as JSON."""


class OpsResource(Resource):
    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(self, process: str, parts: Parts, pages: Mapping[bytes, Page]) -> None:
        Resource.__init__(self)
        self._pages = pages
        self._process = process
        self._parts = parts

    def render_GET(self, request: Request) -> bytes:  # noqa: N802 - Twisted's name
        path = request.path
        if path == b"/metrics":
            return _answer(request, OK, CONTENT_TYPE_LATEST.encode(), generate_latest())
        if path == b"/health":
            return _answer(request, OK, JSON, self._state())
        if path == b"/ready":
            ready = all(part.ok for part in self._parts().values() if part.needed)
            return _answer(request, OK if ready else SERVICE_UNAVAILABLE, JSON, self._state())
        if page := self._pages.get(path):
            code, told = page(request)
            return _answer(request, code, JSON, msgspec.json.encode(told) + b"\n")
        return _answer(request, NOT_FOUND, b"text/plain", b"here are /metrics, /health and /ready\n")

    def _state(self) -> bytes:
        parts = self._parts()
        status = "ok" if all(part.ok for part in parts.values()) else "degraded"
        return msgspec.json.encode({"process": self._process, "status": status, "parts": parts}) + b"\n"


class CannotStart(Exception):
    """This machine does not give the process what it needs; the text names the line that asks for it, and the mend."""


@contextmanager
def needed(place: str, what: str, mend: str) -> Iterator[None]:
    """What fails in the block is told by the line of the configuration behind it."""
    try:
        yield
    except (OSError, CannotListenError) as error:
        cause = error.socketError if isinstance(error, CannotListenError) else error
        reason = os.strerror(cause.errno) if cause.errno and cause.errno > 0 else str(cause)
        raise CannotStart(f"{place}: {what}: {reason}; {mend}") from None


def _answer(request: Request, code: int, kind: bytes, body: bytes) -> bytes:
    request.setResponseCode(code)
    request.setHeader(b"content-type", kind)
    return body


def listen(
    reactor: AsyncioSelectorReactor, process: str, parts: Parts, host: str, port: int, *,
    pages: Mapping[bytes, Page] | None = None,
) -> Callable[[], None]:  # fmt: skip
    """Serve until the function returned is called. Raises twisted's CannotListenError when the address is taken."""
    site = Site(OpsResource(process, parts, pages or {}))
    site.noisy = False
    listening: Any = reactor.listenTCP(port, site, interface=host)

    def stop() -> None:
        listening.stopListening()

    return stop
