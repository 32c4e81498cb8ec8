"""Which processor cores a process may run on: Asterisk on one of its own, all else on the others, as two hosts would.

Knows process ids, not what they are.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator
from pathlib import Path


class TooFewCores(OSError):
    """Nothing could be kept apart."""


@contextlib.contextmanager
def all_but_one() -> Iterator[int]:
    """For the time of the block this process, and what it starts, leaves one core alone: that one."""
    first, *others = everywhere = sorted(os.sched_getaffinity(0))
    if not others:
        raise TooFewCores("to keep Asterisk apart two processor cores are needed, and this process has one")
    confine(os.getpid(), others)
    try:
        yield first
    finally:
        confine(os.getpid(), everywhere)


def confine(pid: int, cores: Collection[int]) -> None:
    """The process with all its threads; threads and children that begin later inherit it."""
    for _ in range(2):  # a thread may begin while the others are told
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(int(task.name), cores)
