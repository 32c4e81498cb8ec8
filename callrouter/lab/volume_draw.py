"""Draws what an account's visitors do over all days, as columns of numbers: who visits and calls when, by what advert.

What follows from that by the rules is worked out here too, for all at once: which calls are unique, which appeals are
multichannel, and who has what share in them. Knows no database; the texts are the database's to write.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from callrouter.appeals.credit import DIRECT, HALF_LIFE, by_position, split
from callrouter.appeals.multichannel import CHANNELS as ENOUGH_CHANNELS
from callrouter.appeals.multichannel import LONGEST_CHAIN, Rule
from callrouter.lab.crowd import (
    CHANNELS,
    HOURS,
    PLACES,
    SITES_PER_ACCOUNT,
    Advert,
    Crowd,
    account_id,
    adverts,
    likely_advert,
    site_id,
)

Ints: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]
Columns: TypeAlias = dict[str, np.ndarray[Any, Any]]
"""All as long; `at` and other moments are milliseconds since the first day's midnight."""

KINDS = ("call", "out", "form", "callback", "chat", "email")
KIND_SHARES = (0.80, 0.07, 0.08, 0.03, 0.015, 0.005)
METHODS = ("holder", "static", "caller_memory", "last_holder", "unattributed")
METHOD_SHARES = (0.62, 0.08, 0.1, 0.05, 0.15)
REGULARS = 50
"""Clients of each account who call all the time."""
DAY_MS = 86_400_000
FAR = 1 << 40
"""More milliseconds than there are in any history: what is a client's is told from what is another's."""
RULE = Rule()
IS_DIRECT = np.array([channel[0] == DIRECT for channel in CHANNELS])
ORIGINS = np.array([list(dict.fromkeys(row[:2] for row in CHANNELS)).index(row[:2]) for row in CHANNELS])
"""Channel and source as one number: what a multichannel appeal has two of."""


class Drawn(NamedTuple):
    """An account's history. Appeals and visits are in the order of time; `touches` says how each appeal came about."""

    appeals: Columns
    visits: Columns
    touches: Touches


class Touches(NamedTuple):
    """Visits of clients, in the order of (client, time), and of each appeal which of them are its chain.

    `first` to `end`: the chain; `credited`: the last one that is not direct, which may be before it.
    """

    visits: Columns
    first: Ints
    end: Ints
    credited: Ints


def draw(crowd: Crowd, which: int) -> Drawn:
    chance = np.random.default_rng((crowd.seed, which))
    bought = adverts(which, crowd.seed)
    appeals = _appeals(crowd, which, chance)
    credited = _credited(appeals)
    known, strangers = _visits(crowd, which, chance, credited)
    visits = joined(credited, known, strangers)
    linked = np.unique(credited["client"])
    appeals["linked"] = np.isin(appeals["client"], linked)
    theirs = joined(credited, known)
    touches = _judged(appeals, taken(theirs, np.isin(theirs["client"], linked)), bought)
    return Drawn(appeals, taken(visits, np.argsort(visits["at"], kind="stable")), touches)


def _appeals(crowd: Crowd, which: int, chance: np.random.Generator) -> Columns:
    old = crowd.by_day(crowd.clients, which)
    young = np.diff(old)
    again = np.where(old[:-1] > 0, np.diff(crowd.by_day(crowd.appeals, which)) - young, 0).clip(0)
    days = np.concatenate([np.repeat(np.arange(crowd.days), young), np.repeat(np.arange(crowd.days), again)])
    clients = np.concatenate([np.arange(old[-1]), _returning(old[days[old[-1] :]], chance)])
    count = len(days)
    wait = chance.exponential(14, count) + 1
    talk = np.where(chance.random(count) < 0.82, chance.exponential(140, count) + 2, 0)  # noqa: PLR2004
    clients = clients + crowd.first_client(which) + 1
    told = _moved(which, chance, days) | {
        "client": clients,
        "place": _home(clients),
        "kind": _drawn(chance, KIND_SHARES, count),
        "method": _drawn(chance, METHOD_SHARES, count),
        "wait": wait.round(1),
        "talk": talk.round(1),
        "visitor": visitors(clients),
        "before": (chance.exponential(240_000, count) + 5_000).astype(np.int32),
        "first": np.arange(count) < old[-1],
        "id": np.frombuffer(chance.bytes(16 * count), "V16"),
    }  # fmt: skip
    told = taken(told, np.argsort(told["at"], kind="stable"))
    static, nobody = METHODS.index("static"), METHODS.index("unattributed")
    told["seen"] = ~np.isin(told["method"], (static, nobody)) & (told["kind"] != KINDS.index("out"))
    told["is_unique"] = np.zeros(count, dtype=bool)
    calls = np.flatnonzero(told["kind"] == KINDS.index("call"))
    told["is_unique"][calls[np.unique(told["client"][calls], return_index=True)[1]]] = True
    return told


def _moved(which: int, chance: np.random.Generator, days: Ints) -> Columns:
    """What an appeal has as a visit does: a moment of the day as its hours have them, an advert, a place."""
    count = len(days)
    hours = _drawn(chance, HOURS / HOURS.sum(), count)
    dice = chance.integers(0, 1 << 30, count, dtype=np.int32)
    return {
        "at": days * DAY_MS + ((hours + chance.random(count)) * 3_600_000).astype(np.int64),
        "account": np.full(count, account_id(which), dtype=np.int32),
        "site": site_id(which, 0) + dice % SITES_PER_ACCOUNT,
        "number": 74_950_000_000 + which * 10_000 + dice.astype(np.int64) % 2000,
        "session": chance.integers(0, 1 << 63, count),
        "advert": likely_advert(chance.random(count)),
        "place": chance.integers(0, PLACES, count, dtype=np.int32),
        "dice": dice,
    }


def _returning(old: Ints, chance: np.random.Generator) -> Ints:
    """Which of the `old` clients come again: mostly young ones, some of any age, and the regulars."""
    count = len(old)
    age = chance.random(count) ** 3 * 0.3
    anyone = chance.random(count) < 0.25  # noqa: PLR2004
    age[anyone] = chance.random(int(anyone.sum()))
    picked = (old * (1 - age)).astype(np.int64).clip(0, old - 1)
    regular = chance.random(count) < 0.01  # noqa: PLR2004
    picked[regular] = (chance.random(int(regular.sum())) * np.minimum(old[regular], REGULARS)).astype(np.int64)
    return picked


def _drawn(chance: np.random.Generator, shares: Any, count: int) -> np.ndarray[Any, np.dtype[np.int16]]:
    edges = np.cumsum(shares)[:-1]
    found: np.ndarray[Any, np.dtype[np.int16]] = np.searchsorted(edges, chance.random(count), "right").astype(np.int16)
    return found


MOVED = ("account", "site", "number", "session", "advert", "place", "dice", "client", "visitor")
"""What a visit has of the appeal that came from it."""


def _credited(appeals: Columns) -> Columns:
    """The visits that appeals came from."""
    seen = taken(appeals, appeals["seen"])
    told = {name: seen[name] for name in MOVED}
    return told | {
        "at": seen["at"] - seen["before"], "stay": seen["before"],
        "pages": (seen["dice"] % 9 + 1).astype(np.int16),
    }  # fmt: skip


def _visits(crowd: Crowd, which: int, chance: np.random.Generator, credited: Columns) -> tuple[Columns, Columns]:
    """Visits without an appeal: of clients, and of people who never call."""
    days = np.clip(credited["at"] // DAY_MS, 0, crowd.days - 1)
    wanted = (np.diff(crowd.by_day(crowd.visits, which)) - np.bincount(days, minlength=crowd.days)).clip(0)
    old = crowd.by_day(crowd.clients, which).clip(1)
    theirs, every = wanted // 4, np.arange(crowd.days)
    known, strangers = (
        _moved(which, chance, np.repeat(every, count)) for count in (theirs, wanted - theirs)
    )  # fmt: skip
    known["client"] = _returning(old[np.repeat(every, theirs)], chance) + crowd.first_client(which) + 1
    known["visitor"], known["place"] = visitors(known["client"]), _home(known["client"])
    strangers["client"] = np.zeros(len(strangers["at"]), dtype=np.int64)
    strangers["visitor"] = chance.integers(0, 1 << 62, len(strangers["at"]))
    for told in (known, strangers):
        count, dice = len(told["at"]), told["dice"]
        told["stay"] = chance.exponential(90_000, count).astype(np.int32)
        told["pages"] = np.where(dice % 2 == 1, 1, dice % 7 + 1).astype(np.int16)
        told["number"] = np.where(dice % 4 == 0, 0, told["number"])
    return known, strangers


def visitors(clients: Ints) -> Ints:
    """The browser of each client."""
    return (clients.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)).view(np.int64)


def _home(clients: Ints) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Where each client sits."""
    return (clients * 7919 % PLACES).astype(np.int32)


def _judged(appeals: Columns, visits: Columns, bought: Sequence[Advert]) -> Touches:
    """Rules §7 for all appeals of an account, which `tests/integration/test_volume.py` holds against the product's."""
    visits = taken(visits, np.lexsort((visits["at"], visits["client"])))
    at, whose = appeals["at"], appeals["client"] * FAR
    keys = visits["client"] * FAR + visits["at"] + DAY_MS

    def touch_at(moments: Ints) -> Ints:
        return np.searchsorted(keys, whose + np.maximum(moments + DAY_MS, 0))

    end, reach, very_first = touch_at(at), touch_at(at - RULE.days * DAY_MS), touch_at(np.zeros_like(at) - DAY_MS)
    previous = _previous(appeals)
    first = np.where(previous >= 0, touch_at(previous), reach)
    first = np.where(first >= end, reach, first)
    kinds = np.array([advert.kind for advert in bought])[visits["advert"]]
    appeals["multichannel"] = end >= _enough(ORIGINS[kinds], very_first)
    numbers = np.arange(len(kinds))
    earlier = np.maximum.accumulate(np.where(IS_DIRECT[kinds], -1, numbers)) if len(kinds) else numbers
    last = (end - 1).clip(0)
    credited = earlier[last] if len(kinds) else last
    credited = np.where(credited >= reach, credited, last)
    return Touches(visits, first, end, credited)


def _previous(appeals: Columns) -> Ints:
    """When the client's appeal before each began; -1: there is none."""
    order = np.lexsort((appeals["at"], appeals["client"]))
    clients, at = appeals["client"][order], appeals["at"][order]
    previous = np.full(len(order), -1)
    same = clients[1:] == clients[:-1]
    previous[order[1:][same]] = at[:-1][same]
    return previous


def _enough(origins: Ints, very_first: Ints) -> Ints:
    """By appeal, the first touch after which all of its client's appeals are multichannel."""
    if RULE.touches != ENOUGH_CHANNELS:
        raise NotImplementedError("more touches than channels")
    changes = np.flatnonzero(origins[1:] != origins[:-1]) + 1
    behind = np.append(changes, len(origins))
    # The first touch of the client that differs from his very first is the first change after that.
    return behind[np.searchsorted(changes, very_first, "right")] + 1


def joined(*parts: Columns) -> Columns:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def taken(columns: Columns, which: np.ndarray[Any, Any]) -> Columns:
    return {name: column[which] for name, column in columns.items()}


def chains(drawn: Drawn, chosen: slice) -> Columns:
    """What has a share in the chosen appeals: `appeal` is which of them, `n` the place in its chain."""
    touches = drawn.touches
    first, end, credited = touches.first[chosen], touches.end[chosen], touches.credited[chosen]
    lengths = np.minimum(end - first, LONGEST_CHAIN)
    appeal = np.repeat(np.arange(len(lengths)), lengths)
    n = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    index = np.where(n == 0, first[appeal], (end - lengths)[appeal] + n)
    apart = np.flatnonzero((lengths > 0) & (credited < first))
    shares = _shares(lengths, drawn.appeals["at"][chosen][appeal] - touches.visits["at"][index])
    told = taken(touches.visits, np.concatenate([index, credited[apart]]))
    told |= {name: np.concatenate([share, np.zeros(len(apart), share.dtype)]) for name, share in shares.items()}
    last = np.concatenate([index == credited[appeal], np.ones(len(apart), dtype=bool)])
    return told | {
        "last_non_direct": last * np.int32(1_000_000), "appeal": np.concatenate([appeal, apart]),
        "n": np.concatenate([n, lengths[apart]]).astype(np.int16),
    }  # fmt: skip


def _shares(lengths: Ints, ages: Ints) -> Columns:
    """Millionths of each touch, chain after chain. Of one touch all is its own."""
    models: dict[str, Callable[[list[int]], tuple[int, ...]]] = {
        "first": lambda ages: (1_000_000, *[0] * (len(ages) - 1)),
        "linear": lambda ages: _even(len(ages)),
        "position": lambda ages: _by_place(len(ages)),
        "decay": lambda ages: tuple(split([0.5 ** (age / HALF_LIFE_MS) for age in ages])),
    }
    told: Columns = {name: np.full(len(ages), 1_000_000, dtype=np.int32) for name in models}
    starts = np.cumsum(lengths) - lengths
    for chain in np.flatnonzero(lengths > 1).tolist():
        here = slice(int(starts[chain]), int(starts[chain] + lengths[chain]))
        own = ages[here].tolist()
        for name, share in models.items():
            told[name][here] = share(own)
    return told


HALF_LIFE_MS = int(HALF_LIFE.total_seconds() * 1000)


@cache
def _even(count: int) -> tuple[int, ...]:
    return tuple(split([1.0] * count))


@cache
def _by_place(count: int) -> tuple[int, ...]:
    return tuple(split(by_position(count)))
