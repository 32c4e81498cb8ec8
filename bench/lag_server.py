"""Asterisk's side for bench/lag.py, in a process of its own: a manager interface that sends a stream on time.

It begins when somebody has logged in. Prints its port.
"""

from __future__ import annotations

import asyncio
import time

import uvloop

from bench.ami import stream
from callrouter.lab import simulated_ami
from callrouter.lab.simulated_ami import SimulatedManager

USER, SECRET = "callrouter", "bench"
RATE = 20_000
SECONDS = 6
TICK = 0.005
MARK, DONE = "mark", "done"
UNSENT = 1 << 30
"""Bytes: a reader that is slow is to be measured, not closed."""


class Manager(SimulatedManager):
    def __init__(self) -> None:
        super().__init__("pbx1")
        self.user, self.secret = USER, SECRET
        self.asked = asyncio.Event()
        """For lists: somebody has logged in."""
        self.lists = self._no_lists

    def _no_lists(self, _action: str) -> list[dict[str, str]]:
        self.asked.set()
        return []


async def main() -> None:
    simulated_ami.MAX_UNSENT = UNSENT
    manager = Manager()
    await manager.start()
    blocks = b"".join(stream()[0]).split(b"\r\n\r\n")[:-1]
    print(manager.port, flush=True)
    await manager.asked.wait()
    began, sent = time.monotonic(), 0
    while sent < RATE * SECONDS:
        due = int((time.monotonic() - began) * RATE)
        for number in range(sent, due):
            manager.send(blocks[number % len(blocks)] + b"\r\n\r\n")
        manager.emit("UserEvent", UserEvent=MARK, Sent=f"{time.time():.6f}")
        sent = due
        await asyncio.sleep(TICK)
    manager.emit("UserEvent", UserEvent=DONE)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
