"""/reports/hours: when people call, and when nobody answers them: hours of the week as a map of heat."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from callrouter.reports import comparing
from callrouter.reports.asking import Row
from callrouter.reports.figures import JOURNAL_ROWS, Share, rows_behind, share
from callrouter.web.api.filtered import Asking
from callrouter.web.cookies import AnyRequest
from callrouter.web.pages.ground import Ground
from callrouter.web.pages.reports.opened import Looking, opened, path_of
from callrouter.web.pages.reports.terms import FIGURE_NAMES, SHORT_WEEKDAYS
from callrouter.web.pages.reports.told import BEHIND
from callrouter.web.pages.words import N_

SHOWN = {
    "calls": ("calls", ""), "lost": ("lost", ""), "lost_share": ("lost", "calls"), "unique_calls": ("unique_calls", ""),
    "appeals": ("appeals", ""), "visits": ("visits", ""), "conversion": ("visit_calls", "visits"),
}  # fmt: skip
"""What is counted, and of what it is a share."""
HOURS, DAYS = range(24), range(1, 8)
SHADES = 8


class Spot(NamedTuple):
    """`shade`: 0 for nothing to SHADES; `vague`: too few to say."""

    text: str
    name: str
    shade: int
    href: str = ""
    vague: bool = False


class Heat(NamedTuple):
    rows: list[tuple[str, list[Spot], Spot]]
    """Of each weekday its name, hours and whole."""
    hours: list[Spot]
    whole: Spot


class _Counts(NamedTuple):
    part: float
    whole: float

    def plus(self, other: _Counts) -> _Counts:
        return _Counts(self.part + other.part, self.whole + other.whole)


NOBODY = _Counts(0, 0)


def hour_handlers(ground: Ground, asking: Asking) -> list[HTTPRouteHandler]:
    @get(path_of("hours"))
    async def hours(request: AnyRequest) -> Response[bytes]:
        async with opened(ground, asking, request) as looking:
            told, _ = await looking.ask("weekday", "hour", compares=False)
        show = looking.asked.own.get("show", "")
        show = show if show in SHOWN else "calls"
        return looking.render(
            "hours", "report_hours.html", exports=looking.exports("hours"), nothing=not told.rows,
            heat=_Map(looking, told.rows, show).heat(), show=show,
            measures=[(name, FIGURE_NAMES[name]) for name in SHOWN],
        )  # fmt: skip

    return [hours]


class _Map:
    def __init__(self, looking: Looking, rows: Sequence[Row], show: str) -> None:
        self._looking = looking
        self._show = show
        self._part, self._whole = SHOWN[show]
        self._rows = {(int(row.key["weekday"] or 0), int(row.key["hour"] or 0)): row for row in rows}
        self._of = {place: self._counts(row) for place, row in self._rows.items()}
        clear = [value for counts in self._of.values() if (value := self._strength(counts)) is not None]
        self._top = max(clear, default=0)
        self._times = _times(looking.asked.first, looking.asked.last)

    def heat(self) -> Heat:
        said = self._looking.view.translated
        rows = []
        for day in DAYS:
            whole = self._spot(_sum(self._of.get((day, hour), NOBODY) for hour in HOURS), said(SHORT_WEEKDAYS[day - 1]))
            rows.append((said(SHORT_WEEKDAYS[day - 1]), [self._one(day, hour) for hour in HOURS], whole))
        hours = [self._spot(_sum(self._of.get((day, hour), NOBODY) for day in DAYS), f"{hour:02}:00") for hour in HOURS]
        return Heat(rows, hours, self._spot(_sum(self._of.values()), ""))

    def _counts(self, row: Row) -> _Counts:
        whole = float(getattr(row.figures, self._whole) or 0) if self._whole else 0
        return _Counts(float(getattr(row.figures, self._part) or 0), whole)

    def _share(self, counts: _Counts) -> Share | None:
        return share(counts.part, counts.whole)

    def _strength(self, counts: _Counts) -> float | None:
        """How strong its colour is to be; None: nothing, or too few to say."""
        if not self._whole:
            return counts.part or None
        found = self._share(counts)
        return None if found is None or comparing.is_vague(found) else found.value

    def _one(self, day: int, hour: int) -> Spot:
        row = self._rows.get((day, hour))
        said = self._looking.view.translated
        name = f"{said(SHORT_WEEKDAYS[day - 1])} {hour:02}:00–{(hour + 1) % 24:02}:00"
        spot = self._spot(self._of.get((day, hour), NOBODY), name)
        times = self._times[day - 1]
        if not self._whole and times > 1 and spot.text:
            average = self._looking.view.formats.number(self._of[day, hour].part / times, 1)
            spot = spot._replace(name=spot.name + ", " + said(N_("{count} a day on average")).format(count=average))
        strength = self._strength(self._of.get((day, hour), NOBODY))
        shade = 0 if not strength or not self._top else max(1, round(SHADES * strength / self._top))
        return spot._replace(shade=shade, href=self._href(row))

    def _spot(self, counts: _Counts, name: str) -> Spot:
        teller = self._looking.teller
        if not self._whole:
            text = teller.text(self._part, counts.part) if counts.part else ""
            return Spot(text, f"{name}: {text or 0}", 0)
        found = self._share(counts)
        if found is None:
            return Spot("", f"{name}: —", 0)
        f = self._looking.view.formats
        text = f.number(100 * found.value, 0 if self._show == "lost_share" else 1)
        spoken = (
            f"{name}: {teller.text(self._show, found)} ({teller.interval(found)}), {counts.part:g} / {counts.whole:g}"
        )
        return Spot(text, spoken, 0, vague=comparing.is_vague(found))

    def _href(self, row: Row | None) -> str:
        figure = BEHIND.get(self._show)
        if row is None or row.filter is None or figure not in JOURNAL_ROWS or not getattr(row.figures, figure):
            return ""
        return f"/journal?{rows_behind(row.filter, figure)}" if self._looking.view.may("appeals:read") else ""


def _sum(counts: Iterable[_Counts]) -> _Counts:
    total = NOBODY
    for each in counts:
        total = total.plus(each)
    return total


def _times(first: date, last: date) -> list[int]:
    """How often each weekday is in the period."""
    count = (last - first).days + 1
    told = [count // 7] * 7
    for n in range(count % 7):
        told[(first + timedelta(days=n)).weekday()] += 1
    return told
