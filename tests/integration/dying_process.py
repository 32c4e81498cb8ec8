"""Lives that end by SIGKILL at a wanted instruction of journal and publisher: a process each, forked from one parent.

A life journals and publishes a few calls; of each it says on stdout when it is durable. If it comes to its end, it says
`= N`: how many instructions of callrouter's it ran. Then comes `end STATUS`.

Run as: python -m tests.integration.dying_process DATABASE FOLDER; a line on stdin for each life: FIRST COUNT DIES_AT
(0: never).
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
import sys
import threading
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

import callrouter
from tests.integration.appending_process import main as live

OURS = str(Path(callrouter.__file__).parent)
HUNG_SECONDS = 60
PARTS = tuple(f"{OURS}/{part}" for part in ("appeals", "db"))


def trace(dies_at: int) -> Any:
    """Counts each instruction of ours, in any thread; the one wanted is the last."""
    instructions = count(1)

    def within(_frame: FrameType, event: str, _arg: object) -> Any:
        if event == "opcode":
            ran[0] = next(instructions)
            if ran[0] == dies_at:
                os.kill(os.getpid(), signal.SIGKILL)
        return within

    def enter(frame: FrameType, _event: str, _arg: object) -> Any:
        if not frame.f_code.co_filename.startswith(PARTS):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return within

    return enter


ran = [0]


def one(database: str, folder: Path, first: int, calls: int, dies_at: int) -> None:
    faulthandler.dump_traceback_later(HUNG_SECONDS, exit=True)
    tracer = trace(dies_at)
    threading.settrace(tracer)
    sys.settrace(tracer)
    asyncio.run(live(database, folder, first, calls))
    sys.settrace(None)
    sys.stdout.write(f"= {ran[0]}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    for line in sys.stdin:
        first, calls, dies_at = map(int, line.split())
        child = os.fork()
        if not child:
            one(sys.argv[1], Path(sys.argv[2]), first, calls, dies_at)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        # It may have died in the middle of a line.
        sys.stdout.write(f"\nend {os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()
