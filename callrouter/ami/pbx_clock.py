"""What time it is by the PBX's clock, by its latest stamp and what has gone by since. Knows no connection.

Ours may differ, or be set: what is told without a stamp shall still stand beside what is told with one.
"""

from __future__ import annotations

from datetime import UTC, datetime

from callrouter.clock import Clock


class PbxClock:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead: float | None = None
        """Of our steady clock, which nobody sets."""

    def told(self, stamp: str) -> None:
        """A `Timestamp` has just arrived; what is none is passed over."""
        if stamp.isascii() and stamp.replace(".", "", 1).isdigit():
            self._ahead = float(stamp) - self._clock.monotonic()

    def seconds(self) -> float:
        """Since 1970; by our own clock as long as the PBX has said nothing."""
        if self._ahead is None:
            return self._clock.now().timestamp()
        return self._ahead + self._clock.monotonic()

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds(), UTC)
