"""callrouter's own processes around one PBX, as an operator would run them: for the demo and for tests with real calls.

Knows how each is configured, started, awaited, stopped and killed; they run as commands, talk over real sockets and
keep everything in one folder. Knows neither visitors nor calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

from callrouter.lab.ports import free_port

START_SECONDS = 60.0
STOP_SECONDS = 30.0
PROCESSES = ("router", "web", "worker")


class ProcessFailed(RuntimeError):
    """A process of ours did not start; the message has the end of its log."""


class Stack:
    """Where everything listens, and the processes by name."""

    def __init__(self, folder: Path, *, postgres: str, redis: str, cluster: bool = False) -> None:
        self.folder = folder
        self.config = folder / "callrouter.toml"
        self.agi_port, self.web_port = free_port(), free_port()
        self.router_ops, self.worker_ops = free_port(), free_port()
        self._redis_cluster = cluster
        self.postgres, self.redis = postgres, redis
        self.environ: dict[str, str] = {}
        """For processes that are started from now on, besides what they inherit."""
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def agi(self) -> str:
        """For the dialplan's AGI()."""
        return f"agi://127.0.0.1:{self.agi_port}/resolve"

    @property
    def web(self) -> str:
        return f"http://127.0.0.1:{self.web_port}"

    def ops(self, process: str) -> str:
        ports = {"router": self.router_ops, "web": self.web_port, "worker": self.worker_ops}
        return f"http://127.0.0.1:{ports[process]}"

    def configure(self, *pbx: dict[str, object]) -> None:
        """Write callrouter.toml. `pbx`: the keys of each [[pbx]] section."""
        sections: list[tuple[str, dict[str, object]]] = [
            ("[postgres]", {"url": self.postgres}),
            ("[redis]", {"url": self.redis, "cluster": self._redis_cluster}),
            ("[router]", {
                "agi_listen": f"127.0.0.1:{self.agi_port}", "http_listen": f"127.0.0.1:{self.router_ops}",
                "journal": str(self.folder / "journal"),
            }),
            ("[web]", {
                "listen": f"127.0.0.1:{self.web_port}", "token_secret": secrets.token_hex(16),
                "journal": str(self.folder / "web-journal"),
            }),
            ("[worker]", {"http_listen": f"127.0.0.1:{self.worker_ops}", "sweep_seconds": 1.0}),
            *(("[[pbx]]", keys) for keys in pbx),
        ]  # fmt: skip
        lines = [
            line
            for heading, keys in sections
            for line in (heading, *(f"{key} = {json.dumps(value)}" for key, value in keys.items()), "")
        ]
        self.config.touch(mode=0o600)
        self.config.write_text("\n".join(lines), encoding="utf-8")

    async def start(self, *names: str) -> None:
        """Start processes (all if none is named); returns when they are ready."""
        for name in names or PROCESSES:
            with (self.folder / f"{name}.log").open("ab") as log:
                self._processes[name] = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "callrouter", name, "--config", str(self.config),
                    stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                    env=os.environ | self.environ,
                )  # fmt: skip
        for name in names or PROCESSES:
            await self._ready(name)

    async def stop(self, *names: str, by: signal.Signals = signal.SIGTERM) -> None:
        """Send `by` and wait; a process that does not end is killed."""
        for name in names or tuple(self._processes):
            process = self._processes.pop(name, None)
            if process is None or process.returncode is not None:
                continue
            process.send_signal(by)
            try:
                await asyncio.wait_for(process.wait(), STOP_SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()

    def signal(self, name: str, which: signal.Signals) -> None:
        self._processes[name].send_signal(which)

    def pid(self, name: str) -> int:
        return self._processes[name].pid

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    async def fetch(self, url: str) -> tuple[int, str]:
        """Status and body of a GET; status 0 when nobody answers."""

        def get() -> tuple[int, str]:
            try:
                with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own address
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                return error.code, error.read().decode()
            except OSError as error:
                return 0, str(error)

        return await asyncio.to_thread(get)

    async def _ready(self, name: str) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + START_SECONDS
        while True:
            status, answer = await self.fetch(f"{self.ops(name)}/ready")
            if status == 200:  # noqa: PLR2004
                return
            if self._processes[name].returncode is not None or loop.time() > deadline:
                last = self.log(name).strip().splitlines()[-3:]
                raise ProcessFailed(f"callrouter {name} is not ready ({answer.strip()}): {' | '.join(last)}")
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def running(stack: Stack, *names: str) -> AsyncIterator[Stack]:
    """The processes for the time of the block."""
    try:
        await stack.start(*names)
        yield stack
    finally:
        await stack.stop()
