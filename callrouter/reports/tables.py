"""Reports as tables for files: columns with names, rows of values. Pure.

A share is three columns, money a few for each currency, and figures of the period before have `_before` in their names.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

import msgspec

from callrouter.reports.asking import Row
from callrouter.reports.figures import Dimension, Figures, Money, Share

SHARES = ("conversion", "lost_share", "quality_share")
AMOUNTS = ("cost", "revenue", "cost_per_call", "cost_per_unique_quality")
BEFORE = "_before"


class Table(NamedTuple):
    columns: Sequence[str]
    rows: Iterable[Sequence[object]]


def of_report(by: Sequence[Dimension], rows: Sequence[Row], total: Figures, *, with_before: bool) -> Table:
    """`total`: what currencies there are."""
    currencies = [money.currency for money in total.money]
    counted = _columns(currencies)
    columns = [*by, *counted, *((f"{name}{BEFORE}" for name in counted) if with_before else ())]

    def values(row: Row) -> list[object]:
        told = [*row.key.values(), *_values(row.figures, currencies)]
        if with_before:
            told += _values(row.previous, currencies) if row.previous else [None] * len(counted)
        return told

    return Table(columns, map(values, rows))


def of_items(kind: type[msgspec.Struct], items: Sequence[msgspec.Struct]) -> Table:
    """Rows of another kind: their fields."""
    columns = [part for name in kind.__struct_fields__ for part in _parts(name)]
    return Table(columns, ([part for name, value in _fields(item) for part in _told(name, value)] for item in items))


def _columns(currencies: Sequence[str]) -> list[str]:
    names = [part for name in Figures.__struct_fields__ if name != "money" for part in _parts(name)]
    of_money = [name for name in Money.__struct_fields__ if name != "currency"]
    return names + [f"{name}_{currency}" for currency in currencies for name in of_money]


def _values(figures: Figures, currencies: Sequence[str]) -> list[object]:
    told = [part for name, value in _fields(figures) if name != "money" for part in _told(name, value)]
    by_currency = {money.currency: money for money in figures.money}
    for currency in currencies:
        money = by_currency.get(currency)
        told += [
            _amount(name, getattr(money, name, None)) for name in Money.__struct_fields__ if name != "currency"
        ]  # fmt: skip
    return told


def _fields(struct: msgspec.Struct) -> Iterable[tuple[str, object]]:
    return ((name, getattr(struct, name)) for name in struct.__struct_fields__)


def _parts(name: str) -> list[str]:
    return [name, f"{name}_low", f"{name}_high"] if _is_share(name) else [name]


def _is_share(name: str) -> bool:
    return name in SHARES or name.endswith("_share")


def _told(name: str, value: object) -> list[object]:
    if _is_share(name):
        return [value.value, value.low, value.high] if isinstance(value, Share) else [None, None, None]
    if isinstance(value, float) and value.is_integer():
        return [int(value)]
    return [" > ".join(value)] if isinstance(value, list) else [value]


def _amount(name: str, value: object) -> object:
    """Money is exact text: a number in a file that has numbers."""
    return Decimal(str(value)) if name in AMOUNTS and value is not None else value
