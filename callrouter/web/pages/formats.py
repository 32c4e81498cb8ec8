"""Dates, numbers, money and telephone numbers as a reader writes them, by his language and account's clock. Pure."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Literal
from urllib.parse import unquote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale, dates, numbers, units

from callrouter.numbers import INTERNATIONAL, NotANumber, display_number, parse_number
from callrouter.people.model import Locale as Language

BABEL: dict[Language, str] = {"ru": "ru_RU", "en": "en_GB"}
"""English as the world writes it: days before months, 24 hours."""
DASH = "—"
WITH_SMALL_CHANGE = 100
UNITS: tuple[tuple[Literal["day", "hour", "minute", "second"], int], ...] = (
    ("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1),
)  # fmt: skip


@cache
def zone(name: str) -> ZoneInfo:
    """UTC for a name that this machine does not know."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


class Formats:
    """What is None is told by a dash."""

    def __init__(self, locale: Language, time_zone: str) -> None:
        self.locale = BABEL[locale]
        self.zone = zone(time_zone)

    def moment(self, at: datetime | None, *, seconds: bool = False) -> str:
        """22 Nov 2026, 14:05"""
        if at is None:
            return DASH
        return f"{self.day(at)}, {self.clock(at, seconds=seconds)}"

    def day(self, at: datetime | date | None) -> str:
        if at is None:
            return DASH
        local = at.astimezone(self.zone) if isinstance(at, datetime) else at
        return dates.format_date(local, "medium", locale=self.locale)

    def short_day(self, at: datetime) -> str:
        """22 Nov; with the year if it is another."""
        local = at.astimezone(self.zone)
        if local.year != datetime.now(self.zone).year:
            return self.day(at)
        return dates.format_skeleton("MMMd", local, locale=self.locale)

    def days(self, first: date, last: date) -> str:
        """24 Oct – 22 Nov 2026"""
        if first == last:
            return self.day(first)
        return dates.format_interval(first, last, "yMMMd", locale=self.locale)

    def clock(self, at: datetime | None, *, seconds: bool = False) -> str:
        return DASH if at is None else at.astimezone(self.zone).strftime("%H:%M:%S" if seconds else "%H:%M")

    def clock_in(self, time_zone: str) -> str:
        return datetime.now(zone(time_zone)).strftime("%H:%M")

    def machine(self, at: datetime) -> str:
        """For `<time datetime>`."""
        return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def ago(self, at: datetime | None, now: datetime | None = None) -> str:
        """5 minutes ago"""
        if at is None:
            return DASH
        return dates.format_timedelta(at - (now or datetime.now(UTC)), add_direction=True, locale=self.locale)

    def gap(self, seconds: float) -> str:
        """2 days 3 hr: the two largest units of it."""
        whole, told = int(abs(seconds)), list[str]()
        for unit, size in UNITS:
            count, whole = divmod(whole, size)
            if count or (unit == "second" and not told):
                told.append(units.format_unit(count, f"duration-{unit}", "short", locale=self.locale))
        return " ".join(told[:2])

    def number(self, value: float | Decimal | None, places: int = 0) -> str:
        if value is None:
            return DASH
        pattern = "#,##0" + ("." + "0" * places if places else "")
        return numbers.format_decimal(value, format=pattern, locale=self.locale)

    def percent(self, share: float | Decimal | None, places: int = 0) -> str:
        if share is None:
            return DASH
        sign = str(Locale.parse(self.locale).percent_formats[None].pattern).lstrip("#,0")
        return numbers.format_percent(
            share, format="#,##0" + ("." + "0" * places if places else "") + sign, locale=self.locale
        )  # fmt: skip

    def money(self, amount: Decimal | float | None, currency: str) -> str:
        if amount is None:
            return DASH
        return numbers.format_currency(amount, currency, format=self._pattern(currency), locale=self.locale)

    def round_money(self, amount: Decimal, currency: str) -> str:
        """To be taken in at a glance: small change only where there is little else."""
        if abs(amount) < WITH_SMALL_CHANGE and amount != amount.to_integral_value():
            return self.money(amount, currency)
        pattern = re.sub(r"\.0+", "", self._pattern(currency))
        return numbers.format_currency(amount, currency, format=pattern, currency_digits=False, locale=self.locale)

    def _pattern(self, currency: str) -> str:
        """A code that stands for a sign, as RUB in English, is set off from the number."""
        pattern = str(Locale.parse(self.locale).currency_formats["standard"].pattern)
        symbol = numbers.get_currency_symbol(currency, locale=self.locale)
        return pattern.replace("¤#", "¤\xa0#") if symbol[-1:].isalpha() else pattern

    def phone(self, number: str | None) -> str:
        """An outside number; an extension as it is."""
        if not number:
            return DASH
        try:
            return display_number(parse_number(number, INTERNATIONAL))
        except NotANumber:
            return number

    def address(self, url: str) -> str:
        """As people read it: with its letters, unless there are signs among them that nobody sees."""
        told = unquote(url)
        return told if told.isprintable() else url

    def lasted(self, seconds: float | None) -> str:
        """3:07, or 1:02:45"""
        if seconds is None:
            return DASH
        whole = timedelta(seconds=round(seconds))
        minutes, rest = divmod(int(whole.total_seconds()), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

    def month(self, day: date) -> str:
        """March 2026"""
        return dates.format_date(day, "LLLL y", locale=self.locale)

    def for_input(self, at: datetime | None) -> str:
        """For `<input type="datetime-local">`."""
        return "" if at is None else at.astimezone(self.zone).strftime("%Y-%m-%dT%H:%M")
