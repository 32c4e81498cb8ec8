"""PBX time: what an AMI event says about when it happened. Knows header formats; knows no calls.

Inside the tracker a time is a float of Unix seconds: datetimes are made only when a record is built.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

LATEST = 1e11
"""Seconds; anything later (or not a number) is no time of day."""


def moment(at: float) -> datetime:
    """`at` as an aware datetime, exact to the microsecond."""
    return datetime.fromtimestamp(at, UTC)


def seconds_between(start: float, end: float) -> float:
    """A duration as records store it: never negative (a PBX's clock may be set back), microseconds."""
    return round(max(0.0, end - start), 6)


def stamp_of(event: Mapping[str, str]) -> float | None:
    """The event's own time (`timestampevents=yes`), or None when the PBX did not say."""
    text = event.get("Timestamp")
    if not text:
        return None
    at = float(text)
    if not 0 < at < LATEST:
        raise ValueError(f"{text!r} is no time")
    return at


def birth_of(uniqueid: str) -> float | None:
    """When the channel with this id was made, to the second: ids are `EPOCH.N` or `systemname-EPOCH.N`."""
    digits = uniqueid.rpartition("-")[2].partition(".")[0]
    return float(digits) if digits.isascii() and digits.isdigit() and 9 <= len(digits) <= 11 else None  # noqa: PLR2004


def serial_of(uniqueid: str) -> int:
    """The N of `EPOCH.N`, which Asterisk counts from 0 at each start; -1 if there is none."""
    serial = uniqueid.rpartition(".")[2]
    return int(serial) if serial.isascii() and serial.isdigit() and len(serial) <= 12 else -1  # noqa: PLR2004


def system_of(uniqueid: str) -> str:
    """Asterisk's `systemname`, by which it prefixes its ids; empty when it has none."""
    system, dash, rest = uniqueid.rpartition("-")
    return system if dash and rest.replace(".", "", 1).isdigit() else ""


def clock_text(text: str) -> float:
    """Seconds of a `HH:MM:SS` duration, as CoreShowChannel gives it."""
    hours, minutes, seconds = text.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds)
