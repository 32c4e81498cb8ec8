"""Ports of 127.0.0.1 that nobody listens on. Knows which ones connections are given, and keeps away from them."""

from __future__ import annotations

import contextlib
import random
import socket

FIRST, LAST = 10_000, 19_999
"""Below the ports of outgoing connections (32768 and up on Linux) and of the lab's media (20000 and up)."""
TRIES = 100


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """One that is free at this moment, and that no connection takes while a server is away.

    A port from the range of outgoing connections may be one's own end of the next connection: whoever asks again and
    again for a server that is being restarted there connects to himself in the end, and the server finds its port
    taken.
    """
    for port in [*(random.randint(FIRST, LAST) for _ in range(TRIES)), 0]:
        with contextlib.suppress(OSError), socket.socket(type=kind) as probe:
            probe.bind(("127.0.0.1", port))
            found: int = probe.getsockname()[1]
            return found
    raise OSError("no port is free on 127.0.0.1")
