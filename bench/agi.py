"""FastAGI with a look-up in a real Valkey, against a bare asyncio protocol that answers the same without one.

Servers and clients are processes of their own; the servers take turns, so that a busy machine hits both.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.row import Row
from callrouter.lab.servers import EmbeddedValkey

SECONDS = 2.0
CONCURRENT = 32
TURNS = 3
RATE = 200
P99 = 0.005


def run() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        valkey = EmbeddedValkey(Path(folder))
        url = valkey.start()
        try:
            with server("bare") as bare, server("ours", url) as ours:
                return rows(bare, ours)
        finally:
            valkey.stop()


def rows(bare: int, ours: int) -> list[Row]:
    for port in (bare, ours):
        client(port, 0.5, CONCURRENT)  # warm
    turns = [(client(bare, SECONDS, CONCURRENT), client(ours, SECONDS, CONCURRENT)) for _ in range(TURNS)]
    peer, own = (max(turn[side]["per_second"] for turn in turns) for side in (0, 1))
    calm = client(ours, 3.0, CONCURRENT, RATE)
    return [
        Row(
            name="FastAGI resolve with look-up, against a bare answer",
            ours=own, peer=peer, unit="calls/s", ratio=own / peer, target=0.6,
        ),
        Row(
            name=f"FastAGI resolve, p99 at {RATE} calls/s",
            ours=calm["p99"] * 1000, peer=P99 * 1000, unit="ms", ratio=calm["p99"] / P99, target=1, at_most=True,
            note="the peer is the limit",
        ),
    ]  # fmt: skip


def client(port: int, seconds: float, concurrent: int, *rate: float) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.agi_client", *(str(v) for v in (port, seconds, concurrent, *rate))]
    answer: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return answer


@contextmanager
def server(kind: str, *arguments: str) -> Iterator[int]:
    command = [sys.executable, "-m", "bench.agi_server", kind, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()
