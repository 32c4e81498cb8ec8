"""FastAGI with a look-up in a real Valkey, against a bare asyncio protocol that answers the same without one.

Servers and clients are processes of their own; the servers take turns, so that a busy machine hits both. In each turn
they are new, for the calls of this benchmark never end: their pins would pile up as those of a PBX do not.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

from bench.row import Row
from callrouter.lab.servers import EmbeddedValkey

SECONDS = 1.5
CONCURRENT = 32
TURNS = 5
RATE = 200
P99 = 0.005


class Turn(NamedTuple):
    per_second: float
    cpu: float
    """Of the server, in µs per call: what counts where a client of its own machine is not the limit."""
    p99: float


def run() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        valkey = EmbeddedValkey(Path(folder))
        url = valkey.start()
        try:
            turns = {kind: [turn(valkey, kind)] for kind in ("usual", "bare", "stock", "ours")}
            for _ in range(TURNS - 1):
                for kind, others in turns.items():
                    others.append(turn(valkey, kind))
            with server("ours", url) as (port, _):
                client(port, 0.5, CONCURRENT)
                calm = client(port, 3.0, CONCURRENT, RATE)["p99"]
        finally:
            valkey.stop()
    return rows(turns, calm)


def turn(valkey: EmbeddedValkey, kind: str) -> Turn:
    with valkey.client() as redis:
        redis.flushall()
    with server(kind, *([valkey.url] if kind == "ours" else [])) as (port, pid):
        client(port, 0.3, CONCURRENT)  # warm
        before = cpu_seconds(pid)
        told = client(port, SECONDS, CONCURRENT)
        return Turn(told["per_second"], (cpu_seconds(pid) - before) / told["calls"] * 1e6, told["p99"])


def rows(turns: dict[str, list[Turn]], calm: float) -> list[Row]:
    def row(name: str, peer: str, target: float | None, column: int, unit: str) -> Row:
        pairs = [(own[column], other[column]) for own, other in zip(turns["ours"], turns[peer], strict=True)]
        ratio = median(other / own if unit == "µs" else own / other for own, other in pairs)
        return Row(
            name=name, ours=median(own for own, _ in pairs), peer=median(other for _, other in pairs), unit=unit,
            ratio=ratio, target=target, note="" if target else "for information",
        )  # fmt: skip

    return [
        row("FastAGI resolve with look-up, against a bare server setting as much", "usual", 0.6, 0, "calls/s"),
        row("… against one that sets them by our single command", "bare", None, 0, "calls/s"),
        row("… against that one on stock asyncio", "stock", None, 0, "calls/s"),
        row("… CPU of the server per call, against the first", "usual", None, 1, "µs"),
        row("… CPU of the server per call, against the second", "bare", None, 1, "µs"),
        Row(
            name=f"FastAGI resolve, p99 at {RATE} calls/s",
            ours=calm * 1000, peer=P99 * 1000, unit="ms", ratio=calm / P99, target=1, at_most=True,
            note="the peer is the limit",
        ),
    ]  # fmt: skip


def client(port: int, seconds: float, concurrent: int, *rate: float) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.agi_client", *(str(v) for v in (port, seconds, concurrent, *rate))]
    answer: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return answer


@contextmanager
def server(kind: str, *arguments: str) -> Iterator[tuple[int, int]]:
    """Its port and its process."""
    command = [sys.executable, "-m", "bench.agi_server", kind, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline()), process.pid
        finally:
            process.kill()


def cpu_seconds(pid: int) -> float:
    """Spent by a process so far (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
