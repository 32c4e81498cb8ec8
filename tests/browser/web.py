"""`callrouter web`, as an operator runs it, for a browser's tests. Knows its configuration and when it is ready."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from callrouter.lab.ports import free_port
from tests.openid_provider import CLIENT, SECRET, Provider


@contextmanager
def web_running(folder: Path, *, postgres: str, redis: str, provider: Provider | None = None) -> Iterator[str]:
    """Its address, while it runs; `folder` takes its configuration and what it writes. `provider`: of sign-ins."""
    port = free_port()
    sections = {
        "postgres": {"url": postgres},
        "redis": {"url": redis},
        "web": {
            "listen": f"127.0.0.1:{port}",
            "token_secret": "a key of the tests, long enough",
            "journal": str(folder / "journal"),
        },
    }
    if provider:
        provider.registered.add(f"http://127.0.0.1:{port}/sign-in/openid/callback")
        known = {"client_id": CLIENT, "client_secret": SECRET, "label": "Corp ID"}
        sections["oidc"] = {"issuer": provider.url} | known
    lines = [
        line
        for name, keys in sections.items()
        for line in (f"[{name}]", *(f"{k} = {json.dumps(v)}" for k, v in keys.items()))
    ]
    config = folder / "callrouter.toml"
    config.write_text("\n".join(lines))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "callrouter", "web", "--config", str(config)], stdout=log, stderr=log
        )
    try:
        _await_ready(f"http://127.0.0.1:{port}/ready", folder / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(15)


def _await_ready(url: str, log: Path) -> None:
    deadline = time.monotonic() + 120  # a machine may be slow
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(log.read_text())
