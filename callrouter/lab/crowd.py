"""Who visits and calls, in numbers: accounts of unequal size, their adverts with long tails, hours and seasons.

Deterministic by seed. Everything about a day follows from the day alone, so that days may be made in any order, by
several processes at once: a client's first appeal is on the day that his number in the account says, and no sooner.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from urllib.parse import quote

import numpy as np

ACCOUNTS = 40
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
WHAT = (
    "окна",
    "двери",
    "балконы",
    "потолки",
    "кухни",
    "ремонт",
    "ключи",
    "шкафы",
    "лестницы",
    "заборы",
    "бани",
    "котлы",
)
HOW = (
    "купить",
    "цена",
    "недорого",
    "под ключ",
    "отзывы",
    "рассчитать",
    "с установкой",
    "в рассрочку",
    "срочно",
    "фото",
)
WHERE = ("москва", "спб", "казань", "рядом", "область", "химки", "тверь", "самара", "пермь", "уфа", "тула", "омск")
TOWNS = (
    "Москва",
    "Санкт-Петербург",
    "Казань",
    "Тверь",
    "Тула",
    "Самара",
    "Уфа",
    "Пермь",
    "Омск",
    "Химки",
    "Рязань",
    "Клин",
)
DEVICES = (
    ("mobile", "Android 14", "Chrome Mobile 130", 55), ("mobile", "iOS 18", "Safari 18", 20),
    ("desktop", "Windows 10", "Chrome 130", 15), ("desktop", "Windows 10", "Yandex 24", 6),
    ("desktop", "macOS", "Safari 18", 3), ("tablet", "Android 13", "Chrome 129", 1),
)  # fmt: skip


@dataclass(frozen=True)
class Advert:
    """What brought a visitor, as text of COPY: columns `channel` to `referrer` in order, and the page of the call."""

    traffic: str
    pages: str


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

    def before(self, total: int, which: int, n: int) -> int:
        """How many of the account's `total` there are before day n."""
        return int(self.of_account(total, which) * self.cumulative[n])

    def first_client(self, which: int) -> int:
        """The id of the account's first client, less one."""
        return int(self.clients * self.shares[:which].sum()) + which


def account_id(which: int) -> int:
    return which + 2


def site_id(which: int, site: int) -> int:
    return which * SITES_PER_ACCOUNT + site + 1


def phone_of(client: int) -> str:
    """Of its own for each client."""
    return f"79{(client * 618_033_989 + 12_345) % 1_000_000_000:09}"


def visitor_of(client: int) -> str:
    return f"{(client * 0x9E3779B97F4A7C15) % (1 << 64):016x}"


def adverts(
    which: int, seed: int, count: int = 6000
) -> tuple[list[Advert], np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """The account's adverts, and how likely each is: a few bring most, most bring a few."""
    chance = random.Random(seed * 1000 + which)
    themes = chance.sample(WHAT, 4)
    campaigns = [f"{chance.choice(themes)}_{chance.choice(WHERE)}_{n}" for n in range(150)]
    host = f"shop{which}.example"
    kinds, weights = [(c, s, m) for c, s, m, _ in CHANNELS], [w for *_, w in CHANNELS]
    told = []
    for _ in range(count):
        channel, source, medium = chance.choices(kinds, weights)[0]
        paid = channel in PAID
        campaign = campaigns[min(int(chance.paretovariate(0.9)) - 1, 149)] if paid else ""
        keyword = f"{chance.choice(themes)} {chance.choice(HOW)} {chance.choice(WHERE)} {chance.randrange(40)}"
        keyword = keyword if channel == "paid_search" else ""
        content = f"banner-{chance.randrange(60)}" if paid else ""
        page = f"https://{host}/{quote(chance.choice(themes))}/{chance.randrange(80)}"
        query = f"?utm_source={source}&utm_medium={medium}&utm_campaign={quote(campaign)}" if paid else ""
        referrer = f"https://{source}.example/" if channel != "direct" else ""
        click = f"{chance.randrange(10**18)}" if paid else ""
        traffic = "\t".join((channel, source, medium, campaign, keyword, content, click, page + query, referrer))
        told.append(Advert(traffic, f"{page}\tКаталог — {chance.choice(themes)}"))
    tail = 1.0 / np.arange(1, count + 1) ** 0.8
    return told, tail / tail.sum()


def places(which: int, seed: int) -> list[str]:
    """`device`, `os`, `browser`, `location` as text of COPY; each as often as it is likely."""
    chance = random.Random(seed * 1000 + which + 500)
    devices, weights = [row[:3] for row in DEVICES], [row[3] for row in DEVICES]
    towns = [*TOWNS, *(f"Посёлок {n}" for n in range(200))]
    likely = [1.0 / (n + 1) for n in range(len(towns))]
    return ["\t".join((*chance.choices(devices, weights)[0], chance.choices(towns, likely)[0])) for _ in range(4000)]
