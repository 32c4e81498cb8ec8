"""A call's steps → an SVG: a lane for what the customer heard, and one for each phone that rang. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from html import escape
from typing import NamedTuple

from callrouter.appeals.steps import Steps, TimedStep
from callrouter.calls.phases import phase_after

WIDTH, LEFT, RIGHT = 960, 170, 24
TOP, LANE, BAR = 46, 26, 16
LONGEST_LABEL = 22
MOST_PHONES = 40
TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
MOST_TICKS = 12
COLOURS = {
    "begins": "#d8dee4", "menu": "#b6c2cf", "waits": "#f0b429", "talks": "#2da44e", "held": "#8250df",
    "transferred": "#54aeff", "rings": "#54aeff", "missed": "#cf222e",
}  # fmt: skip
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#24292f}.t{fill:#57606a;font-size:10px}line{stroke:#d0d7de}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.t{fill:#9198a1}line{stroke:#3d444d}}"
)


class Bar(NamedTuple):
    """What was true from one moment to another, in seconds of the call."""

    start: float
    end: float
    state: str
    told: str


class Look(NamedTuple):
    """How it is told where it is shown: a page has its own words, its own style, and says elsewhere when it was."""

    style: str
    heading: Callable[[Steps], str]
    customer: str
    told: Callable[[Bar], str]


def _heading(call: Steps) -> str:
    outcome = " ".join(filter(None, (call.status, call.lost_reason, "" if call.complete else "(seen in part)")))
    return f"{call.started_at:%Y-%m-%d %H:%M:%S} UTC  {outcome}"


ALONE = Look(f"<style>{STYLE}</style>", _heading, "customer", lambda bar: bar.told)
"""As a file of its own."""


def drawn(call: Steps, look: Look = ALONE) -> str:
    end = max([step.seconds for step in call.steps] + [(call.ended_at - call.started_at).total_seconds(), 0.1])
    lanes = [(look.customer, _heard(call.steps, end)), *_phones(call.steps, end)]
    height = TOP + LANE * len(lanes) + 12
    heading = escape(look.heading(call))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">{look.style}',
        f"<title>{heading}</title>",
        f'<text x="8" y="16">{heading}</text>',
        *_axis(end, height),
    ]
    for place, (name, bars) in enumerate(lanes):
        y = TOP + LANE * place
        parts.append(f'<text x="8" y="{y + BAR - 3}">{escape(_short(name))}</text>')
        parts += [_bar(bar, y, end, look.told(bar)) for bar in bars]
    return "\n".join([*parts, "</svg>\n"])


def _heard(steps: tuple[TimedStep, ...], end: float) -> list[Bar]:
    """What the customer heard: each step that changes it, until the next that does."""
    changes = [(step.seconds, phase) for step in steps if (phase := phase_after(step))]
    ends = [start for start, _ in changes[1:]] + [end]
    return [Bar(start, until, phase.state, phase.told) for (start, phase), until in zip(changes, ends, strict=True)]


def _phones(steps: tuple[TimedStep, ...], end: float) -> Iterator[tuple[str, list[Bar]]]:
    """Each phone in the order in which they rang first."""
    names = list(dict.fromkeys(step.who for step in steps if step.kind == "rang" and step.who))
    for name in names[:MOST_PHONES]:
        bars, since = [], None
        for step in (step for step in steps if step.who == name):
            if step.kind == "rang":
                since = step.seconds
            elif since is not None and step.kind in ("answered", "missed"):
                missed = step.kind == "missed"
                told = f"rang {name}: {step.reason or step.kind}"
                bars.append(Bar(since, step.seconds, "missed" if missed else "rings", told))
                since = None
        if since is not None:
            bars.append(Bar(since, end, "rings", f"rang {name}"))
        yield name, bars


def _axis(end: float, height: int) -> Iterator[str]:
    step = next((tick for tick in TICKS if end / tick <= MOST_TICKS), TICKS[-1] * max(1, int(end // 100_000)))
    for tick in range(min(int(end // step) + 1, 100)):
        x = _x(tick * step, end)
        yield f'<line x1="{x}" y1="{TOP - 10}" x2="{x}" y2="{height - 8}"/>'
        yield f'<text class="t" x="{x + 2}" y="{TOP - 12}">{_clock(tick * step)}</text>'


def _bar(bar: Bar, y: int, end: float, words: str) -> str:
    x = _x(bar.start, end)
    width = max(1.5, round(_x(bar.end, end) - x, 1))
    told = escape(f"{_clock(bar.start)} – {_clock(bar.end)}: {words}")
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="{BAR}" rx="2" fill="{COLOURS[bar.state]}">'
        f"<title>{told}</title></rect>"
    )


def _x(seconds: float, end: float) -> float:
    return round(LEFT + (WIDTH - LEFT - RIGHT) * min(seconds / end, 1.0), 1)


def _clock(seconds: float) -> str:
    whole = int(seconds)
    minutes = f"{whole // 60}:{whole % 60:02}"
    return minutes if seconds == whole else f"{minutes}.{int(seconds * 10) % 10}"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_LABEL else text[: LONGEST_LABEL - 1] + "…"
