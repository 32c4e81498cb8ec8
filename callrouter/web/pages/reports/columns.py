"""Tables of figures: their heads, which can be sorted by, and their rows. Knows no page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from callrouter.reports.asking import Answer, Compared, Row
from callrouter.web.pages.reports.asked import ORDERS
from callrouter.web.pages.reports.opened import Looking, path_of
from callrouter.web.pages.reports.terms import DIMENSION_NAMES, FIGURE_HINTS, FIGURE_NAMES
from callrouter.web.pages.reports.told import Cell

ROWS = 50
MOST_SHOWN = 2000
ALL = "all"


class Head(NamedTuple):
    title: str
    hint: str = ""
    href: str = ""
    """Where the table is in order of this."""
    is_order: bool = False


class Label(NamedTuple):
    text: str
    href: str = ""
    nothing: bool = False


class Line(NamedTuple):
    labels: list[Label]
    cells: list[Cell]
    off: bool = False


class FigureTable(NamedTuple):
    keys: list[str]
    heads: list[Head]
    lines: list[Line]
    total: Line
    left_off: int = 0
    all_href: str = ""


Link = Callable[[Row, str], str]
"""Of a row and one of its dimensions: where its label leads."""


def figure_table(
    looking: Looking, told: Answer, before: Compared | None, names: Sequence[str], *, link: Link | None = None,
    pictured: str = "calls", sortable: bool = True,
) -> FigureTable:  # fmt: skip
    """`names`: the figures. `pictured`: whose cells have a bar."""
    teller = looking.teller
    teller.look_over(names, [row.figures for row in told.rows])
    keys = list(told.rows[0].key) if told.rows else []
    lines = [
        Line(
            [_label(looking, row, name, link) for name in row.key],
            [teller.cell(name, row.figures, row.previous, row.filter, pictured=name == pictured) for name in names],
        )
        for row in told.rows
    ]
    total = Line([], [teller.cell(name, told.total, before.total if before else None, told.filter) for name in names])
    return FigureTable(
        keys=[looking.view.translated(DIMENSION_NAMES[name]) for name in keys],
        heads=[_head(looking, name, sortable=sortable) for name in names], lines=lines, total=total,
        left_off=told.left_off, all_href=f"?{looking.asked.here(show=ALL)}" if told.left_off else "",
    )  # fmt: skip


def to_sources(looking: Looking) -> Link:
    """From a channel to its sources."""

    def link(row: Row, _name: str) -> str:
        return f"{path_of('sources')}?{looking.asked.within(row.key.items(), by='source')}"

    return link


def rows_wanted(looking: Looking) -> int:
    return MOST_SHOWN if looking.asked.own.get("show") == ALL else ROWS


def _label(looking: Looking, row: Row, name: str, link: Link | None) -> Label:
    value = row.key[name]
    return Label(looking.named(name, value), link(row, name) if link else "", nothing=value in (None, ""))


def _head(looking: Looking, name: str, *, sortable: bool) -> Head:
    said = looking.view.translated
    href = f"?{looking.asked.here(sort=name)}" if sortable and name in ORDERS else ""
    return Head(
        said(FIGURE_NAMES[name]), said(FIGURE_HINTS[name]) if name in FIGURE_HINTS else "", href,
        is_order=looking.asked.order == name,
    )  # fmt: skip
