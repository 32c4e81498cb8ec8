"""Which appeals of a client are multichannel, and by which touches each came about (rules §7). Pure.

A function of the set of a client's touches and appeals: the order in which they became known does not matter.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from operator import attrgetter
from uuid import UUID

import msgspec

CHANNELS = 2
LONGEST_CHAIN = 200
"""Touches kept of a chain: the first, and the latest. Nobody reads more, and robots make thousands."""


class Touch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A visit of the client, as far as reports ask about it. `session` tells touches apart."""

    at: datetime
    session: str
    visitor: str = ""
    channel: str
    source: str
    medium: str = ""
    campaign: str = ""
    keyword: str = ""
    landing_page: str = ""
    region: str = ""
    device: str = ""


class Rule(msgspec.Struct, frozen=True):
    """What the account has set: so many touches, and how far to look back if there are none since the last appeal."""

    touches: int = 2
    days: int = 90


class Story(msgspec.Struct, frozen=True):
    """What led to an appeal. `chain` is its own; `reached` all touches within the window, for whoever looks farther."""

    multichannel: bool
    chain: tuple[Touch, ...]
    reached: tuple[Touch, ...]


NO_STORY = Story(multichannel=False, chain=(), reached=())


def stories(touches: Iterable[Touch], appeals: Mapping[UUID, datetime], rule: Rule) -> dict[UUID, Story]:
    """By appeal, what led to it. A touch at the appeal's very start is not before it."""
    ordered = sorted({touch.session: touch for touch in touches}.values(), key=attrgetter("at", "session"))
    if not ordered:
        return dict.fromkeys(appeals, NO_STORY)
    times = [touch.at for touch in ordered]
    enough_at = _enough_at(ordered, rule.touches)
    told = {}
    previous: datetime | None = None
    for appeal, at in sorted(appeals.items(), key=lambda item: (item[1], item[0])):
        end = bisect_left(times, at)
        reach = bisect_left(times, at - timedelta(days=rule.days))
        start = bisect_left(times, previous) if previous is not None else reach
        if start >= end:
            start = reach
        told[appeal] = Story(
            multichannel=end >= enough_at, chain=_short(ordered[start:end]), reached=_short(ordered[reach:end])
        )
        previous = at
    return told


def _enough_at(ordered: list[Touch], wanted: int) -> int:
    """How many touches, from the first on, make an appeal after them multichannel."""
    seen = set()
    for count, touch in enumerate(ordered, 1):
        seen.add((touch.channel, touch.source))
        if count >= wanted and len(seen) >= CHANNELS:
            return count
    return len(ordered) + 1


def _short(chain: list[Touch]) -> tuple[Touch, ...]:
    return tuple(chain) if len(chain) <= LONGEST_CHAIN else (chain[0], *chain[1 - LONGEST_CHAIN :])
