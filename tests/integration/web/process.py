"""The web as it is run: in processes of granian, on a free port."""

from __future__ import annotations

import base64
import contextlib
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from callrouter.lab.ports import free_port
from callrouter.web.settings import WebSettings

SERVE = """
import base64, pickle, sys
from callrouter.web.serve import serve

if __name__ == "__main__":
    serve(pickle.loads(base64.b64decode(sys.argv[1])), port=int(sys.argv[2]), workers=int(sys.argv[3]))
"""


@contextlib.contextmanager
def web_process(settings: WebSettings, folder: Path, *, workers: int = 1) -> Iterator[int]:
    """Its port, once it is ready."""
    with started(settings, folder, workers=workers) as (process, port):
        try:
            yield port
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0


@contextlib.contextmanager
def started(settings: WebSettings, folder: Path, *, workers: int = 1) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The process and its port, once it is ready."""
    program, port = folder / "serve.py", free_port()
    program.write_text(SERVE)
    packed = base64.b64encode(pickle.dumps(settings)).decode()
    process = subprocess.Popen(
        [sys.executable, str(program), packed, str(port), str(workers)],
        stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=dict(os.environ),
    )  # fmt: skip
    try:
        _await(f"http://127.0.0.1:{port}/ready")
        yield process, port
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(30)


def _await(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(url, timeout=5).status_code == 200:
                return
        time.sleep(0.05)
    raise AssertionError("the web did not get ready")
