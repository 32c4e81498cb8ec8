"""One line of the table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Row:
    """`ratio` is what counts: it holds on other machines too. `target` is the least (with `at_most`, the greatest)."""

    name: str
    ours: float
    peer: float | None
    unit: str
    target: float | None
    """None: for information."""
    ratio: float
    at_most: bool = False
    note: str = ""

    @property
    def reached(self) -> bool:
        if self.target is None:
            return True
        return self.ratio <= self.target if self.at_most else self.ratio >= self.target
