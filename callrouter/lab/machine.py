"""How busy the machine is that all this plays on, by its kernel's account: whoever waits in vain shall know why."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

STEAL = 8
"""The field of /proc/stat's first line: what a hypervisor gave to others."""


class Busy(msgspec.Struct, frozen=True, kw_only=True):
    """While it was watched: the most that waited to run, and the processors' seconds that other machines had."""

    cores: int
    load: float
    stolen_s: float

    def __str__(self) -> str:
        stolen = f", {self.stolen_s:.1f} s of their time taken by other machines" if self.stolen_s >= 0.1 else ""  # noqa: PLR2004
        return f"load up to {self.load:.1f} on {self.cores} processors{stolen}"


class Watched:
    """From now until it is `told`; `look` now and then."""

    def __init__(self) -> None:
        self._stolen = _stolen_s()
        self._load = 0.0

    def look(self) -> None:
        self._load = max(self._load, os.getloadavg()[0])

    def told(self) -> Busy:
        self.look()
        return Busy(cores=os.cpu_count() or 1, load=self._load, stolen_s=round(_stolen_s() - self._stolen, 1))


def _stolen_s() -> float:
    """Since the start of the machine; 0 where no kernel tells."""
    try:
        fields = Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0].split()
        return int(fields[STEAL]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return 0.0
