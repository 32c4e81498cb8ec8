"""Runs the web application in granian: one process, or several that share the port."""

from __future__ import annotations

import functools
import multiprocessing
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.server import Server

from callrouter import log
from callrouter.web.settings import WebSettings

if TYPE_CHECKING:
    from litestar.types import ASGIApp

    Load = Callable[..., ASGIApp]

HEADER_SECONDS = 10
GRACE_SECONDS = 10
"""Requests in hand are finished within this time."""
STDERR = {"formatter": "generic", "class": "logging.StreamHandler", "stream": "ext://sys.stderr"}
"""Granian's own lines would go to stdout."""


def serve(
    settings: WebSettings, *, host: str = "127.0.0.1", port: int = 8000, workers: int = 1, load: Load | None = None
) -> None:
    """Serve until SIGTERM or SIGINT; requests in hand are finished. Worker processes that die are replaced.

    `load` makes the application in each worker process; it must be importable, for they are spawned.
    """
    multiprocessing.set_start_method("spawn", force=True)  # a fork would inherit counters that are not shared
    folder = _share_metrics() if workers > 1 else None
    server = Server(
        "callrouter.web",
        address=host,
        port=port,
        workers=workers,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        http=HTTPModes.http1,  # while it guesses the protocol, a silent connection would be kept for ever
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_SECONDS * 1000),
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=GRACE_SECONDS,
        log_access=False,
        log_dictconfig={"handlers": dict.fromkeys(("console", "access"), STDERR)},
    )
    try:
        server.serve(target_loader=functools.partial(load or _load, settings), wrap_loader=False)
    finally:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def _load(settings: WebSettings, *_: object) -> ASGIApp:
    log.set_up(settings.log_level, settings.log_format)  # each worker is a process of its own
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    from callrouter.web.app import create_app  # noqa: PLC0415 - two seconds that the parent need not spend

    return create_app(settings)


def _end_with_parent() -> None:
    """A parent that was killed ends nobody: its workers would share the port with those of the next, for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE_SECONDS)
        os._exit(1)


def _share_metrics() -> str:
    """A folder in which the processes' counters meet; it must be named before a process counts anything."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        return ""
    folder = tempfile.mkdtemp(prefix="callrouter-metrics-")
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    return folder
