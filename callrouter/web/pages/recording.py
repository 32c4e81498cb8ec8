"""/appeals/{id}/recording: a call's recording, out of the folder that the PBX writes them to. Who heard it is recorded.

The name comes from the PBX, where callers' names and numbers go into it: it may not lead out of the folder. If it is a
URL of a server that the operator named, the browser is sent there: nothing is fetched by this server.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlsplit
from uuid import UUID

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.response import Stream

from callrouter.journal.appeal import read_appeal
from callrouter.people import audit
from callrouter.web.api.filtered import Asking
from callrouter.web.cookies import AnyRequest
from callrouter.web.pages.ground import SEE_OTHER, Ground
from callrouter.web.pages.policy import pages_policy
from callrouter.web.problem import Refusal

TYPES = {
    ".wav": "audio/wav", ".mp3": "audio/mpeg", ".ogg": "audio/ogg", ".opus": "audio/ogg", ".m4a": "audio/mp4",
    ".webm": "audio/webm", ".flac": "audio/flac",
}  # fmt: skip
CHUNK = 256 * 1024
MOST_AT_ONCE = 4 * CHUNK
"""Of a part that is asked for: players ask on."""
RANGE = re.compile(r"bytes=(\d{1,12})-(\d{0,12})", re.ASCII)
PARTIAL, NOT_THERE = 206, 416


class Part(NamedTuple):
    """Bytes from `first` to `last`, which is one of them."""

    first: int
    last: int


class Recordings:
    """Where they are. No folder: not on this machine. `servers`: whose URLs are played, as https://records.example."""

    def __init__(self, folder: Path | None, servers: Sequence[str] = ()) -> None:
        self._folder = folder.resolve() if folder else None
        self._servers = frozenset(servers)
        self.policy = pages_policy(media=servers)
        """Of a page that has a player."""

    def playable(self, name: object) -> bool:
        return self.find(name) is not None or self.elsewhere(name) is not None

    def elsewhere(self, name: object) -> str | None:
        """The address, as it may stand in a header, if it is on one of the servers."""
        if not isinstance(name, str) or not name.startswith("https://"):
            return None
        try:
            parts = urlsplit(name)
        except ValueError:
            return None
        is_there = f"https://{parts.netloc.lower()}" in self._servers
        return quote(name, safe="%/:=&?~#+!$,;'@()*[]") if is_there else None

    def find(self, name: object) -> Path | None:
        """The file of this name, if there is one that a browser plays, and it lies within."""
        if self._folder is None or not isinstance(name, str) or not name or "\0" in name:
            return None
        try:
            path = (self._folder / name).resolve()
            there = path.is_relative_to(self._folder) and path.is_file()
        except (OSError, RuntimeError):  # too long a name, links that go round
            return None
        return path if there and path.suffix.lower() in TYPES else None


def recording_route(ground: Ground, asking: Asking, recordings: Recordings) -> HTTPRouteHandler:
    @get("/appeals/{appeal:uuid}/recording")
    async def recording(request: AnyRequest, appeal: FromPath[UUID]) -> Response[bytes] | Stream:
        view = await ground.open(request, "appeals:read")
        asked = RANGE.fullmatch(request.headers.get("range", ""))
        async with asking.changing(view.caller, view.whose) as (conn, whose):
            found = await read_appeal(conn, whose, appeal)
            name = found.appeal.recording if found else None
            path, url = recordings.find(name), recordings.elsewhere(name)
            if path is None and url is None:
                raise Refusal(404, "no-recording", "There is no recording")
            record = audit.record if asked is None or int(asked[1]) == 0 else audit.record_part
            await record(conn, whose, view.caller, "recording.hear", appeal)
        if path is None:
            return Response(b"", status_code=SEE_OTHER, headers={"Location": url or ""})
        size, kind = path.stat().st_size, TYPES[path.suffix.lower()]
        if asked is None:
            headers = {"Accept-Ranges": "bytes", "Content-Length": str(size)}
            return Stream(_chunks(path), media_type=kind, headers=headers)
        part = _part(asked, size)
        if part is None:
            return Response(b"", status_code=NOT_THERE, headers={"Content-Range": f"bytes */{size}"}, media_type=kind)
        body = await asyncio.to_thread(_read, path, part)
        headers = {"Accept-Ranges": "bytes", "Content-Range": f"bytes {part.first}-{part.last}/{size}"}
        return Response(body, status_code=PARTIAL, headers=headers, media_type=kind)

    return recording


def _part(asked: re.Match[str], size: int) -> Part | None:
    first, last = int(asked[1]), int(asked[2] or size - 1)
    if first >= size or last < first:
        return None
    return Part(first, min(last, size - 1, first + MOST_AT_ONCE - 1))


def _read(path: Path, part: Part) -> bytes:
    with path.open("rb") as file:
        file.seek(part.first)
        return file.read(part.last - part.first + 1)


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    at = 0
    while chunk := await asyncio.to_thread(_read, path, Part(at, at + CHUNK - 1)):
        yield chunk
        at += len(chunk)
