"""What reports count, by what, and what follows: shares with their uncertainty, costs a call, ROI. Pure.

Appeals and deals are counted in millionths (`credit.WHOLE`), for attribution models share them out; money is decimal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, Literal, get_args
from urllib.parse import parse_qsl, urlencode

import msgspec

from callrouter.appeals.credit import WHOLE

Dimension = Literal[
    "site", "channel", "source", "medium", "campaign", "keyword", "content", "landing_page", "location", "device",
    "group", "employee", "hour", "weekday", "day", "week", "month",
]  # fmt: skip
DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)
TRAFFIC = ("channel", "source", "medium", "campaign", "keyword", "landing_page", "location", "device")
"""Dimensions that a visit has: by these, models share an appeal out."""
FACT_DIMENSIONS = ("site", *TRAFFIC, "content", "group", "employee", "hour")
"""Those that a fact has a column for; the others follow from its day. `content` is the appeal's own by every model."""
TIMES = ("hour", "weekday", "day", "week", "month")

BY_NAME: dict[str, tuple[Dimension, ...]] = {
    "channels": ("channel",), "sources": ("channel", "source"), "campaigns": ("source", "medium", "campaign"),
    "keywords": ("source", "campaign", "keyword"), "landing-pages": ("landing_page",), "locations": ("location",),
    "devices": ("device",), "sites": ("site",), "days": ("day",), "weeks": ("week",), "months": ("month",),
    "hours": ("weekday", "hour"), "groups": ("group",), "employees": ("group", "employee"),
}  # fmt: skip
"""A report's name says no more than which rows it has."""

VISIT_MEASURES = ("visits", "visitors", "shown", "overflow")
APPEAL_MEASURES = (
    "appeals", "calls", "outgoing", "forms", "callbacks", "chats", "emails", "visit_calls", "answered", "lost",
    "unique_calls", "quality", "unique_quality", "multichannel", "spam", "waits", "talks",
)  # fmt: skip
TIME_MEASURES = ("wait_ms", "talk_ms")
"""Milliseconds times millionths."""
DEAL_MEASURES = ("deals", "won", "revenue")
COST_MEASURES = ("cost", "clicks", "impressions")
Order = Literal[
    "visits", "appeals", "calls", "outgoing", "answered", "lost", "unique_calls", "quality", "unique_quality",
    "multichannel", "deals", "won", "revenue", "cost", "clicks",
]  # fmt: skip
"""Measures that rows are put in order of."""
MEASURES = (*VISIT_MEASURES, *APPEAL_MEASURES, *TIME_MEASURES, *DEAL_MEASURES, *COST_MEASURES)

Part = Literal["appeals", "visits", "costs"]
PARTS: tuple[Part, ...] = get_args(Part)
PART_MEASURES: Final[dict[Part, tuple[str, ...]]] = {
    "appeals": (*APPEAL_MEASURES, *TIME_MEASURES, *DEAL_MEASURES), "visits": VISIT_MEASURES, "costs": COST_MEASURES,
}  # fmt: skip
"""What changes apart, and is added up apart. Deals go with the appeals that they are owed to."""

JOURNAL_ROWS: dict[str, dict[str, str]] = {
    "appeals": {},
    "calls": {"kind": "call", "direction": "inbound"},
    "outgoing": {"kind": "call", "direction": "outbound"},
    "forms": {"kind": "form"},
    "callbacks": {"kind": "callback"},
    "chats": {"kind": "chat"},
    "emails": {"kind": "email"},
    "visit_calls": {"kind": "call", "direction": "inbound", "session.empty": "false"},
    "answered": {"kind": "call", "direction": "inbound", "status": "answered"},
    "lost": {"kind": "call", "direction": "inbound", "status": "lost"},
    "unique_calls": {"kind": "call", "direction": "inbound", "unique": "true"},
    "quality": {"kind": "call", "direction": "inbound", "quality": "true"},
    "unique_quality": {"kind": "call", "direction": "inbound", "quality": "true", "unique": "true"},
    "multichannel": {"multichannel": "true"},
}
"""What a figure adds to its row's filter: the journal's rows that it counts."""


def rows_behind(row_filter: str, figure: str) -> str:
    """The query of the journal's rows that a figure counts, `row_filter` being its row's.

    What the figure asks of a field stands in place of what the row asks of it: a figure that is not nothing is of rows
    that pass both.
    """
    narrower = JOURNAL_ROWS[figure]
    kept = [(name, value) for name, value in parse_qsl(row_filter, keep_blank_values=True) if name not in narrower]
    return urlencode([*kept, *narrower.items()])


Z = 1.959964
"""Of 95 %."""


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """`low` to `high`: where the true share lies with 95 %, as far as so few can tell (Wilson)."""

    value: float
    low: float
    high: float


class Money(msgspec.Struct, frozen=True, kw_only=True):
    """Sums in one currency, as decimal text. What would be divided by nothing is null."""

    currency: str
    cost: str
    revenue: str
    deals: float
    won: float
    cost_per_call: str | None
    cost_per_unique_quality: str | None
    roi: float | None
    """(revenue - cost) / cost."""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Counts are whole by last click; other models share appeals out. `null`: cannot be asked of these rows."""

    visits: int | None
    visitors: int | None
    """Different visitors of a day at a site, added up over days; counted where the day's first visit came from."""
    shown: int | None
    """Visits that were shown a number of their own."""
    overflow: int | None
    appeals: float
    calls: float
    """Inbound, as all that follow."""
    outgoing: float
    forms: float
    callbacks: float
    chats: float
    emails: float
    visit_calls: float
    """Tied to a visit: what the conversion is counted of."""
    answered: float
    lost: float
    unique_calls: float
    quality: float
    unique_quality: float
    multichannel: float
    spam: float
    """Not among the others."""
    mean_wait_s: float | None
    mean_talk_s: float | None
    conversion: Share | None
    """Visits that led to a call; several calls of a visit count as such."""
    lost_share: Share | None
    quality_share: Share | None
    clicks: int | None
    impressions: int | None
    money: tuple[Money, ...]


def share(part: float, whole: float) -> Share | None:
    """Wilson's interval; None of nothing. More than the whole is told as it is, without an interval to it."""
    if whole <= 0:
        return None
    value = part / whole
    if value > 1:
        return Share(value=value, low=value, high=value)
    spread = Z * math.sqrt(value * (1 - value) / whole + Z * Z / (4 * whole * whole))
    middle, scale = value + Z * Z / (2 * whole), 1 + Z * Z / whole
    return Share(value=value, low=max(0.0, (middle - spread) / scale), high=min(1.0, (middle + spread) / scale))


Sums = Mapping[str, Mapping[str, int | Decimal]]
"""By currency ('' : of no money), a sum by measure."""


def figures(sums: Sums, *, with_visits: bool, with_costs: bool) -> Figures:
    total = {name: sum(of[name] for of in sums.values()) for name in MEASURES}
    count = {name: int(total[name]) / WHOLE for name in APPEAL_MEASURES}
    visits = int(total["visits"]) if with_visits else 0
    told: dict[str, Any] = {name: count[name] for name in APPEAL_MEASURES if name in Figures.__struct_fields__}
    told |= {name: int(total[name]) if with_visits else None for name in VISIT_MEASURES}
    told |= {name: int(total[name]) if with_costs else None for name in ("clicks", "impressions")}
    return Figures(
        **told,
        mean_wait_s=_mean(total["wait_ms"], total["waits"]),
        mean_talk_s=_mean(total["talk_ms"], total["talks"]),
        conversion=share(count["visit_calls"], visits),
        lost_share=share(count["lost"], count["calls"]),
        quality_share=share(count["quality"], count["calls"]),
        money=tuple(
            _money(currency, of, count, with_costs=with_costs) for currency, of in sorted(sums.items()) if currency
        ),
    )


def _money(currency: str, of: Mapping[str, int | Decimal], count: Mapping[str, float], *, with_costs: bool) -> Money:
    cost, revenue = Decimal(of["cost"]), Decimal(of["revenue"])
    return Money(
        currency=currency, cost=plain(cost), revenue=plain(revenue), deals=int(of["deals"]) / WHOLE,
        won=int(of["won"]) / WHOLE, cost_per_call=_each(cost, count["calls"]) if with_costs else None,
        cost_per_unique_quality=_each(cost, count["unique_quality"]) if with_costs else None,
        roi=float((revenue - cost) / cost) if with_costs and cost > 0 else None,
    )  # fmt: skip


def _each(cost: Decimal, count: float) -> str | None:
    return plain((cost / Decimal(str(count))).quantize(Decimal("0.0001"))) if count > 0 and cost else None


def _mean(total: int | Decimal, count: int | Decimal) -> float | None:
    return float(Decimal(total) / Decimal(count)) / 1000 if count else None


def plain(amount: Decimal) -> str:
    """Exact, without an exponent and without zeros that say nothing: 1200, 0.5."""
    text = f"{amount:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"
