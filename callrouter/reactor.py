"""Twisted's reactor on an asyncio loop by uvloop. To be installed before anything imports `twisted.internet.reactor`.

The border between the two worlds is crossed in two ways only: `Deferred.fromFuture(asyncio.ensure_future(coroutine))`
and `deferred.asFuture(loop)`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any

from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.main import installReactor

from callrouter.garbage import settle_collector
from callrouter.lookup import Loop


def install_reactor() -> tuple[asyncio.AbstractEventLoop, AsyncioSelectorReactor]:
    """Make a uvloop loop the current one, with Twisted's reactor on it. Once per process."""
    if "twisted.internet.reactor" in sys.modules:
        raise RuntimeError("twisted.internet.reactor was imported before callrouter could choose one")
    loop: asyncio.AbstractEventLoop = Loop()
    asyncio.set_event_loop(loop)
    reactor = AsyncioSelectorReactor(loop)
    installReactor(reactor)
    return loop, reactor


def run_until_done(
    loop: asyncio.AbstractEventLoop, reactor: AsyncioSelectorReactor, main: Coroutine[Any, Any, None]
) -> None:
    """Run `main` with the reactor running, then stop the reactor (and its threads), whatever `main` ended with.

    Signals are `main`'s affair: `loop.add_signal_handler`.
    """
    settle_collector()
    task = loop.create_task(main)

    def stop(_: asyncio.Task[None]) -> None:
        reactor.callWhenRunning(reactor.stop)

    task.add_done_callback(stop)
    reactor.run(installSignalHandlers=False)
    task.result()
