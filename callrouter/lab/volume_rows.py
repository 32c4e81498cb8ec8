"""A day of a crowd as lines of COPY text. Knows the columns that it fills, and no database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any

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
    "account_id", "started_at", "id", "kind", "site_id", "client_id", "pbx", "linkedid", "direction", "caller", "called",
    "caller_raw", "called_raw", "customer", "answered_at", "ended_at", "status", "lost_reason", "wait_s", "talk_s",
    "final_group", "employee", "steps", "hangup_cause", "hangup_by", "recording", "agi_ms", "complete", "method",
    "confidence", "candidates", "resolution_ms", "session", "visitor", "visit_started_at", "time_on_site_s", "pages",
    "channel", "source", "medium", "campaign", "keyword", "content", "click_id", "landing_page", "referrer", "page",
    "title", "device", "os", "browser", "location", "is_unique", "quality", "multichannel", "email", "person", "details",
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
    deals: list[str] = field(default_factory=list)
    costs: list[str] = field(default_factory=list)


class Rows:
    """The rows of each day of a crowd."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._adverts = cache(lambda which: adverts(which, crowd.seed))
        self._places = cache(lambda which: places(which, crowd.seed))

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
        day = _AccountDay(told, crowd.start(n), which, chance, self._adverts(which), self._places(which))
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


class _AccountDay:
    """One account's day, written into `told`."""

    def __init__(
        self, told: Day, start: Any, which: int, chance: np.random.Generator,
        known: tuple[list[Advert], np.ndarray[Any, np.dtype[np.float64]]], spots: list[str],
    ) -> None:  # fmt: skip
        self.told, self.which, self.chance = told, which, chance
        self.account = account_id(which)
        self.midnight = np.datetime64(start.replace(tzinfo=None), "ms")
        self.start = start
        self.adverts, self.likely = known
        self.spots = spots
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
            self._appeal(*row)

    def _appeal(
        self, client: int, first: bool, at: str, answered: str, ended: str, came: str, wait: float, talk: float,
        before: float, kind: int, method: int, advert: int, dice: int, uuid: str,
    ) -> None:  # fmt: skip
        site = site_id(self.which, dice % SITES_PER_ACCOUNT)
        session = f"{dice:08x}{uuid[:8]}"
        shown = f"7495{self.which:03}{dice % 2000:04}"
        bought = self.adverts[advert]
        seen = METHODS[method] not in {"static", "unattributed"} and kind != 1
        traffic = f"{bought.traffic}\t{bought.pages}" if seen else NO_TRAFFIC
        if METHODS[method] == "static":
            traffic = f"offline\tflyer\tqr\tcampaign-{dice % 30}" + f"\t{N}" * 7
        place = self.spots[dice % len(self.spots)]
        visit = (
            f"{session}\t{visitor_of(client)}\t{came}\t{before}\t{dice % 9 + 1}\t{traffic}\t{place}"
            if seen
            else f"{N}\t{N}\t{N}\t{N}\t{N}\t{traffic}\t{NO_PLACE}"
        )
        phone, name = phone_of(client), NAMES[client % len(NAMES)] if client % 3 == 0 or kind > 1 else N
        if kind <= 1:
            call = self._call(phone, shown, at, answered, ended, wait, talk, kind, dice, uuid)
            how = METHODS[method if kind == 0 else -1]
            sure = (0.93, 1, 0.85, 0.6, 0)[method] if kind == 0 else 0
            candidates = (
                f'[{{"method":"{how}","account":{self.account},"site":{site},"session":"{session}","weight":{sure},'
                f'"since":{before}}},{{"method":"last_holder","account":{self.account},"site":{site},'
                f'"session":"{uuid[:16]}","weight":0.04,"since":4000.0}}]'
                if seen
                else "[]"
            )
            extra = f"{N}\t{name}\t{N}"
        else:
            call = self._page_call(phone, at)
            how, sure, candidates = ("page", 1, N) if seen else ("unattributed", 0, N)
            extra = f"client{client}@mail.example\t{name}\t" + f'{{"text":"Перезвоните, интересуют {WHAT[dice % 12]}"}}'
        unique = "t" if first and kind == 0 else "f"
        quality = "t" if talk >= 60 and kind <= 1 else "f"  # noqa: PLR2004
        self.told.appeals.append(
            f"{self.account}\t{at}\t{uuid}\t{'call' if kind <= 1 else KINDS[kind]}\t{site}\t{client}\t{call}\t{how}\t{sure}\t"
            f"{candidates}\t1.7\t{visit}\t{unique}\t{quality}\t{'t' if dice % 5 == 0 else 'f'}\t{extra}\n"
        )
        if seen:
            self.credited += 1
            self._visit(came, session, visitor_of(client), site, at, bought, dice % 9 + 1, place, shown)
            self.told.pages.append(
                f"{self.account}\t{came}\t{session}\t1\t{bought.pages}\n{self.account}\t{at}\t{session}\t2\t{bought.pages}\n"
            )
        if first:
            self._client(client, at, name, dice)
        if dice % 31 == 0:
            tags = "{важно}" if dice % 2 else "{перезвонить,опт}"
            self.told.notes.append(
                f"{self.account}\t{uuid}\t{'t' if dice % 5 == 0 else 'f'}\t{tags}\tКлиент просил счёт\n"
            )

    def _call(
        self, phone: str, shown: str, at: str, answered: str, ended: str, wait: float, talk: float, kind: int, dice: int,
        uuid: str,
    ) -> str:  # fmt: skip
        group, employee = GROUPS[dice % 97 % len(GROUPS)], f"{100 + dice % 89 % 40}"
        heard = talk > 0
        incoming = kind == 0
        steps = f'[{{"at":"{at}","kind":"started"}},{{"at":"{at}","kind":"group_entered","group":"{group}"}},'
        steps += f'{{"at":"{at}","kind":"rang","who":"{employee}"}},'
        steps += f'{{"at":"{answered}","kind":"answered","who":"{employee}"}},' if heard else ""
        steps += f'{{"at":"{ended}","kind":"ended"}}]'
        caller, called = (phone, shown) if incoming else (employee, phone)
        return "\t".join((
            "pbx1", f"pbx1-{uuid[:13]}", "inbound" if incoming else "outbound", caller, called, f"+{caller}", f"+{called}",
            phone, answered if heard else N, ended, "answered" if heard else "lost", N if heard else LOST[dice % len(LOST)],
            str(wait), str(talk), group if incoming else N, employee if heard else N, steps, "16",
            "caller" if dice % 3 else "employee", f"/recordings/{uuid}.wav" if heard else N, "2.4", "t",
        ))  # fmt: skip

    def _page_call(self, phone: str, at: str) -> str:
        return "\t".join((N, N, N, N, N, N, N, phone, N, at, *[N] * 12))

    def _visit(
        self, came: str, session: str, visitor: str, site: int, left: str, advert: Advert, pages: int, place: str,
        number: str,
    ) -> None:  # fmt: skip
        self.told.visits.append(
            f"{self.account}\t{came}\t{session}\t{visitor}\t{site}\t{left}\t{left}\t{advert.traffic}\t{advert.pages}\t{pages}\t"
            f"{place}\t{visitor[:9]}.{session[:9]}\t{session}\t{number}\n"
        )

    def _client(self, client: int, at: str, name: str, dice: int) -> None:
        account, phone = self.account, phone_of(client)
        self.told.clients.append(f"{account}\t{client}\t{name}\t{at}\t{at}\n")
        self.told.identities.append(f"{account}\tphone\t{phone}\t{client}\t{at}\t{at}\n")
        self.told.identities.append(f"{account}\tvisitor\t{visitor_of(client)}\t{client}\t{at}\t{at}\n")
        if client % 4 == 0:
            self.told.identities.append(f"{account}\temail\tclient{client}@mail.example\t{client}\t{at}\t{at}\n")
        if client % 12 == 0:
            won = client % 24 == 0
            self.told.deals.append(
                f"{account}\t{client}\tbitrix24\t{client}\t{WHAT[dice % 12]} {HOW[dice % 10]}\t{'Успех' if won else 'В работе'}\t"
                f"Общая\thttps://crm.example/deal/{client}/\t{NAMES[dice % 12]}\t{dice % 300_000}.50\tRUB\t{at}\t"
                f"{at if won else N}\t{'t' if won else N}\n"
            )

    def visits(self, known: Sequence[int], strangers: int) -> None:
        """Visits without an appeal: of clients, and of people who never call."""
        count, chance = len(known) + strangers, self.chance
        started = self._times(count)
        stay = chance.exponential(90, count)
        columns = zip(
            [*map(visitor_of, known), *(f"{n:016x}" for n in chance.integers(0, 1 << 62, strangers).tolist())],
            _texts(started), _texts(started + _ms(stay)), chance.choice(len(self.adverts), count, p=self.likely).tolist(),
            chance.integers(0, 1 << 30, count).tolist(), chance.integers(0, 1 << 32, count).tolist(), strict=True,
        )  # fmt: skip
        for visitor, came, left, advert, dice, more in columns:
            site = site_id(self.which, dice % SITES_PER_ACCOUNT)
            place = self.spots[dice % len(self.spots)]
            pages = 1 if dice % 2 else dice % 7 + 1
            self._visit(came, f"{dice:08x}{more:08x}", visitor, site, left, self.adverts[advert], pages, place,
                        f"7495{self.which:03}{dice % 2000:04}" if dice % 4 else N)  # fmt: skip

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
