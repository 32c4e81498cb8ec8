"""Visitors of a demo shop, who speak to `web` over HTTP just as a browser's page would. Knows no number in advance."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx

BROWSERS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Safari/604.1",
    "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0 Mobile Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
)


@dataclass(frozen=True)
class Arrival:
    """How a visitor came: what stands after the site's address, the referrer, and the source that it should give."""

    query: str
    referrer: str
    source: str


ARRIVALS = (
    Arrival(
        "/windows?utm_source=yandex&utm_medium=cpc&utm_campaign=spring&utm_term=окна", "https://yandex.ru/", "yandex"
    ),
    Arrival("/?gclid=EAIaIQobChMI", "https://www.google.com/", "google"),
    Arrival("/catalogue", "https://www.google.com/", "google"),
    Arrival("/about", "https://yandex.ru/search/?text=окна", "yandex"),
    Arrival("/?utm_source=vk&utm_medium=social&utm_campaign=doors", "https://vk.com/", "vk"),
    Arrival("/windows", "https://blog.example.org/best-windows", "blog.example.org"),
    Arrival("/", "", "(direct)"),
    Arrival("/?utm_source=newsletter&utm_medium=email&utm_campaign=may", "", "newsletter"),
)


@dataclass
class Visitor:
    """One browser on one site."""

    site: str
    """The site's key in the visitors' API."""
    origin: str
    arrival: Arrival
    user_agent: str
    number: str = ""
    display: str = ""
    session: str = ""
    token: str = ""
    _pages: list[str] = field(default_factory=list)

    async def open(self, client: httpx.AsyncClient) -> None:
        """Open the landing page; the answer has the number to show. Raises httpx.HTTPError."""
        url = self.origin + self.arrival.query
        answer = await self._post(client, "visit", {"url": url, "referrer": self.arrival.referrer, "title": "Shop"})
        self.number, self.display = answer["number"], answer["display"]
        self.session, self.token = answer["session"], answer["token"]

    async def stay(self, client: httpx.AsyncClient, *, closed: bool = False) -> None:
        """Give a sign of life, or say that the page was closed."""
        await self._post(client, "alive", {"token": self.token, "closed": closed})

    async def _post(self, client: httpx.AsyncClient, what: str, body: dict[str, object]) -> dict[str, str]:
        headers = {"Content-Type": "text/plain", "User-Agent": self.user_agent, "Origin": self.origin}
        response = await client.post(f"/v/{self.site}/{what}", content=json.dumps(body), headers=headers)
        response.raise_for_status()
        answer: dict[str, str] = response.json()
        return answer


def visitors(sites: dict[str, str], seed: int) -> Iterator[Visitor]:
    """Visitors without end, the same for the same seed. `sites`: key → origin."""
    chance = random.Random(seed)
    for arrival in itertools.cycle(ARRIVALS):
        site = chance.choice(list(sites))
        yield Visitor(site, sites[site], arrival, chance.choice(BROWSERS))
