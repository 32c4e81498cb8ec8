"""What a site sets for callback orders (`sites.callback`). Pure data; knows no site."""

from __future__ import annotations

import re
from datetime import time
from typing import NamedTuple
from zoneinfo import available_timezones

import msgspec

DAYS = ("mo", "tu", "we", "th", "fr", "sa", "su")
SPAN = re.compile(r"([a-z]{2})(?:-([a-z]{2}))?\s+(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})")
MIDNIGHT = 24 * 60
ROUTE = re.compile(r"[\w.+*#-]{1,64}", re.ASCII)
BOUNDS = {
    "latest_minutes": (1, 24 * 60), "attempts": (1, 10), "pause_s": (1, 3600), "ring_s": (5, 120),
    "per_visitor": (1, 100), "per_site": (1, 10_000),
}  # fmt: skip


def is_route(text: str) -> bool:
    """Whether it may stand as an extension in the name of a channel: nothing there ends the name or begins another."""
    return ROUTE.fullmatch(text) is not None


class Opening(NamedTuple):
    """A stretch of a weekday, in minutes after midnight; Monday is 0."""

    day: int
    start: int
    end: int


class CallbackSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Off until the site's owner wants it: each order makes his PBX dial, and he pays for that."""

    enabled: bool = False
    pbx: str = ""
    """Which PBX dials, by its `systemname`; empty: any that may."""
    route: str = ""
    """Whom it rings first: an extension of the PBX's `callback_context`; empty: the site's route."""
    shown: str = ""
    """The number that the client sees, E.164; empty: the site's own."""
    countries: tuple[str, ...] = ()
    """Whose numbers may be called (ISO 3166); none: the site's country."""
    hours: str = ""
    """When employees are there, as `mo-fr 09:00-18:00, sa 10:00-15:00`; empty: always."""
    time_zone: str = ""
    """Of these hours and of the time that a client names; empty: the account's."""
    latest_minutes: int = 60
    """An order is not dialled later than so long after it was due."""
    attempts: int = 3
    """How often employees are rung before the order is given up."""
    pause_s: int = 60
    """Between two attempts."""
    ring_s: int = 30
    """How long employees are rung each time."""
    per_visitor: int = 3
    """Orders within an hour from one address, and for one number."""
    per_site: int = 30
    """Orders within an hour."""

    def __post_init__(self) -> None:
        """Raises ValueError with what is wrong."""
        _ = self.openings
        if self.time_zone and self.time_zone not in available_timezones():
            raise ValueError(f"{self.time_zone!r} is no time zone; write Europe/Moscow")
        if self.route and not is_route(self.route):
            raise ValueError(f"{self.route!r} is no extension: letters, digits, and . + * # _ - only")
        if self.shown and not self.shown.isdecimal():
            raise ValueError(f"{self.shown!r} is no number: digits only")
        for name, (least, most) in BOUNDS.items():
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{name} must lie in {least}…{most}")

    @property
    def openings(self) -> tuple[Opening, ...]:
        return openings_in(self.hours)


def openings_in(text: str) -> tuple[Opening, ...]:
    """`mo-fr 09:00-18:00, sa 10:00-15:00` → its stretches, in order. Raises ValueError."""
    found: list[Opening] = []
    for part in filter(None, (each.strip() for each in text.lower().split(","))):
        match = SPAN.fullmatch(part)
        if match is None or match[1] not in DAYS or (match[2] or match[1]) not in DAYS:
            raise ValueError(f"{part!r} is no opening; write mo-fr 09:00-18:00")
        first, last = DAYS.index(match[1]), DAYS.index(match[2] or match[1])
        start, end = int(match[3]) * 60 + int(match[4]), int(match[5]) * 60 + int(match[6])
        if first > last or not start < end <= MIDNIGHT or int(match[4]) > time.max.minute or int(match[6]) > 59:  # noqa: PLR2004
            raise ValueError(f"{part!r} is no opening within a day and a week; write mo-fr 09:00-18:00")
        found += [Opening(day, start, end) for day in range(first, last + 1)]
    return tuple(sorted(found))
