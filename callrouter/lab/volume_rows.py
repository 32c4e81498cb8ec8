"""A day of a crowd as lines of COPY text. Knows the columns that it fills, and no database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from callrouter.lab.crowd import (
    HOURS,
    HOW,
    SITES_PER_ACCOUNT,
    WHAT,
    Advert,
    Crowd,
    account_id,
    adverts,
    phone_of,
    places,
    site_id,
    visitor_of,
)

APPEALS = (
    "account_id", "started_at", "id", "kind", "site_id", "client_id", "pbx", "linkedid", "direction", "caller",
    "called", "caller_raw", "called_raw", "customer", "answered_at", "ended_at", "status", "lost_reason", "wait_s",
    "talk_s", "final_group", "employee", "steps", "hangup_cause", "hangup_by", "recording", "agi_ms", "complete",
    "method", "confidence", "candidates", "resolution_ms", "session", "visitor", "visit_started_at", "time_on_site_s",
    "pages", "channel", "source", "medium", "campaign", "keyword", "content", "click_id", "landing_page", "referrer",
    "page", "title", "device", "os", "browser", "location", "is_unique", "quality", "multichannel", "email", "person",
    "details",
)  # fmt: skip
VISITS = (
    "account_id", "started_at", "session", "visitor", "site_id", "seen_at", "ended_at", "channel", "source", "medium",
    "campaign", "keyword", "content", "click_id", "landing_page", "referrer", "page", "title", "pages", "device", "os",
    "browser", "location", "ga_client_id", "ym_client_id", "number",
)  # fmt: skip
N = "\\N"
KINDS = ("call", "out", "form", "callback", "chat", "email")
KIND_SHARES = (0.80, 0.07, 0.08, 0.03, 0.015, 0.005)
METHODS = ("holder", "static", "caller_memory", "last_holder", "unattributed")
METHOD_SHARES = (0.62, 0.08, 0.1, 0.05, 0.15)
SURE = {"holder": 0.93, "static": 1, "caller_memory": 0.85, "last_holder": 0.6, "unattributed": 0}
LOST = ("abandoned_queue", "abandoned_ringing", "no_answer", "busy", "abandoned_ivr")
GROUPS = ("Продажи", "Сервис", "Опт", "Доставка", "Бухгалтерия", "Секретарь")
NAMES = ("Анна", "Иван", "Мария", "Пётр", "Ольга", "Сергей", "Елена", "Олег", "Ирина", "Глеб", "Софья", "Яков")
NO_TRAFFIC = "\t".join([N] * 11)
NO_PLACE = "\t".join([N] * 4)
REGULARS = 50
"""Clients of each account who call all the time."""


@dataclass
class Day:
    """Lines for COPY, by table."""

    appeals: list[str] = field(default_factory=list)
    visits: list[str] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    clients: list[str] = field(default_factory=list)
    identities: list[str] = field(default_factory=list)
    visitors: list[str] = field(default_factory=list)
    deals: list[str] = field(default_factory=list)
    costs: list[str] = field(default_factory=list)


class Happened(NamedTuple):
    """An appeal before it is text: times are text already, `dice` is what the rest is drawn from."""

    client: int
    first: bool
    at: str
    answered: str
    ended: str
    came: str
    wait: float
    talk: float
    before: float
    kind: int
    method: int
    advert: int
    dice: int
    uuid: str


class Came(NamedTuple):
    """A visit."""

    at: str
    left: str
    session: str
    visitor: str
    site: int
    pages: int
    place: str
    number: str


class Rows:
    """The rows of each day of a crowd."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._known = cache(lambda which: Known(*adverts(which, crowd.seed), places(which, crowd.seed)))

    def day(self, n: int) -> Day:
        told = Day()
        for which in range(self._crowd.accounts):
            self._account(told, n, which, np.random.default_rng((self._crowd.seed, n, which)))
        told.appeals.sort(key=_time)
        told.visits.sort(key=_time)
        return told

    def _account(self, told: Day, n: int, which: int, chance: np.random.Generator) -> None:
        crowd = self._crowd
        old = crowd.before(crowd.clients, which, n)
        young = crowd.before(crowd.clients, which, n + 1)
        count = crowd.before(crowd.appeals, which, n + 1) - crowd.before(crowd.appeals, which, n)
        again = max(0, count - (young - old)) if old else 0
        clients = (
            np.concatenate([np.arange(old, young), _returning(old, again, chance)]) + crowd.first_client(which) + 1
        )
        firsts = np.arange(len(clients)) < young - old
        order = chance.permutation(len(clients))
        day = _AccountDay(told, crowd.start(n), which, chance, self._known(which))
        day.appeals(clients[order].tolist(), firsts[order].tolist())
        visits = crowd.before(crowd.visits, which, n + 1) - crowd.before(crowd.visits, which, n) - day.credited
        known = _returning(max(old, 1), max(0, visits) // 4, chance) + crowd.first_client(which) + 1
        day.visits(known.tolist(), max(0, visits - len(known)))
        day.costs()


def _returning(old: int, count: int, chance: np.random.Generator) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Which of the `old` clients come again: mostly young ones, some of any age, and the regulars."""
    age = chance.random(count) ** 3 * 0.3
    anyone = chance.random(count) < 0.25  # noqa: PLR2004
    age[anyone] = chance.random(int(anyone.sum()))
    picked = (old * (1 - age)).astype(np.int64).clip(0, old - 1)
    regular = chance.random(count) < 0.01  # noqa: PLR2004
    picked[regular] = chance.integers(0, min(old, REGULARS), int(regular.sum())) if old else 0
    return picked


def _time(line: str) -> str:
    return line.split("\t", 2)[1]


class Known(NamedTuple):
    """What an account has to draw from."""

    adverts: list[Advert]
    likely: np.ndarray[Any, np.dtype[np.float64]]
    spots: list[str]


class _AccountDay:
    """One account's day, written into `told`."""

    def __init__(self, told: Day, start: datetime, which: int, chance: np.random.Generator, known: Known) -> None:
        self.told, self.which, self.chance = told, which, chance
        self.account = account_id(which)
        self.midnight = np.datetime64(start.replace(tzinfo=None), "ms")
        self.start = start
        self.adverts, self.likely, self.spots = known
        self.credited = 0

    def appeals(self, clients: Sequence[int], firsts: Sequence[bool]) -> None:
        count, chance = len(clients), self.chance
        started = self._times(count)
        wait = np.round(chance.exponential(14, count) + 1, 1)
        talk = np.round(np.where(chance.random(count) < 0.82, chance.exponential(140, count) + 2, 0), 1)  # noqa: PLR2004
        before = np.round(chance.exponential(240, count) + 5, 1)
        columns = zip(
            clients, firsts, _texts(started), _texts(started + _ms(wait)), _texts(started + _ms(wait + talk)),
            _texts(started - _ms(before)), wait.tolist(), talk.tolist(), before.tolist(),
            chance.choice(len(KINDS), count, p=KIND_SHARES).tolist(),
            chance.choice(len(METHODS), count, p=METHOD_SHARES).tolist(),
            chance.choice(len(self.adverts), count, p=self.likely).tolist(),
            chance.integers(0, 1 << 30, count).tolist(), self._uuids(count), strict=True,
        )  # fmt: skip
        for row in columns:
            self._appeal(Happened(*row))

    def _appeal(self, told: Happened) -> None:
        site = site_id(self.which, told.dice % SITES_PER_ACCOUNT)
        session = f"{told.dice:08x}{told.uuid[:8]}"
        shown = f"7495{self.which:03}{told.dice % 2000:04}"
        bought = self.adverts[told.advert]
        is_call = told.kind <= 1
        seen = METHODS[told.method] not in {"static", "unattributed"} and told.kind != 1
        place = self.spots[told.dice % len(self.spots)]
        name = NAMES[told.client % len(NAMES)] if told.client % 3 == 0 or not is_call else N
        call = (
            self._call(told, shown) if is_call else "\t".join((*[N] * 7, phone_of(told.client), N, told.at, *[N] * 12))
        )
        kind = "call" if is_call else KINDS[told.kind]
        unique = "t" if told.first and told.kind == 0 else "f"
        quality = "t" if told.talk >= 60 and is_call else "f"  # noqa: PLR2004
        said = f"{N}\t{name}\t{N}"
        if not is_call:
            said = f"client{told.client}@mail.example\t{name}\t" + f'{{"text":"Интересуют {WHAT[told.dice % 12]}"}}'
        self.told.appeals.append(
            f"{self.account}\t{told.at}\t{told.uuid}\t{kind}\t{site}\t{told.client}\t{call}\t"
            f"{self._credit(told, site, session, seen=seen)}\t{self._source(told, session, place, seen=seen)}\t"
            f"{unique}\t{quality}\t{'t' if told.dice % 5 == 0 else 'f'}\t{said}\n"
        )
        if seen:
            self.credited += 1
            visitor = visitor_of(told.client)
            self._visit(bought, Came(told.came, told.at, session, visitor, site, told.dice % 9 + 1, place, shown))
            for n, at in enumerate((told.came, told.at), start=1):
                self.told.pages.append(f"{self.account}\t{at}\t{session}\t{n}\t{bought.pages}\n")
        if told.first:
            self._client(told.client, told.at, name, told.dice)
        if told.dice % 31 == 0:
            tags = "{важно}" if told.dice % 2 else "{перезвонить,опт}"
            spam = "t" if told.dice % 5 == 0 else "f"
            self.told.notes.append(f"{self.account}\t{told.uuid}\t{spam}\t{tags}\tКлиент просил счёт\n")

    def _credit(self, told: Happened, site: int, session: str, *, seen: bool) -> str:
        """Columns `method` to `resolution_ms`."""
        if told.kind > 1:
            return f"page\t1\t{N}\t{N}" if seen else f"unattributed\t0\t{N}\t{N}"
        method = METHODS[told.method] if told.kind == 0 else "unattributed"
        sure = SURE[method]
        if not seen:
            return f"{method}\t{sure}\t[]\t1.7"
        first = f'{{"method":"{method}","account":{self.account},"site":{site},"session":"{session}","weight":{sure}}}'
        earlier = f'"account":{self.account},"site":{site},"session":"{told.uuid[:16]}","weight":0.04'
        other = f'{{"method":"last_holder",{earlier}}}'
        return f"{method}\t{sure}\t[{first},{other}]\t1.7"

    def _source(self, told: Happened, session: str, place: str, *, seen: bool) -> str:
        """Columns `session` to `location`."""
        if seen:
            bought = self.adverts[told.advert]
            visit = f"{session}\t{visitor_of(told.client)}\t{told.came}\t{told.before}\t{told.dice % 9 + 1}"
            return f"{visit}\t{bought.traffic}\t{bought.pages}\t{place}"
        is_static = METHODS[told.method] == "static"
        traffic = (
            "\t".join(("offline", "flyer", "qr", f"campaign-{told.dice % 30}", *[N] * 7)) if is_static else NO_TRAFFIC
        )
        return "\t".join((*[N] * 5, traffic, NO_PLACE))

    def _call(self, told: Happened, shown: str) -> str:
        """Columns `pbx` to `complete`."""
        group, employee = GROUPS[told.dice % 97 % len(GROUPS)], f"{100 + told.dice % 89 % 40}"
        heard, incoming, phone = told.talk > 0, told.kind == 0, phone_of(told.client)
        steps = f'[{{"at":"{told.at}","kind":"started"}},{{"at":"{told.at}","kind":"group_entered","group":"{group}"}},'
        steps += f'{{"at":"{told.at}","kind":"rang","who":"{employee}"}},'
        steps += f'{{"at":"{told.answered}","kind":"answered","who":"{employee}"}},' if heard else ""
        steps += f'{{"at":"{told.ended}","kind":"ended"}}]'
        caller, called = (phone, shown) if incoming else (employee, phone)
        return "\t".join((
            "pbx1", f"pbx1-{told.uuid[:13]}", "inbound" if incoming else "outbound", caller, called, f"+{caller}",
            f"+{called}", phone, told.answered if heard else N, told.ended, "answered" if heard else "lost",
            N if heard else LOST[told.dice % len(LOST)], str(told.wait), str(told.talk), group if incoming else N,
            employee if heard else N, steps, "16", "caller" if told.dice % 3 else "employee",
            f"/recordings/{told.uuid}.wav" if heard else N, "2.4", "t",
        ))  # fmt: skip

    def _visit(self, advert: Advert, came: Came) -> None:
        self.told.visits.append(
            f"{self.account}\t{came.at}\t{came.session}\t{came.visitor}\t{came.site}\t{came.left}\t{came.left}\t"
            f"{advert.traffic}\t{advert.pages}\t{came.pages}\t{came.place}\t{came.visitor[:9]}.{came.session[:9]}\t"
            f"{came.session}\t{came.number}\n"
        )

    def _client(self, client: int, at: str, name: str, dice: int) -> None:
        account, phone = self.account, phone_of(client)
        self.told.clients.append(f"{account}\t{client}\t{name}\t{at}\t{at}\n")
        self.told.identities.append(f"{account}\tphone\t{phone}\t{client}\t{at}\t{at}\n")
        self.told.visitors.append(f"{account}\t{visitor_of(client)}\t{client}\t{at}\n")
        if client % 4 == 0:
            self.told.identities.append(f"{account}\temail\tclient{client}@mail.example\t{client}\t{at}\t{at}\n")
        if client % 12 == 0:
            won = client % 24 == 0
            title, stage = f"{WHAT[dice % 12]} {HOW[dice % 10]}", "Успех" if won else "В работе"
            self.told.deals.append(
                f"{account}\t{client}\tbitrix24\t{client}\t{title}\t{stage}\tОбщая\thttps://crm.example/deal/{client}/\t"
                f"{NAMES[dice % 12]}\t{dice % 300_000}.50\tRUB\t{at}\t{at if won else N}\t{'t' if won else N}\n"
            )

    def visits(self, known: Sequence[int], strangers: int) -> None:
        """Visits without an appeal: of clients, and of people who never call."""
        count, chance = len(known) + strangers, self.chance
        started = self._times(count)
        stay = chance.exponential(90, count)
        visitors = [*map(visitor_of, known), *(f"{n:016x}" for n in chance.integers(0, 1 << 62, strangers).tolist())]
        bought = chance.choice(len(self.adverts), count, p=self.likely).tolist()
        columns = zip(
            visitors, _texts(started), _texts(started + _ms(stay)), bought,
            chance.integers(0, 1 << 30, count).tolist(), chance.integers(0, 1 << 32, count).tolist(), strict=True,
        )  # fmt: skip
        for visitor, came, left, advert, dice, more in columns:
            site = site_id(self.which, dice % SITES_PER_ACCOUNT)
            number = f"7495{self.which:03}{dice % 2000:04}" if dice % 4 else N
            place, pages = self.spots[dice % len(self.spots)], 1 if dice % 2 else dice % 7 + 1
            told = Came(came, left, f"{dice:08x}{more:08x}", visitor, site, pages, place, number)
            self._visit(self.adverts[advert], told)

    def costs(self) -> None:
        day = (self.start + timedelta(hours=3)).date().isoformat()
        paid = {tuple(advert.traffic.split("\t")[:4]) for advert in self.adverts[:60] if "\tcpc\t" in advert.traffic}
        for n, traffic in enumerate(sorted(paid)):
            spent = f"{self.chance.integers(500, 50_000) / 10:.2f}\tRUB\t{n * 7 + 3}"
            self.told.costs.append(f"{self.account}\t{day}\t" + "\t".join(traffic) + f"\t{spent}\n")

    def _times(self, count: int) -> np.ndarray[Any, np.dtype[np.datetime64]]:
        """Moments of the day as its hours have them."""
        hours = self.chance.choice(24, count, p=HOURS / HOURS.sum())
        moments: np.ndarray[Any, np.dtype[np.datetime64]] = np.sort(
            self.midnight + _ms((hours + self.chance.random(count)) * 3600)
        )
        return moments

    def _uuids(self, count: int) -> list[str]:
        noise = self.chance.bytes(16 * count).hex()
        return [noise[n : n + 32] for n in range(0, 32 * count, 32)]


def _ms(seconds: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.timedelta64]]:
    return (seconds * 1000).astype("timedelta64[ms]")


def _texts(moments: np.ndarray[Any, np.dtype[np.datetime64]]) -> list[str]:
    return [f"{text}Z" for text in np.datetime_as_string(moments).tolist()]
