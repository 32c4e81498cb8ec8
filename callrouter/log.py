"""Logging of the processes: structlog to stderr. An event's name is its id in docs/messages.md.

Secrets, numbers and names stay out of logs: what is logged is ids, counts and places.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Callable
from typing import TextIO, cast

import structlog

QUIET_SECONDS = 60.0


def set_up(level: str, form: str) -> None:
    """Send log lines to stderr, as `console` text or one `json` object each."""
    last: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            exception_formatter=structlog.dev.plain_traceback,  # the default shows secrets, and takes a second
        )
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info if form == "json" else _untouched,
            last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, _Unfailing(sys.stderr))),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, force=True)


class _Unfailing:
    """Standard error whose reader is gone, or whose disk is full, costs log lines and nothing else."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            return self._stream.write(text)
        return 0

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


def _untouched(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return event


class OncePerKind:
    """Lets a message of a kind through once a minute; the next one through says how many were held back."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._last: dict[str, float] = {}
        self._held: dict[str, int] = {}

    def warning(self, message: str, **facts: object) -> None:
        self._tell("warning", message, facts)

    def error(self, message: str, **facts: object) -> None:
        self._tell("error", message, facts)

    def _tell(self, level: str, message: str, facts: dict[str, object]) -> None:
        now = self._monotonic()
        if now - self._last.get(message, -QUIET_SECONDS) < QUIET_SECONDS:
            self._held[message] = self._held.get(message, 0) + 1
            return
        self._last[message] = now
        held = self._held.pop(message, 0)
        since = {"since_last": held} if held else {}
        getattr(structlog.get_logger(), level)(message, **facts, **since)
