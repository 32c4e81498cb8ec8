"""Writes a capture from a live PBX. Knows files and the connection; `capture` reads what this wrote."""

from __future__ import annotations

import asyncio
from pathlib import Path

import structlog

from callrouter.ami.anonymise import Anonymiser
from callrouter.ami.connection import AmiConnection, AmiSettings, State
from callrouter.clock import Clock

log = structlog.get_logger()


async def record(
    settings: AmiSettings, out: Path, clock: Clock, until: asyncio.Event, nameless: Anonymiser | None = None
) -> int:
    """Write everything that Asterisk sends to `out` until `until` is set; the bytes written.

    What `nameless` gives back is written, if there is one. A lost connection is made again and recorded on.
    """
    with out.open("wb", buffering=0) as file:  # whoever looks sees what has come

        def keep(data: bytes) -> None:
            file.write(nameless.feed(data) if nameless else data)

        def tell(state: State, _reason: str) -> None:
            if state != "up":
                keep(b"\r\n\r\n")  # what was cut off ends here

        ami = AmiConnection(settings, lambda _event, _at: None, tell, clock, on_bytes=keep)
        await ami.start()
        try:
            await until.wait()
        finally:
            await ami.stop()
            if nameless:
                file.write(nameless.finish())
        return file.tell()
