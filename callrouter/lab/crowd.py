"""Who visits and calls, in numbers: accounts of unequal size, their adverts with long tails, hours and seasons.

Deterministic by seed: a client's first appeal is on the day that his number in the account says, and no sooner.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache, cached_property
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np

ACCOUNTS = 40
ADVERTS, PLACES = 6000, 4000
"""Of each account."""
SITES_PER_ACCOUNT = 3
HOURS = np.array([2, 1, 1, 1, 1, 2, 4, 9, 20, 45, 60, 62, 58, 52, 55, 58, 57, 50, 38, 28, 22, 16, 9, 4], dtype=float)
"""Of the clock of Moscow."""
WEEKDAYS = np.array([1.15, 1.1, 1.08, 1.05, 1.0, 0.62, 0.5])
GROWTH = 1.8
"""The last day's traffic by the first day's."""

CHANNELS = (
    ("paid_search", "yandex", "cpc", 34), ("organic_search", "yandex", "organic", 14),
    ("direct", "(direct)", "(none)", 13), ("organic_search", "google", "organic", 9), ("paid_social", "vk", "cpc", 8),
    ("social", "vk", "social", 4), ("referral", "otzovik.example", "referral", 3),
    ("maps_and_catalogues", "2gis", "referral", 6), ("email", "newsletter", "email", 3),
    ("display", "rtb.example", "banner", 2), ("ai", "chatgpt", "ai", 2), ("messenger", "telegram", "messenger", 1),
    ("offline", "flyer", "qr", 1),
)  # fmt: skip
PAID = {"paid_search", "paid_social", "display", "email", "offline"}
WHAT = {
    "окна": "okna", "двери": "dveri", "балконы": "balkony", "потолки": "potolki", "кухни": "kuhni",
    "ремонт": "remont", "ключи": "klyuchi", "шкафы": "shkafy", "лестницы": "lestnicy", "заборы": "zabory",
    "бани": "bani", "котлы": "kotly",
}  # fmt: skip
"""What is sold, and how it is spelled in addresses."""
HOW = (
    "купить", "цена", "недорого", "под ключ", "отзывы", "рассчитать", "с установкой", "в рассрочку", "срочно", "фото",
)  # fmt: skip
WHERE = {
    "москва": "msk", "спб": "spb", "казань": "kzn", "рядом": "near", "область": "mo", "химки": "himki",
    "тверь": "tver", "самара": "samara", "пермь": "perm", "уфа": "ufa", "тула": "tula", "омск": "omsk",
}  # fmt: skip
TOWNS = (
    "Москва", "Санкт-Петербург", "Казань", "Тверь", "Тула", "Самара", "Уфа", "Пермь", "Омск", "Химки", "Рязань", "Клин",
)  # fmt: skip
DEVICES = (
    ("mobile", "Android 14", "Chrome Mobile 130", 55), ("mobile", "iOS 18", "Safari 18", 20),
    ("desktop", "Windows 10", "Chrome 130", 15), ("desktop", "Windows 10", "Yandex 24", 6),
    ("desktop", "macOS", "Safari 18", 3), ("tablet", "Android 13", "Chrome 129", 1),
)  # fmt: skip


class Advert(NamedTuple):
    """What brought a visitor; `kind`: which of CHANNELS."""

    kind: int
    channel: str
    source: str
    medium: str
    campaign: str
    keyword: str
    content: str
    landing_page: str
    referrer: str
    page: str
    title: str


class Place(NamedTuple):
    """Where he sits, at what."""

    device: str
    os: str
    browser: str
    location: str


@dataclass(frozen=True)
class Crowd:
    """So many appeals of so many clients over so many days, the last of which is `last`."""

    appeals: int
    clients: int
    visits: int
    last: date
    days: int = 730
    seed: int = 1
    accounts: int = ACCOUNTS

    @cached_property
    def cumulative(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Share of all traffic before day n; one more than there are days."""
        first = self.day(0).weekday()
        weights = np.array([WEEKDAYS[(first + n) % 7] * (1 + (GROWTH - 1) * n / self.days) for n in range(self.days)])
        return np.concatenate([[0.0], np.cumsum(weights) / weights.sum()])

    @cached_property
    def shares(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        weights = 1.0 / np.arange(1, self.accounts + 1)
        shares: np.ndarray[tuple[int], np.dtype[np.float64]] = weights / weights.sum()
        return shares

    def day(self, n: int) -> date:
        return self.last - timedelta(days=self.days - 1 - n)

    def start(self, n: int) -> datetime:
        """Midnight in Moscow."""
        day = self.day(n)
        return datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=3)

    def of_account(self, total: int, which: int) -> int:
        return int(total * self.shares[which])

    def by_day(self, total: int, which: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """How many of the account's `total` there are before each day, and in all."""
        counts: np.ndarray[tuple[int], np.dtype[np.int64]] = (
            self.of_account(total, which) * self.cumulative
        ).astype(np.int64)  # fmt: skip
        return counts

    def first_client(self, which: int) -> int:
        """The id of the account's first client, less one."""
        return int(self.clients * self.shares[:which].sum()) + which


def account_id(which: int) -> int:
    return which + 2


def site_id(which: int, site: int) -> int:
    return which * SITES_PER_ACCOUNT + site + 1


@cache
def adverts(which: int, seed: int) -> tuple[Advert, ...]:
    """The account's adverts, those that bring most first (`likely_advert`)."""
    chance = random.Random(seed * 1000 + which)
    themes = chance.sample(list(WHAT), 4)
    campaigns = [f"{WHAT[chance.choice(themes)]}_{chance.choice(list(WHERE.values()))}_{n}" for n in range(150)]
    keywords = [f"{theme} {how} {where} {n}" for theme in themes for how in HOW for where in WHERE for n in range(40)]
    kinds = chance.choices(range(len(CHANNELS)), [row[3] for row in CHANNELS], k=ADVERTS)
    of = {name: chance.choices(some, k=ADVERTS) for name, some in (("theme", themes), ("keyword", keywords))}
    return tuple(
        _advert(kind, f"https://shop{which}.example/{WHAT[theme]}/{chance.randrange(80)}", theme, keyword,
                campaigns[min(int(chance.paretovariate(0.9)) - 1, 149)])
        for kind, theme, keyword in zip(kinds, of["theme"], of["keyword"], strict=True)
    )  # fmt: skip


def _advert(kind: int, page: str, theme: str, keyword: str, campaign: str) -> Advert:
    channel, source, medium, _ = CHANNELS[kind]
    is_paid = channel in PAID
    query = f"?utm_source={quote(source)}&utm_medium={medium}&utm_campaign={campaign}" if is_paid else ""
    return Advert(
        kind, channel, source, medium, campaign if is_paid else "", keyword if channel == "paid_search" else "",
        f"banner-{len(keyword + page) % 60}" if is_paid else "", page + query,
        f"https://{source}.example/" if channel != "direct" else "", page, f"Каталог — {theme}",
    )  # fmt: skip


def likely_advert(shares: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Which advert it is, of even chances from 0 to 1: the nth brings n ** -0.8 of what the first does."""
    whole = (ADVERTS + 1.0) ** 0.2 - 1
    found: np.ndarray[Any, np.dtype[np.int32]] = ((1 + shares * whole) ** 5 - 1).astype(np.int32).clip(0, ADVERTS - 1)
    return found


def places(which: int, seed: int) -> list[Place]:
    """Each as often as it is likely."""
    chance = random.Random(seed * 1000 + which + 500)
    towns = [*TOWNS, *(f"Посёлок {n}" for n in range(200))]
    devices = chance.choices([row[:3] for row in DEVICES], [row[3] for row in DEVICES], k=PLACES)
    found = chance.choices(towns, [1.0 / (n + 1) for n in range(len(towns))], k=PLACES)
    return [Place(*device, town) for device, town in zip(devices, found, strict=True)]
