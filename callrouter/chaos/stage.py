"""The running product with a cable between each two parts: whatever connects them may be cut, go dead or be slow.

Knows how the product is put together, as the demo is; does not know what is done to it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

from callrouter.db.migrate import migrate
from callrouter.demo import Choices, Say, furnish, section
from callrouter.lab.asterisk import Attachment
from callrouter.lab.cable import Cable
from callrouter.lab.calls import AsteriskLab
from callrouter.lab.obtain import PbxSoftware
from callrouter.lab.servers import EmbeddedPostgres, EmbeddedValkey, running
from callrouter.lab.stack import Stack
from callrouter.lab.stack import running as processes


class Stage:
    """Everything that a fault may touch."""

    def __init__(self, postgres: EmbeddedPostgres, valkey: EmbeddedValkey, pbx: AsteriskLab, stack: Stack) -> None:
        self.postgres, self.valkey = postgres, valkey
        self.pbx, self.stack = pbx, stack
        self.sites: dict[str, str] = {}
        """A site's key → its origin."""
        self.ami_cable = Cable(pbx.ami_port)
        self.postgres_cable, self.valkey_cable = Cable(postgres.port), Cable(valkey.port)

    @property
    def cables(self) -> tuple[Cable, ...]:
        return self.ami_cable, self.postgres_cable, self.valkey_cable

    async def bring_back(self, server: EmbeddedPostgres | EmbeddedValkey) -> None:
        """Start it again with its data; where it listens now, the cable leads."""
        await asyncio.to_thread(server.start)
        cable = self.postgres_cable if server is self.postgres else self.valkey_cable
        cable.target = server.port


@contextlib.asynccontextmanager
async def ground(
    folder: Path, calls: int, say: Say
) -> AsyncIterator[tuple[EmbeddedPostgres, EmbeddedValkey, dict[str, str]]]:
    """Postgres and Valkey for the time of the block, with sites (key → origin) and numbers enough for so many calls."""
    postgres, valkey = EmbeddedPostgres(folder / "postgres"), EmbeddedValkey(folder / "valkey", durable=True)
    say("starting Postgres and Valkey")
    async with running(postgres) as url, running(valkey):
        say("making the tables")
        await migrate(url, lambda _line: None)
        yield postgres, valkey, await furnish(url, Choices(calls=calls))


@contextlib.asynccontextmanager
async def on_stage(folder: Path, software: PbxSoftware, calls: int, say: Say) -> AsyncIterator[Stage]:
    """Everything up and running for the time of the block; numbers enough for so many calls."""
    async with contextlib.AsyncExitStack() as stack:
        postgres, valkey, sites = await stack.enter_async_context(ground(folder, calls, say))
        product = Stack(folder / "callrouter", postgres=postgres.url, redis=valkey.url)
        pbx = AsteriskLab(software, folder / "pbx", attachment=Attachment(mode="agi", agi=product.agi))
        stage = Stage(postgres, valkey, pbx, product)
        stage.sites = sites
        for cable in stage.cables:
            await cable.open()
            stack.push_async_callback(cable.close)
        product.postgres = by_cable(postgres.url, stage.postgres_cable)
        product.redis = by_cable(valkey.url, stage.valkey_cable)
        await stack.enter_async_context(pbx)
        say(f"starting callrouter router, web and worker beside {pbx.description}")
        product.configure(section(pbx, "agi") | {"ami": f"127.0.0.1:{stage.ami_cable.port}"})
        async with processes(product):
            yield stage


def by_cable(url: str, cable: Cable) -> str:
    """The same server, reached through the cable."""
    return url.replace(f":{urlsplit(url).port}/", f":{cable.port}/")
