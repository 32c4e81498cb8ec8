"""A shop with two months of visits, calls, costs and deals, some of them hostile: for reports and looking at them."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from callrouter.db.connect import Pool

EVIL = '<img src=x onerror=alert(1)> & "окна"'
SOURCES = [
    ("paid_search", "yandex", "cpc", "windows_msk", 30), ("paid_search", "google", "cpc", EVIL, 14),
    ("organic_search", "yandex", "organic", "", 16), ("direct", "(direct)", "(none)", "", 12),
    ("paid_social", "vk", "cpc", "remarketing", 9), ("maps_and_catalogues", "2gis.ru", "referral", "", 7),
    ("ai", "chatgpt", "ai", "", 2),
]  # fmt: skip
KEYWORDS = ("окна цена", "пластиковые окна", "=1+1", "остекление балкона", "")
GROUPS = ("Продажи", "Сервис", None)
EMPLOYEES = ("Анна", "Иван", "Мария", "Пётр")
HOURS = [0, 0, 0, 0, 0, 1, 2, 4, 9, 14, 16, 15, 13, 13, 14, 14, 13, 11, 8, 5, 3, 2, 1, 0]
TOUCH = {"content": "", "region": "Москва", "device": "mobile", "medium": "", "campaign": "", "keyword": "",
         "landing_page": ""}  # fmt: skip


class Shop:
    """`account` with a site of its own; what happened is the same for the same seed and day."""

    def __init__(self, account: int = 2, *, days: int = 62, calls_a_day: float = 9, seed: int = 1) -> None:
        self.account = account
        self.site = account * 1000 + 1
        self.days = days
        self.calls_a_day = calls_a_day
        self.chance = random.Random(seed)
        self.now = datetime.now(UTC)
        self.rows: dict[str, list[dict[str, Any]]] = {}

    async def fill(self, postgres: Pool) -> None:
        await postgres.execute(
            "INSERT INTO sites (account_id, id, name) VALUES ($1, $2, 'Окна')", self.account, self.site
        )
        for n in range(self.days):
            for _ in range(round(self.calls_a_day * self.chance.uniform(0.6, 1.4))):
                self._appeal(n)
            for _ in range(round(self.calls_a_day * 9)):
                self._visit(n)
            self._costs(n)
        await self._clients(postgres)
        for table, rows in self.rows.items():
            columns = list(rows[0])
            async with postgres.acquire() as conn:
                await conn.copy_records_to_table(table, columns=columns, records=[tuple(r.values()) for r in rows])
        await postgres.execute(DEALS, self.account)

    def _moment(self, n: int) -> datetime:
        """On the n-th day before now."""
        day = self.now - timedelta(days=n)
        hour = self.chance.choices(range(24), HOURS)[0]
        at = day.replace(hour=hour, minute=self.chance.randrange(60), second=self.chance.randrange(60), microsecond=0)
        return at if at < self.now else at - timedelta(days=1)

    def _add(self, table: str, row: dict[str, Any]) -> None:
        self.rows.setdefault(table, []).append({"account_id": self.account, **row})

    def _source(self) -> tuple[str, str, str, str]:
        return self.chance.choices(SOURCES, [each[4] for each in SOURCES])[0][:4]

    def _appeal(self, n: int) -> None:
        chance, at = self.chance, self._moment(n)
        channel, source, medium, campaign = self._source()
        kind = chance.choices(["call", "form", "callback", "chat"], [85, 9, 4, 2])[0]
        direction = ("outbound" if chance.random() < 0.08 else "inbound") if kind == "call" else None
        answered = chance.random() < 0.84
        talk = chance.expovariate(1 / 130) if answered else 0.0
        number = len(self.rows.get("appeals", ()))
        chain = [self._touch(at, back) for back in range(chance.choice([1, 1, 2, 3]))]
        self._add("appeals", {
            "started_at": at, "id": UUID(int=self.account * 10**9 + number), "kind": kind, "site_id": self.site,
            "direction": direction, "client_id": 1 + number % 90, "customer": f"7916{number % 400:07}",
            "called": chance.choice(["74952232725", "74951112233", "74950000001"]) if kind == "call" else None,
            "status": ("answered" if answered else "lost") if kind == "call" else None,
            "lost_reason": None if answered or kind != "call" else chance.choice(["abandoned_queue", "no_answer"]),
            "wait_s": chance.expovariate(1 / 14) if kind == "call" else None,
            "talk_s": talk if kind == "call" else None,
            "final_group": chance.choice(GROUPS) if kind == "call" else None,
            "employee": chance.choice(EMPLOYEES) if answered and kind == "call" else None,
            "is_unique": kind == "call" and direction == "inbound" and chance.random() < 0.6,
            "quality": kind == "call" and talk >= 60, "multichannel": len(chain) > 1,
            "credits": _shared(chain) if chain else None, "channel": channel, "source": source, "medium": medium,
            "campaign": campaign, "keyword": chance.choice(KEYWORDS), "content": chance.choice(["banner 1", ""]),
            "landing_page": "https://shop.example/", "location": chance.choice(["Москва", "Казань", EVIL]),
            "device": chance.choice(["mobile", "desktop", "tablet"]), "method": "holder", "confidence": 0.9,
            "session": f"s{number}" if chance.random() < 0.8 else None, "visitor": f"v{number % 300}",
        })  # fmt: skip

    def _touch(self, at: datetime, back: int) -> dict[str, Any]:
        channel, source, medium, campaign = self._source()
        return TOUCH | {
            "channel": channel, "source": source, "medium": medium, "campaign": campaign,
            "session": f"t{back}-{at.timestamp():.0f}", "at": (at - timedelta(days=back, hours=1)).isoformat(),
        }  # fmt: skip

    def _visit(self, n: int) -> None:
        chance, at = self.chance, self._moment(n)
        channel, source, medium, campaign = self._source()
        number = len(self.rows.get("visits", ()))
        self._add("visits", {
            "started_at": at, "session": f"w{number}", "visitor": f"v{chance.randrange(2000)}", "site_id": self.site,
            "seen_at": at + timedelta(minutes=3), "channel": channel, "source": source, "medium": medium,
            "campaign": campaign, "keyword": chance.choice(KEYWORDS), "landing_page": "https://shop.example/",
            "location": "Москва", "device": "mobile", "number": "74951112233" if chance.random() < 0.7 else None,
            "overflow": chance.random() < 0.01,
        })  # fmt: skip

    def _costs(self, n: int) -> None:
        for channel, source, medium, campaign, weight in SOURCES:
            if channel.startswith("paid"):
                self._add("costs", {
                    "day": (self.now - timedelta(days=n)).date(), "channel": channel, "source": source,
                    "medium": medium, "campaign": campaign, "amount": Decimal(weight * 160 + n), "currency": "RUB",
                    "clicks": weight * 3,
                })  # fmt: skip

    async def _clients(self, postgres: Pool) -> None:
        await postgres.executemany(
            "INSERT INTO clients (account_id, id, name, first_touch_at) VALUES ($1, $2, $3, $4)",
            [(self.account, n, EVIL if n == 3 else None, self.now - timedelta(days=80)) for n in range(1, 91)],
        )


DEALS = """
INSERT INTO deals (account_id, client_id, title, revenue, currency, opened_at, won)
SELECT $1, a.client_id, 'Окна', 30000 + a.client_id * 731.5, CASE WHEN a.client_id % 17 = 0 THEN 'EUR' ELSE 'RUB' END,
    a.started_at + interval '1 day', a.client_id % 3 <> 0
FROM (SELECT DISTINCT ON (client_id) client_id, started_at FROM appeals WHERE account_id = $1
      ORDER BY client_id, started_at DESC) a WHERE a.client_id % 2 = 0"""


def _shared(chain: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With a share by each model: enough to look at, not what `credits_of` makes of it."""
    each, rest = divmod(1_000_000, len(chain))
    told = []
    for index, touch in enumerate(chain):
        whole = each + (rest if index == 0 else 0)
        told.append(touch | {
            "last_non_direct": 1_000_000 if index == 0 else 0, "first": 1_000_000 if index == len(chain) - 1 else 0,
            "linear": whole, "position": whole, "decay": whole,
        })  # fmt: skip
    return told
