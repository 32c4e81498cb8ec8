"""The two FastAGI servers that bench/agi.py compares, each in a process of its own: `bare PORT-PIPE` or `ours … REDIS`.

`bare` is the least that can be written: an asyncio protocol on uvloop with a constant answer. `ours` is the server of
the product with a look-up in Valkey for each call.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping

import uvloop
from redis.asyncio import BlockingConnectionPool, Redis

from callrouter.ami.agi_wire import AgiRequest
from callrouter.ami.dialplan import agi_commands, ordered
from callrouter.ami.fastagi import FastAgiServer
from callrouter.clock import SystemClock
from callrouter.reactor import install_reactor, run_until_done

VARIABLES = {
    "CALLROUTER_ROUTE": "sales",
    "CALLROUTER_SOURCE": "yandex",
    "CALLROUTER_MEDIUM": "cpc",
    "CALLROUTER_CAMPAIGN": "Осень 2026",
    "CALLROUTER_KEYWORD": "окна купить",
    "CALLROUTER_SITE": "12",
    "CALLROUTER_SESSION": "0190b5f0-9a7e-7c3e-8a53-1f2e3d4c5b6a",
    "CALLROUTER_CLIENT": "",
    "CALLROUTER_UNIQUE": "1",
    "CALLROUTER_CONFIDENCE": "0.93",
}
ANSWER = b"".join(agi_commands(ordered(VARIABLES, "ok")))


class Bare(asyncio.Protocol):
    """Answers when the environment is complete, closes at the reply."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.received = b""
        self.answered = False

    def data_received(self, data: bytes) -> None:
        if self.answered:
            self.transport.close()
        else:
            self.received += data
            if b"\n\n" in self.received:
                self.answered = True
                self.transport.write(ANSWER)


async def bare() -> None:
    server = await asyncio.get_running_loop().create_server(Bare, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def ours(url: str) -> None:
    client = Redis(connection_pool=BlockingConnectionPool.from_url(url, max_connections=64, decode_responses=True))
    await client.hset("lease:74952232725", mapping=VARIABLES)

    async def resolve(request: AgiRequest) -> Mapping[str, str]:
        found: dict[str, str] = await client.hgetall(f"lease:{request.called}")
        return found

    server = FastAgiServer(resolve, SystemClock())
    print(await server.start("127.0.0.1", 0), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    if sys.argv[1] == "bare":
        uvloop.run(bare())
    else:
        run_until_done(install_reactor(), ours(sys.argv[2]))
