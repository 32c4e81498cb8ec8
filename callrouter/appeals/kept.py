"""Which of the published part of the journal is kept a while, for a server that replaces the one that had it.

Knows positions and times; knows no file. Used by the event loop and by the journal's own thread.
"""

from __future__ import annotations

import time
from collections import deque
from typing import NamedTuple

from callrouter.appeals.segments import Position

KEPT_SECONDS = 900.0
MARK_SECONDS = 30.0


class _Mark(NamedTuple):
    """From this time on was published what stands from there on, for half a minute or until the next mark."""

    at: float
    start: Position


class Kept:
    """`seconds` 0: nothing is kept."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._marks: deque[_Mark] = deque()

    def note(self, position: Position) -> None:
        """What stands from `position` on is published now."""
        now = time.monotonic()
        marks = self._marks
        if self.seconds and not (marks and now - marks[-1].at < MARK_SECONDS):
            marks.append(_Mark(now, position))

    def start(self) -> Position | None:
        """Where the oldest begins that was not published too long ago; None if there is none."""
        oldest = time.monotonic() - self.seconds - MARK_SECONDS
        for mark in tuple(self._marks):
            if mark.at > oldest:
                return mark.start
            self._marks.popleft()
        return None

    def clear(self) -> None:
        self._marks.clear()
