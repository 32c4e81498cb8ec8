"""What `callrouter lease` shows on a terminal: a holding as lines, a timeline as bars. Knows rich, no server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from callrouter.numbers import display_number
from callrouter.pool.holding import Holding, Told
from callrouter.pool.timeline import CallItem, DisabledItem, Item, LeaseItem, OthersItem, StaticItem, Timeline

WIDTH = 72
COLOURS = ("cyan", "magenta", "yellow", "blue", "green")
TIME = "%Y-%m-%d %H:%M:%S"


def show_holding(console: Console, holding: Holding) -> None:
    """A few lines: who, why, how it stands now, what the answer rests on."""
    lines = Table.grid(padding=(0, 2))
    for name, value in _facts(holding):
        lines.add_row(Text(name, style="dim"), value)
    console.print(Text(f"{display_number(holding.number)} at {holding.at:{TIME}} UTC", style="bold"), lines)


def _facts(holding: Holding) -> Iterator[tuple[str, str | Text]]:
    yield holding.state, Text(holding.why)
    if holding.holder:
        yield "visit", Text(_visit(holding.holder))
        if holding.seen_before:
            yield (
                "last sign of life",
                f"{holding.seen_before:{TIME}}" + (", page closed" if holding.holder.closed else ""),
            )
    elif holding.last_holder:
        yield "last visit", Text(_visit(holding.last_holder))
    if holding.now:
        then = f" ({holding.now.next_at:{TIME}})" if holding.now.next_at else ""
        yield f"now: {holding.now.state}", Text(holding.now.next + then)
        for call in holding.now.calls:
            yield "call in progress", Text(f"{call.call} since {call.started_at:{TIME}}")
    for note in holding.notes:
        yield "note", Text(note)
    yield "known from", ", ".join(holding.sources) or "nothing"
    for what in holding.missing:
        yield "missing", Text(what, style="yellow")


def _visit(told: Told) -> str:
    came = " · ".join(filter(None, (told.channel, told.source, told.medium, told.campaign, told.keyword)))
    return (
        f"{told.session} of account {told.account}, site {told.site}; {came or 'source not known'} ({told.known_from})"
    )


def show_timeline(console: Console, timeline: Timeline, *, now: datetime) -> None:
    """One line of bars for the whole span, then what happened, one line each."""
    console.print(
        Text(f"{display_number(timeline.number)}  {timeline.since:{TIME}} – {timeline.until:{TIME}} UTC", style="bold"),
        _strip(timeline, now),
        _table(timeline, now),
    )
    for what in timeline.missing:
        console.print(Text(what, style="yellow"))


def _strip(timeline: Timeline, now: datetime) -> RenderableType:
    """Where in the span the number was leased (by account), bound (=) and called (!)."""
    bars, calls = [Text("·", style="dim") for _ in range(WIDTH)], [Text(" ") for _ in range(WIDTH)]
    for item in timeline.items:
        if isinstance(item, CallItem):
            calls[_column(timeline, item.started_at)] = Text("!", style="green" if item.status == "answered" else "red")
            continue
        sign, style = _look(item)
        first, last = _column(timeline, item.started_at), _column(timeline, _end(item, timeline, now))
        bars[first : last + 1] = [Text(sign, style=style)] * (last - first + 1)
    return Group(Text.assemble(*calls), Text.assemble(*bars))


def _look(item: Item) -> tuple[str, str]:
    if isinstance(item, LeaseItem):
        return "█", _colour(item.account)
    if isinstance(item, StaticItem):
        return "=", "yellow"
    return ("x", "red") if isinstance(item, DisabledItem) else ("░", "dim")


def _colour(account: int) -> str:
    return COLOURS[account % len(COLOURS)]


def _column(timeline: Timeline, at: datetime) -> int:
    share = (at - timeline.since) / (timeline.until - timeline.since)
    return min(WIDTH - 1, max(0, int(share * WIDTH)))


def _end(item: Item, timeline: Timeline, now: datetime) -> datetime:
    if isinstance(item, DisabledItem):
        return timeline.until
    if isinstance(item, StaticItem):
        return item.ended_at or timeline.until
    return item.ended_at or max(item.started_at, min(now, timeline.until))


def _table(timeline: Timeline, now: datetime) -> Table:
    table = Table("from", "to", "lasted", "what", "", box=None, header_style="dim")
    for item in timeline.items:
        ended = None if isinstance(item, DisabledItem) else item.ended_at
        lasted = _end(item, timeline, now) - item.started_at
        what, detail = _words(item)
        table.add_row(
            f"{item.started_at:{TIME}}", f"{ended:{TIME}}" if ended else "…", _span(lasted), what, Text(detail)
        )
    return table


def _words(item: Item) -> tuple[Text, str]:
    match item:
        case LeaseItem():
            end = item.end_reason or ("lost by the lease store" if item.lost else "running")
            return Text(
                "lease", style=_colour(item.account)
            ), f"{_visit(item)}; {end}{', page closed' if item.closed else ''}"
        case CallItem():
            style = "green" if item.status == "answered" else "red"
            credited = f"{item.method} {item.confidence:.2f}{', late' if item.late else ''}"
            return Text("call", style=style), f"from {item.caller or 'a withheld number'}: {item.status}, {credited}"
        case StaticItem():
            return Text("static", style="yellow"), f"{item.channel} ({item.source}) of account {item.account}"
        case OthersItem():
            return Text("another account", style="dim"), ""
    return Text("set aside", style="red"), ""


def _span(lasted: timedelta) -> str:
    minutes, seconds = divmod(int(lasted.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
