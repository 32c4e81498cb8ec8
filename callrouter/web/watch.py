"""Gives up what takes too long, by one timer for all: a timer for each would cost a request more than most of its work.

Knows no requests. What is given up ends up to a tick later than asked for.
"""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType

TICKS = 8
"""To a span: how late it may be noticed."""


class Watch:
    """For spans of one length: `with watch.span(): await …` raises TimeoutError when it took longer."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._spans: deque[Span] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    def span(self) -> Span:
        loop = asyncio.get_running_loop()
        span = Span(asyncio.current_task(loop), loop.time() + self.seconds)
        self._spans.append(span)
        if self._timer is None or self._loop is not loop:
            self._loop = loop
            self._timer = loop.call_later(self.seconds / TICKS, self._tick, loop)
        return span

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        spans = self._spans
        while spans and (spans[0].task is None or spans[0].ends <= now):
            spans.popleft().expire()
        self._timer = loop.call_later(self.seconds / TICKS, self._tick, loop) if spans else None


class Span:
    __slots__ = ("ends", "expired", "task")

    def __init__(self, task: asyncio.Task[object] | None, ends: float) -> None:
        self.task = task
        self.ends = ends
        self.expired = False

    def expire(self) -> None:
        if self.task is not None:
            self.expired = True
            self.task.cancel()

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        task, self.task = self.task, None
        if self.expired and task is not None:
            task.uncancel()
            if kind is not None and issubclass(kind, asyncio.CancelledError):
                raise TimeoutError from error
