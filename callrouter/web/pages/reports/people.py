"""/reports/people: how groups and employees take calls."""

from __future__ import annotations

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from callrouter.reports.asking import Answer, Row
from callrouter.web.api.filtered import Asking
from callrouter.web.cookies import AnyRequest
from callrouter.web.pages.ground import Ground
from callrouter.web.pages.reports.columns import FigureTable, Label, figure_table, rows_wanted
from callrouter.web.pages.reports.opened import Looking, opened, path_of
from callrouter.web.pages.words import N_

GROUPS = (
    "calls", "answered", "lost", "lost_share", "mean_wait_s", "mean_talk_s", "quality_share", "outgoing",
)  # fmt: skip
EMPLOYEES = ("answered", "mean_wait_s", "mean_talk_s", "quality", "quality_share", "outgoing")


def people_handlers(ground: Ground, asking: Asking) -> list[HTTPRouteHandler]:
    @get(path_of("people"))
    async def people(request: AnyRequest) -> Response[bytes]:
        async with opened(ground, asking, request) as looking:
            all_groups, before = await looking.ask("group")
            everybody, _ = await looking.ask(
                "group", "employee", order=looking.asked.order or "answered", compares=False
            )  # fmt: skip
        groups, employees = _talking(all_groups), _talking(everybody, with_employee=True)
        employees = _first(employees, rows_wanted(looking))
        return looking.render(
            "people", "report_people.html", before=before, nothing=not groups.rows, nobody=not employees.rows,
            exports=looking.exports("employees", by=("group", "employee")),
            groups=_with_nobody_named(looking, figure_table(looking, groups, before, GROUPS, sortable=False)),
            employees=figure_table(looking, employees, None, EMPLOYEES, pictured="answered"),
        )  # fmt: skip

    return [people]


def _with_nobody_named(looking: Looking, table: FigureTable) -> FigureTable:
    named = Label(looking.view.translated(N_("Reached no group")), nothing=True)
    lines = [line._replace(labels=[named if each.nothing else each for each in line.labels]) for line in table.lines]
    return table._replace(lines=lines)


def _first(told: Answer, most: int) -> Answer:
    left_off = told.left_off + max(0, len(told.rows) - most)
    return msgspec.structs.replace(told, rows=told.rows[:most], left_off=left_off)


def _talking(told: Answer, *, with_employee: bool = False) -> Answer:
    """Forms reach no group, and a call that was missed has no employee."""

    def is_shown(row: Row) -> bool:
        if with_employee and not row.key["employee"]:
            return False
        return bool(row.figures.calls or row.figures.outgoing)

    return msgspec.structs.replace(told, rows=tuple(row for row in told.rows if is_shown(row)))
