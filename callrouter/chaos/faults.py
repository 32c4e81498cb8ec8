"""Each fault as a context: it is there inside, and mended after. Knows how parts are harmed, not when."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import asyncpg

from callrouter.chaos.stage import Stage
from callrouter.db.connect import connect
from callrouter.lab.servers import EmbeddedPostgres, EmbeddedValkey

NOBODY = 9
REFUSING = f"agi://127.0.0.1:{NOBODY}/resolve"
SLOW_S = 0.04
"""A piece of the talk with a slow server takes so much longer, each way."""

Inject = Callable[[Stage], AbstractAsyncContextManager[None]]


@dataclass(frozen=True)
class Fault:
    """`text` says what happens, for who reads the list."""

    inject: Inject
    text: str


@contextlib.asynccontextmanager
async def router_restarted(stage: Stage) -> AsyncIterator[None]:
    await stage.stack.stop("router")
    yield
    await stage.stack.start("router")


def killed(process: str) -> Inject:
    @contextlib.asynccontextmanager
    async def inject(stage: Stage) -> AsyncIterator[None]:
        await stage.stack.stop(process, by=signal.SIGKILL)
        yield
        await stage.stack.start(process)

    return inject


def frozen(process: str) -> Inject:
    @contextlib.asynccontextmanager
    async def inject(stage: Stage) -> AsyncIterator[None]:
        stage.stack.signal(process, signal.SIGSTOP)
        try:
            yield
        finally:
            stage.stack.signal(process, signal.SIGCONT)

    return inject


def server_gone(which: Callable[[Stage], EmbeddedPostgres | EmbeddedValkey], *, by_force: bool) -> Inject:
    @contextlib.asynccontextmanager
    async def inject(stage: Stage) -> AsyncIterator[None]:
        server = which(stage)
        if by_force:
            await asyncio.to_thread(server.signal, signal.SIGKILL)
        else:
            await asyncio.to_thread(server.stop)
        yield
        await stage.bring_back(server)

    return inject


def server_frozen(which: Callable[[Stage], EmbeddedPostgres | EmbeddedValkey]) -> Inject:
    @contextlib.asynccontextmanager
    async def inject(stage: Stage) -> AsyncIterator[None]:
        which(stage).signal(signal.SIGSTOP)
        try:
            yield
        finally:
            which(stage).signal(signal.SIGCONT)

    return inject


@contextlib.asynccontextmanager
async def scripts_lost(stage: Stage) -> AsyncIterator[None]:
    def flush() -> None:
        with stage.valkey.client() as client:
            client.script_flush()

    await asyncio.to_thread(flush)
    yield


@contextlib.asynccontextmanager
async def valkey_demoted(stage: Stage) -> AsyncIterator[None]:
    def follow_nobody() -> None:
        with stage.valkey.client() as client:
            client.execute_command("REPLICAOF", "127.0.0.1", NOBODY)

    await asyncio.to_thread(follow_nobody)
    yield
    await asyncio.to_thread(stage.valkey.promote)


@contextlib.asynccontextmanager
async def router_starved(stage: Stage) -> AsyncIterator[None]:
    process = stage.stack.pid("router")
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[0])  # noqa: ASYNC240 - the kernel answers at once
    resource.prlimit(process, resource.RLIMIT_AS, (pages * resource.getpagesize(),) * 2)
    yield
    await stage.stack.stop("router", by=signal.SIGKILL)
    await stage.stack.start("router")


@contextlib.asynccontextmanager
async def postgres_read_only(stage: Stage) -> AsyncIterator[None]:
    await _alter(stage, "SET default_transaction_read_only = on")
    yield
    await _alter(stage, "RESET default_transaction_read_only")


async def _alter(stage: Stage, what: str) -> None:
    conn: asyncpg.Connection[asyncpg.Record] = await connect(stage.postgres.url)
    try:
        await conn.execute(f"ALTER SYSTEM {what}")
        await conn.execute("SELECT pg_reload_conf()")
    finally:
        await conn.close()


@contextlib.asynccontextmanager
async def postgres_slow(stage: Stage) -> AsyncIterator[None]:
    stage.postgres_cable.delay_s = SLOW_S
    yield
    stage.postgres_cable.delay_s = 0.0


@contextlib.asynccontextmanager
async def valkey_slow(stage: Stage) -> AsyncIterator[None]:
    stage.valkey_cable.delay_s = SLOW_S
    yield
    stage.valkey_cable.delay_s = 0.0


@contextlib.asynccontextmanager
async def ami_cut(stage: Stage) -> AsyncIterator[None]:
    stage.ami_cable.cut()
    yield
    stage.ami_cable.cut()


@contextlib.asynccontextmanager
async def ami_silent(stage: Stage) -> AsyncIterator[None]:
    stage.ami_cable.go_dead()
    yield


@contextlib.asynccontextmanager
async def agi_refused(stage: Stage) -> AsyncIterator[None]:
    async with _agi_at(stage, REFUSING):
        yield


@contextlib.asynccontextmanager
async def agi_silent(stage: Stage) -> AsyncIterator[None]:
    with socket.create_server(
        ("127.0.0.1", 0), backlog=1000
    ) as listener:  # connections are made, and nobody takes them
        async with _agi_at(stage, f"agi://127.0.0.1:{listener.getsockname()[1]}/resolve"):
            yield


@contextlib.asynccontextmanager
async def _agi_at(stage: Stage, address: str) -> AsyncIterator[None]:
    usual = stage.pbx.attachment
    await stage.pbx.attach(replace(usual, agi=address))
    yield
    await stage.pbx.attach(usual)


@contextlib.asynccontextmanager
async def disk_full(stage: Stage) -> AsyncIterator[None]:
    process = stage.stack.pid("router")
    limit, most = resource.prlimit(process, resource.RLIMIT_FSIZE)
    resource.prlimit(process, resource.RLIMIT_FSIZE, (1, most))
    yield
    resource.prlimit(process, resource.RLIMIT_FSIZE, (limit, most))


@contextlib.asynccontextmanager
async def asterisk_reload(stage: Stage) -> AsyncIterator[None]:
    await stage.pbx.rx("module reload")
    yield


@contextlib.asynccontextmanager
async def asterisk_restarted(stage: Stage) -> AsyncIterator[None]:
    await stage.pbx.end()
    yield
    await stage.pbx.restart()


def _postgres(stage: Stage) -> EmbeddedPostgres:
    return stage.postgres


def _valkey(stage: Stage) -> EmbeddedValkey:
    return stage.valkey


FAULTS: dict[str, Fault] = {
    "router-killed": Fault(killed("router"), "the router is killed (SIGKILL), and started again"),
    "router-frozen": Fault(frozen("router"), "the router stands still (SIGSTOP) with its connections open"),
    "router-restarted": Fault(router_restarted, "the router is stopped in order, and started again"),
    "router-starved": Fault(router_starved, "the router gets no more memory; then it is killed, and started again"),
    "web-killed": Fault(killed("web"), "web is killed: visitors see the site's own number"),
    "worker-killed": Fault(killed("worker"), "the worker is killed: lease history waits"),
    "valkey-killed": Fault(
        server_gone(_valkey, by_force=True), "Valkey is killed, and started with its append-only file"
    ),
    "valkey-restarted": Fault(server_gone(_valkey, by_force=False), "Valkey is stopped in order, and started again"),
    "valkey-frozen": Fault(server_frozen(_valkey), "Valkey stands still"),
    "valkey-slow": Fault(valkey_slow, "each message to and from Valkey takes 40 ms"),
    "valkey-scripts-lost": Fault(scripts_lost, "Valkey forgets the scripts (SCRIPT FLUSH)"),
    "valkey-demoted": Fault(valkey_demoted, "Valkey refuses to write, as a replica does after a failover"),
    "postgres-killed": Fault(server_gone(_postgres, by_force=True), "Postgres and its sessions are killed"),
    "postgres-restarted": Fault(
        server_gone(_postgres, by_force=False), "Postgres is stopped in order, and started again"
    ),
    "postgres-frozen": Fault(server_frozen(_postgres), "Postgres stands still"),
    "postgres-read-only": Fault(postgres_read_only, "Postgres refuses to write, as a standby does"),
    "postgres-slow": Fault(postgres_slow, "each message to and from Postgres takes 40 ms"),
    "ami-cut": Fault(ami_cut, "the AMI connection is closed, twice"),
    "ami-silent": Fault(ami_silent, "the AMI connection goes dead without a word (half-open)"),
    "agi-refused": Fault(agi_refused, "nobody listens where the dialplan asks"),
    "agi-silent": Fault(agi_silent, "who listens where the dialplan asks never answers"),
    "disk-full": Fault(disk_full, "the router cannot write a byte to its journal"),
    "asterisk-reloaded": Fault(asterisk_reload, "Asterisk reloads all its modules"),
    "asterisk-restarted": Fault(asterisk_restarted, "Asterisk is stopped with its calls, and started again"),
}
