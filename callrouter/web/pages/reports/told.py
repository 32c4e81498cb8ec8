"""Figures as a reader sees them: the number, its change and whether that says anything, the journal's rows behind it.

Knows languages and links, no database. No figure is told more precisely than it is known.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from markupsafe import Markup

from callrouter.reports import comparing
from callrouter.reports.comparing import Change
from callrouter.reports.figures import JOURNAL_ROWS, Figures, Money, Share, rows_behind, share
from callrouter.web.pages import charts
from callrouter.web.pages.formats import DASH, Formats
from callrouter.web.pages.ground import View
from callrouter.web.pages.reports.terms import LESS_IS_BETTER, MORE_IS_BETTER
from callrouter.web.pages.words import N_

SHARES = ("lost_share", "quality_share", "unique_share", "conversion")
MEANS = {"mean_wait_s": "calls", "mean_talk_s": "answered"}
"""With what they are means of."""
AMOUNTS = ("cost", "revenue", "cost_per_call", "cost_per_unique_quality", "cost_per_deal")
OF_MONEY = (*AMOUNTS, "deals", "won", "roi")
BEHIND = {
    "lost_share": "lost", "quality_share": "quality", "unique_share": "unique_calls", "conversion": "visit_calls",
    "mean_wait_s": "calls", "mean_talk_s": "answered",
} | {name: name for name in JOURNAL_ROWS}  # fmt: skip
"""The figure whose rows stand behind a figure."""
JOURNAL = "/journal"
NARROW = 0.02
"""An interval below this width lets a percentage have a decimal."""
MANY_TIMES = 9
"""From ten times as much on it is no percentage any more."""
LEAST = 0.005
"""Less is told as none."""
MINUS = "\N{MINUS SIGN}"
Value = float | Decimal | Share | None


class Delta(NamedTuple):
    """How a figure changed. `css`: `good`, `bad`, `even`, or `unsure`: chance alone explains it."""

    text: str
    css: str
    was: str


class Cell(NamedTuple):
    text: str
    href: str = ""
    interval: str = ""
    """Where the true share lies, as text."""
    vague: bool = False
    """Too few to say."""
    delta: Delta | None = None
    picture: Markup = Markup()


class Teller:
    """For one reader and one currency. `tops`: where the axis of a share ends, for the pictures of a column."""

    def __init__(self, view: View, currency: str, *, journal: str = JOURNAL) -> None:
        self._view = view
        self._formats: Formats = view.formats
        self._currency = currency
        self._journal = journal if view.may("appeals:read") else ""
        self._tops: dict[str, float] = {}

    def look_over(self, names: Iterable[str], rows: Iterable[Figures]) -> None:
        """All rows of a table, so that their pictures have one scale."""
        told = list(rows)
        for name in names:
            if name in SHARES:
                values = [value for figures in told if isinstance(value := self.value(name, figures), Share)]
                clear = [value.high for value in values if not comparing.is_vague(value)]
                self._tops[name] = min(1.0, charts.ceiling(max(clear, default=1.0)))
            elif name in JOURNAL_ROWS or name == "visits":
                self._tops[name] = max((float(getattr(figures, name) or 0) for figures in told), default=0)

    def value(self, name: str, figures: Figures) -> Value:
        if name == "unique_share":
            return share(figures.unique_calls, figures.calls)
        if name not in OF_MONEY:
            found: Value = getattr(figures, name)
            return found
        money = self._money(figures)
        if money is None:
            return None
        if name == "cost_per_deal":
            return Decimal(money.cost) / Decimal(str(money.won)) if money.won and Decimal(money.cost) else None
        told = getattr(money, name)
        return Decimal(told) if name in AMOUNTS and told is not None else told

    def cell(
        self, name: str, now: Figures, before: Figures | None = None, row_filter: str | None = None, *,
        pictured: bool = False,
    ) -> Cell:  # fmt: skip
        value = self.value(name, now)
        if value is None:
            return Cell(DASH)
        is_share = isinstance(value, Share)
        return Cell(
            text=self.text(name, value), href=self._href(name, now, row_filter),
            interval=self.interval(value) if isinstance(value, Share) else "",
            vague=isinstance(value, Share) and comparing.is_vague(value),
            delta=self._delta(name, now, before) if before is not None else None,
            picture=self._picture(name, value) if pictured or is_share else Markup(),
        )  # fmt: skip

    def text(self, name: str, value: Value) -> str:
        f = self._formats
        if value is None:
            return DASH
        if isinstance(value, Share):
            return f.percent(value.value, 1 if value.high - value.low < NARROW else 0)
        if name in MEANS:
            return f.lasted(float(value))
        if name in AMOUNTS:
            return f.round_money(Decimal(value), self._currency)
        if name == "roi":
            return f.percent(float(value))
        return f.number(value, 0 if float(value).is_integer() else 1)

    def interval(self, value: Share) -> str:
        """4–7 %"""
        places = 1 if value.high - value.low < NARROW else 0
        low, high = self._formats.number(100 * value.low, places), self._formats.percent(value.high, places)
        return high if self._formats.percent(value.low, places) == high else f"{low}–{high}"

    def _href(self, name: str, figures: Figures, row_filter: str | None) -> str:
        behind = BEHIND.get(name)
        if behind is None or row_filter is None or not self._journal or not getattr(figures, behind):
            return ""
        return f"{self._journal}?{rows_behind(row_filter, behind)}"

    def _money(self, figures: Figures) -> Money | None:
        return next((money for money in figures.money if money.currency == self._currency), None)

    def _picture(self, name: str, value: Value) -> Markup:
        top = self._tops.get(name, 1.0)
        if isinstance(value, Share):
            return charts.whisker(value.value, value.low, value.high, top=top, vague=comparing.is_vague(value))
        return charts.rail(float(value or 0) / top) if top else Markup()

    def _delta(self, name: str, now: Figures, before: Figures) -> Delta | None:
        new, old = self.value(name, now), self.value(name, before)
        if not new and not old:
            return None
        change = self._change(name, now, before, new, old)
        if change is None:
            return None
        by = self._by(name, change)
        is_even = not change.by or (change.share is not None and abs(change.share) < LEAST and name not in SHARES)
        css = "even" if is_even else "unsure" if not change.sure else self._verdict(name, change.by)
        return Delta(by, css, self.text(name, old))

    def _change(self, name: str, now: Figures, before: Figures, new: Value, old: Value) -> Change | None:
        if isinstance(new, Share):
            return comparing.of_shares(new, old) if isinstance(old, Share) else None
        if new is None or old is None or isinstance(old, Share) or name == "roi":
            return None
        if name in MEANS:
            meant = getattr(now, MEANS[name]), getattr(before, MEANS[name])
            return comparing.of_means(float(new), float(old), meant)
        if name in AMOUNTS:
            money, earlier = self._money(now), self._money(before)
            counted = (money.deals if money else 0) + (earlier.deals if earlier else 0)
            if name == "cost":
                counted = comparing.FEWEST_FOR_PERCENT  # is known as it was told
            return comparing.of_amounts(float(new), float(old), counted)
        return comparing.of_counts(float(new), float(old))

    def _by(self, name: str, change: Change) -> str:
        f = self._formats
        sign = "+" if change.by > 0 else MINUS if change.by < 0 else ""
        if name in SHARES:
            points = f.number(abs(100 * change.by), 0 if abs(change.by) >= NARROW else 1)
            return self._view.translated(N_("{points} pp")).format(points=f"{sign}{points}")
        if name in MEANS:
            return f"{sign}{f.lasted(abs(change.by))}"
        if change.share is None:
            amount = abs(change.by)
            told = f.round_money(Decimal(str(amount)), self._currency) if name in AMOUNTS else self.text(name, amount)
            return f"{sign}{told}"
        if change.share > MANY_TIMES:
            return f"×{f.number(1 + change.share)}"
        return f"{sign if abs(change.share) >= LEAST else ''}{f.percent(abs(change.share))}"

    @staticmethod
    def _verdict(name: str, by: float) -> str:
        if name in MORE_IS_BETTER:
            return "good" if by > 0 else "bad"
        if name in LESS_IS_BETTER:
            return "bad" if by > 0 else "good"
        return "even"
