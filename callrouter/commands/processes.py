"""`callrouter router` and `worker`: the processes on our own reactor. In the foreground, until SIGTERM."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

import click
from twisted.internet.asyncioreactor import AsyncioSelectorReactor

from callrouter import log
from callrouter.appeals.journal import JournalError
from callrouter.clock import SystemClock
from callrouter.commands.options import config_option, loaded
from callrouter.configfile import Loaded
from callrouter.ops import CannotStart
from callrouter.reactor import install_reactor, run_until_done
from callrouter.router import Router
from callrouter.web.pages.report_letter import write_report
from callrouter.worker import Worker


@click.command()
@config_option
def router(config_file: Path | None) -> None:
    """Run beside a PBX: answer its dialplan, follow its calls, publish appeals.

    Starts although Redis, Postgres or the PBX are away, and says so; only its very first start needs Postgres, to learn
    what numbers there are. SIGTERM or Ctrl-C: answers what is in hand, writes
    what has ended, keeps what it knows of calls that go on, and ends.
    """
    found = loaded(config_file)
    _run(found, lambda reactor: Router(found, reactor, SystemClock()))


@click.command()
@config_option
def worker(config_file: Path | None) -> None:
    """Run anywhere, in any number: what no call and no page waits for.

    That is lease and visit history to Postgres, the pools' numbers, the sweeper, partitions, retention, multichannel
    appeals, sums for reports, scheduled reports, stale callback orders, erasures, and the search for leaked numbers.
    """
    found = loaded(config_file)
    _run(found, lambda reactor: Worker(found, reactor, write_report))


def _run(found: Loaded, make: Callable[[AsyncioSelectorReactor], Router | Worker]) -> None:
    log.set_up(found.config.log.level, found.config.log.format)
    loop, reactor = install_reactor()

    async def run() -> None:
        process = make(reactor)
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, process.stopping.set)
        await process.run()

    try:
        run_until_done(loop, reactor, run())
    except (CannotStart, JournalError, OSError) as error:
        raise click.ClickException(str(error)) from None
    finally:
        asyncio.set_event_loop(None)
        loop.close()
