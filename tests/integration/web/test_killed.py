"""The web's main process is killed: none of its workers stays behind to share the port with the next one's."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path

from callrouter.web.settings import WebSettings
from tests.integration.web.process import started
from tests.waiting import until


def test_workers_of_a_killed_web_end_and_leave_the_port(valkey_url: str, database: str, tmp_path: Path) -> None:
    settings = WebSettings(redis_url=valkey_url, postgres_url=database, token_keys=(b"k" * 32,))
    with started(settings, tmp_path, workers=2) as (process, port):

        def nobody_listens() -> bool:
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), 1):
                return False
            return True

        assert not nobody_listens()
        process.kill()
        process.wait()
        asyncio.run(until(nobody_listens, 30))
