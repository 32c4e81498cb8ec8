"""`callrouter router`, `web`, `worker`: the processes. In the foreground, until SIGTERM."""

from __future__ import annotations

import asyncio
import secrets
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import click
from twisted.internet.asyncioreactor import AsyncioSelectorReactor

from callrouter import log
from callrouter.appeals.journal import JournalError
from callrouter.clock import SystemClock
from callrouter.commands.options import config_option, loaded
from callrouter.config import address
from callrouter.configfile import Loaded
from callrouter.ops import OTHER_PORT, CannotStart, needed
from callrouter.pool.store import Lifetimes
from callrouter.reactor import install_reactor, run_until_done
from callrouter.router import Router
from callrouter.web.app import WebSettings
from callrouter.web.serve import serve
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
    """Run anywhere, in any number: lease and visit history to Postgres, the sweeper, partitions."""
    found = loaded(config_file)
    _run(found, lambda reactor: Worker(found, reactor))


@click.command()
@config_option
def web(config_file: Path | None) -> None:
    """Run anywhere, in any number: the visitors' endpoint, which leases the numbers that pages show.

    Put a TLS proxy before it. Redis away: pages are answered with the site's own number, at once.
    """
    found = loaded(config_file)
    log.set_up(found.config.log.level, found.config.log.format)
    config = found.config
    host, port = address(config.web.listen)
    try:
        with needed(found.source.where("web.listen"), "the web cannot listen there", OTHER_PORT):
            socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except CannotStart as error:
        raise click.ClickException(str(error)) from None
    settings = WebSettings(
        redis_url=config.redis.url,
        redis_cluster=config.redis.cluster,
        postgres_url=config.postgres.url,
        token_keys=((config.web.token_secret or secrets.token_hex(32)).encode(),),
        lifetimes=Lifetimes(window=config.attribution.window),
        log_level=config.log.level,
        log_format=config.log.format,
    )
    serve(settings, host=host, port=port, workers=config.web.workers)


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
