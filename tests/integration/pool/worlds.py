"""Where the machine's histories take place: sites, their pools, and who comes; large and small; and what is drawn.

In a large world much happens at once. In a small one there are more visitors than numbers: what a full pool does, and
whose number is the better one, shows there. Knows no store.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from hypothesis import strategies as st

from callrouter.numbers import Number
from tests.integration.pool.model import MINUTE, Term
from tests.integration.pool.visitors import numbers

HOLD, GAP, REST = 10 * MINUTE, 30 * MINUTE, 2 * MINUTE
NUMBERS = numbers(6)
SITES = {1: 2, 2: 3}
"""Site → account."""


class World(NamedTuple):
    shares: dict[str, list[Number]]
    """The numbers of each pool."""
    choices: dict[int, tuple[str, ...]]
    """Which pools a site's visitors are given a number of, in order."""
    visitors: list[str]
    small: bool = False

    @property
    def everybody(self) -> list[tuple[int, str]]:
        return [(site, who) for who in self.visitors for site in sorted(SITES)]


def _small(count: int) -> World:
    one = ("a",)
    return World({"a": NUMBERS[:count]}, {1: one, 2: one}, [f"v{place}" for place in range(count + 1)], small=True)


LARGE = World(
    {"a": NUMBERS[:3], "b": NUMBERS[3:5]}, {1: ("a", "b"), 2: ("b",)}, [f"v{place}" for place in range(6)]
)  # fmt: skip
SMALL = [_small(1), _small(2), _small(2), _small(3)]
WORLDS = st.sampled_from([LARGE] * 5 + SMALL)

SPANS = [1_000, 5_000, 15_000, MINUTE, 2 * MINUTE, 3 * MINUTE, 5 * MINUTE, 10 * MINUTE, 20 * MINUTE, 30 * MINUTE]
"""Chosen so that sums of them fall on the very end of holds, rests and visits."""
HOW = st.fixed_dictionaries(
    {
        "campaign": st.sampled_from(["", "", "x", "y"]),
        "wants": st.sampled_from([True, True, True, False]),
        "policy": st.sampled_from(["fallback", "nearest_end"]),
        "rest": st.sampled_from([0, 0, 5 * MINUTE]),
        "counts": st.sampled_from([True, True, False]),
    }
)
ENDS: dict[str, Callable[[Term], int]] = {
    "before its end": lambda term: term.expires - 1,
    "at its end": lambda term: term.expires,
    "when it was to end at first": lambda term: term.began + HOLD,
}
WHEN = st.sampled_from(["now", "now", *ENDS])
"""When somebody does something, by his lease."""
PLACE = st.integers(min_value=0, max_value=30)
"""Whose turn it is of those who are there; which of what there is."""
