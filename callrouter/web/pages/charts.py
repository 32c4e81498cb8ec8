"""Charts as SVG, made on the server: shapes only, with classes for the stylesheet. Pure; knows no report.

Charts have no letters in them: they are stretched to whatever width there is, and letters stand beside them in HTML. So
there is no style in them either, which the policy of our pages would refuse. Whoever cannot see a chart has its title,
its description and the table beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

WIDTH, HEIGHT = 1000, 200
GAP = 0.22
"""Of a bar's place."""
STEPS = (1, 2, 2.5, 5, 10)


class Bar(NamedTuple):
    """`parts`: stacked, from below; `name`: what is said of it; `href`: where a click goes."""

    parts: Sequence[float]
    name: str
    href: str = ""
    is_part: bool = False
    """Its time is not over."""


class Point(NamedTuple):
    """A share with its interval; None: there was nothing to divide by."""

    value: float | None
    low: float = 0.0
    high: float = 0.0
    name: str = ""
    vague: bool = False


def ceiling(most: float) -> float:
    """The next number above that an axis can end with."""
    if most <= 0:
        return 1
    size = 1.0
    while size * 10 < most:
        size *= 10
    while size > most:
        size /= 10
    return next((step * size for step in STEPS if step * size >= most), size * 10)


def bars(bars_: Sequence[Bar], before: Sequence[float | None], *, top: float, title: str, desc: str) -> Markup:
    """Stacked bars with the period before as a line."""
    place = WIDTH / max(1, len(bars_))
    shapes = [_bar(bar, index * place, place, top) for index, bar in enumerate(bars_)]
    shapes.append(_line([None if value is None else value / top for value in before], "before", place))
    return _svg("chart-bars", shapes, title, desc)


def _bar(bar: Bar, left: float, place: float, top: float) -> Markup:
    shapes = []
    floor = float(HEIGHT)
    for index, value in enumerate(bar.parts):
        height = HEIGHT * value / top
        floor -= height
        if height > 0:
            shapes.append(
                Markup('<rect class="p{}" x="{}" y="{}" width="{}" height="{}"/>').format(
                    index, _at(left + place * GAP / 2), _at(floor), _at(place * (1 - GAP)), _at(height)
                )
            )
    shapes.append(
        Markup('<rect class="hit" x="{}" y="0" width="{}" height="{}"{}><title>{}</title></rect>').format(
            _at(left), _at(place), HEIGHT, _href(bar.href), bar.name
        )
    )
    return Markup('<g class="bar{}">{}</g>').format(" so-far" if bar.is_part else "", Markup().join(shapes))


def band(points: Sequence[Point], *, top: float, title: str, desc: str) -> Markup:
    """Shares over time within their intervals: a line in a band, broken where there is nothing."""
    place = WIDTH / max(1, len(points))
    shapes: list[Markup] = []
    for run in _runs(points):
        edge = [(index, points[index].high) for index in run] + [(index, points[index].low) for index in reversed(run)]
        corners = " ".join(f"{_at((index + 0.5) * place)},{_at(HEIGHT * (1 - value / top))}" for index, value in edge)
        shapes.append(Markup('<polygon class="band" points="{}"/>').format(corners))
    shapes.append(_line([None if point.value is None else point.value / top for point in points], "now", place))
    for index, point in enumerate(points):
        if point.value is None:
            continue
        x, y = _at((index + 0.5) * place), _at(HEIGHT * (1 - point.value / top))
        shapes.append(Markup('<path class="dot{}" d="M{} {}h0"/>').format(" vague" if point.vague else "", x, y))
        shapes.append(
            Markup('<rect class="hit" x="{}" y="0" width="{}" height="{}"><title>{}</title></rect>').format(
                _at(index * place), _at(place), HEIGHT, point.name
            )
        )
    return _svg("chart-band", shapes, title, desc)


def spark(values: Sequence[float]) -> Markup:
    """How a figure went, without an axis: beside a number that says all else, so nobody needs it read out."""
    top = max((*values, 1e-9))
    place = WIDTH / max(1, len(values))
    line = _line([0.04 + 0.92 * value / top for value in values], "now", place)
    return Markup(
        '<svg class="spark" viewBox="0 0 {} {}" preserveAspectRatio="none" aria-hidden="true">{}</svg>'
    ).format(WIDTH, HEIGHT, line)


def rail(share: float) -> Markup:
    """A bar in a cell: how much of the largest."""
    return Markup(
        '<svg class="rail" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="p0" width="{}" height="6"/></svg>'
    ).format(_at(100 * min(1.0, max(0.0, share))))


def whisker(value: float, low: float, high: float, *, top: float, vague: bool) -> Markup:
    """A share and where the true one may lie, from nothing to `top`. The cell beside it says the same in numbers."""
    at, left, right = (_at(100 * min(1.0, part / top)) for part in (value, low, high))
    return Markup(
        '<svg class="whisker{}" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        '<path class="axis" d="M0 5H100"/><path class="interval" d="M{} 5H{}"/><path class="value" d="M{} 1V9"/></svg>'
    ).format(" vague" if vague else "", left, right, at)


def _line(heights: Sequence[float | None], css: str, place: float) -> Markup:
    """`heights`: of 1; broken where there is none."""
    drawn, path = False, []
    for index, height in enumerate(heights):
        if height is None:
            drawn = False
            continue
        path.append(f"{'L' if drawn else 'M'}{_at((index + 0.5) * place)} {_at(HEIGHT * (1 - height))}")
        drawn = True
    if not path:
        return Markup()
    if len(path) == 1:
        path.append("h0")
    return Markup('<path class="{}" d="{}"/>').format(css, "".join(path))


def _runs(points: Sequence[Point]) -> list[list[int]]:
    runs: list[list[int]] = []
    for index, point in enumerate(points):
        if point.value is None:
            continue
        if runs and runs[-1][-1] == index - 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    return runs


def _svg(css: str, shapes: Sequence[Markup], title: str, desc: str) -> Markup:
    return Markup(
        '<svg class="{}" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">'
        "<desc>{}</desc>{}{}</svg>"
    ).format(css, WIDTH, HEIGHT, title, desc, _grid(), Markup().join(shapes))


def _grid() -> Markup:
    return Markup('<path class="grid" d="M0 {}H{}M0 {}H{}M0 {}H{}"/>').format(
        0, WIDTH, HEIGHT // 2, WIDTH, HEIGHT, WIDTH
    )


def _href(href: str) -> Markup:
    return Markup(' data-href="{}"').format(escape(href)) if href else Markup()


def _at(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")
