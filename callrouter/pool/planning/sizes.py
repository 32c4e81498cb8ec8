"""The size that the planner names for the default world: what `callrouter pool simulate` runs without options. Pure.

Written down because finding it takes minutes; a slow test (tests/integration/planning) finds it again.
"""

from __future__ import annotations

DEFAULT_VISITS_PER_HOUR = 300.0
PER_VISIT_AN_HOUR = 30.7
"""Numbers for 97 % of attributable calls right and overflow at most 1 %, hold 30 minutes, window 72 hours."""


def default_size(visits_per_hour: float = DEFAULT_VISITS_PER_HOUR) -> int:
    """How soon a number is leased again depends on numbers per lease: twice the traffic needs twice the numbers."""
    return max(1, round(visits_per_hour * PER_VISIT_AN_HOUR))
