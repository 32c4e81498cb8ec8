"""A period as a row of days, weeks or months for charts: each with its figures, and those of as long before.

Long periods are cut into sevens or thirties of days from their beginning, so that each has as many days before it as
the period before has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode

import msgspec

from callrouter.journal.period import day_start
from callrouter.reports.asking import Answer, Compared, Question, answer, period_before
from callrouter.reports.figures import Figures, rows_behind
from callrouter.web.pages.reports.opened import Looking

DAILY, WEEKLY = 62, 400
"""Up to so many days one by one, then by seven, then by thirty."""


class Stretch(NamedTuple):
    """Some days of the period, and those that stand beside them in the period before."""

    first: date
    last: date
    now: list[Figures]
    before: list[Figures]
    is_going_on: bool

    def sum(self, name: str) -> float:
        return sum(float(getattr(figures, name) or 0) for figures in self.now)

    def sum_before(self, name: str) -> float:
        return sum(float(getattr(figures, name) or 0) for figures in self.before)


class Days(NamedTuple):
    told: Answer
    compared: Compared | None
    stretches: list[Stretch]


async def ask_days(looking: Looking) -> Days:
    """The period day by day, and the one before."""
    asked, limit = looking.asked, looking.asked.days + 2
    question = Question(filters=asked.filters, by=("day",), model=asked.model, limit=limit)
    told = await answer(looking.conn, looking.scope, question)
    before, found, shift = None, dict[date, Figures](), timedelta()
    if asked.compares:
        since, until = period_before(asked.filters, looking.scope, looking.now)
        filters = msgspec.structs.replace(asked.filters, since=since, until=until)
        earlier = await answer(looking.conn, looking.scope, msgspec.structs.replace(question, filters=filters))
        before = Compared(since=since, until=until, total=earlier.total)
        found = _by_day(earlier)
        shift = asked.first - since.astimezone(looking.scope.zone).date()
    today = looking.now.astimezone(looking.scope.zone).date()
    beside = {day + shift: figures for day, figures in found.items()}
    return Days(told, before, _stretches((asked.first, asked.last), _by_day(told), beside, today))


def _by_day(told: Answer) -> dict[date, Figures]:
    return {date.fromisoformat(str(row.key["day"])): row.figures for row in told.rows}


def _stretches(
    span: tuple[date, date], now: dict[date, Figures], before: dict[date, Figures], today: date
) -> list[Stretch]:
    """`before`: by the days that they stand beside."""
    first, last = span
    count = (last - first).days + 1
    size = 1 if count <= DAILY else 7 if count <= WEEKLY else 30
    told = []
    for begin in range(0, count, size):
        days = [first + timedelta(days=begin + n) for n in range(min(size, count - begin))]
        told.append(
            Stretch(
                days[0], days[-1], [now[day] for day in days if day in now],
                [before[day] for day in days if day in before], days[0] <= today <= days[-1],
            )
        )  # fmt: skip
    return told


def rows_of(looking: Looking, told: Answer, stretch: Stretch, figure: str) -> str:
    """The query of the journal's rows that a figure of some days counts; '' where the journal cannot say it."""
    if told.filter is None:
        return ""
    zone = looking.scope.zone
    begin, end = day_start(stretch.first, zone), day_start(stretch.last + timedelta(days=1), zone)
    span = {
        "since": max(begin, looking.asked.since), "until": min(end, looking.asked.until),
    }  # fmt: skip
    items = [(name, value) for name, value in parse_qsl(told.filter, keep_blank_values=True) if name not in span]
    items += [(name, at.isoformat().replace("+00:00", "Z")) for name, at in span.items()]
    return rows_behind(urlencode(items), figure)


def revenue_of(looking: Looking) -> Callable[[Sequence[Figures]], float]:
    """Of some days, in the currency that is looked at."""

    def revenue(figures: Sequence[Figures]) -> float:
        return float(
            sum(
                Decimal(money.revenue) for each in figures for money in each.money if money.currency == looking.currency
            )
        )

    return revenue
