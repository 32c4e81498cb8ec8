"""Background tasks of a process: started in one place, kept referenced, their failures counted and logged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import structlog
from prometheus_client import Counter, Gauge

log = structlog.get_logger()

AGAIN_SECONDS = 1.0
"""A lasting task that failed is begun anew after so long."""
CANCEL_AGAIN_SECONDS = 5.0
"""Longer than the tidying up of a task that was cancelled takes."""

RUNNING = Gauge("callrouter_background_tasks", "Background tasks running now.", ["task"])
FAILED = Counter("callrouter_background_failures_total", "Background tasks that ended with an exception.", ["task"])


class Background:
    """The tasks of one owner. `stop` cancels what is left and waits for it."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[object]] = set()

    def start(self, name: str, work: Coroutine[object, object, object]) -> asyncio.Task[object]:
        """Run `work` until it ends or `stop`. `name` is one of few: it labels metrics."""
        task: asyncio.Task[object] = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        RUNNING.labels(name).inc()
        task.add_done_callback(self._ended)
        return task

    def keep(self, name: str, work: Callable[[], Coroutine[object, object, object]]) -> asyncio.Task[object]:
        """Run `work()` until it ends by itself or `stop`; after a failure, which is a fault of ours, begin it anew."""
        return self.start(name, self._kept(name, work))

    async def _kept(self, name: str, work: Callable[[], Coroutine[object, object, object]]) -> None:
        while True:
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - the process must not lose the part for good, whatever it was
                _failed(name, error)
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                return

    def _ended(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        name = task.get_name()
        RUNNING.labels(name).dec()
        if not task.cancelled() and (error := task.exception()) is not None:
            _failed(name, error)

    async def drained(self, within: float) -> bool:
        """Wait up to `within` seconds for the tasks to end by themselves. Returns whether all did."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=within)
        return not self._tasks

    async def stop(self, again: float = CANCEL_AGAIN_SECONDS) -> None:
        """Also those that begin meanwhile. Libraries lose a cancellation that comes as a wait ends: it is repeated."""
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(set(self._tasks), timeout=again)


def _failed(name: str, error: BaseException) -> None:
    FAILED.labels(name).inc()
    log.error("BACKGROUND-FAILED", task=name, error=repr(error), exc_info=error)
