"""The pages people work in, for browser tests: a history, people of every role, the web, browsers signed in to it.

One database, one `callrouter web` and one Chromium serve all tests of this folder, so that a test costs what its own
pages cost (a second, not ten). It asks for the fixture `take_seat` and for nothing else:

    def test_a_manager_sees_the_journal(take_seat: TakeSeat) -> None:
        seat = take_seat("manager", "ru", width=390, scheme="dark")  # a browser signed in, with a page of its own
        seat.open("/journal")  # fails unless it answers 200 with less than 150 kB, scripts and styles with it
        expect(seat.page.get_by_role("heading", level=1)).to_have_text("Обращения")
        seat.suits_everybody()  # axe, no wider than the screen, nothing that the browser complains of

Where a page is to suit everybody in every dress, `for seat in take_seat.each_way("manager")`: Russian and English, dark
and light, narrow and wide, in two seats. `take_seat.stranger("ru")` is of who has not signed in.

What is there (`HISTORY`): account 2 «Окна» with sites 1 to 3 and account 3 «Двери» with sites 4 to 6, sixty days up to
yesterday of appeals of every kind, visits, clients, deals, costs and notes as `callrouter.lab.crowd` makes them, the
same ones each time but for their dates; pools and numbers; a user for each of the roles and languages, who all have
PASSWORD. `office.run(work)` awaits `work(connection)` on the database, for rows of a test's own: give them names of
their own, and expect others' rows beside yours, for all tests share it and none empties it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, Response

from callrouter.appeals.touching import judge_marked
from callrouter.db.connect import Connection, connect
from callrouter.lab.crowd import Crowd
from callrouter.lab.volume import fill
from callrouter.people import browser_sessions, passwords, users
from callrouter.people.browser_sessions import Lifetime
from callrouter.people.model import Locale
from callrouter.people.roles import ROLES, Role
from callrouter.web.cookies import SESSION
from tests.browser.web import web_running
from tests.integration.conftest import administer, database_url
from tests.openid_provider import Provider

T = TypeVar("T")
Visitors = Callable[..., BrowserContext]
Scheme = Literal["light", "dark"]

PASSWORD = "correct horse staple"
LONG_TASKS = """
window.longTasks = [];
new PerformanceObserver((list) => { for (const each of list.getEntries()) longTasks.push(each.duration); })
  .observe({ type: 'longtask', buffered: true });
"""
LONGEST_TASK_MS, LOADS = 50, 10
LARGEST_PAGE = 150_000
"""Bytes that a page takes from the server when it is opened first."""
LOCALES: dict[Locale, str] = {"ru": "ru-RU", "en": "en-GB"}
COMPANIES: dict[int, str] = {2: "windows.example", 3: "doors.example"}
OPERATOR = "operator.example"
INVENTORY = """
UPDATE accounts SET name = CASE id WHEN 2 THEN 'Окна' ELSE 'Двери' END WHERE id IN (2, 3);
UPDATE sites SET own_numbers = ARRAY[(74952220000 + id)::text], display_pattern = '8 (###) ###-##-##';
INSERT INTO pools (id, name) VALUES (1, 'Москва'), (2, 'Петербург');
ALTER TABLE pools ALTER COLUMN id RESTART WITH 10;
INSERT INTO site_pools (account_id, site_id, pool_id) SELECT account_id, id, 1 FROM sites;
INSERT INTO numbers (number, pool_id) SELECT (74951110000 + n)::text, 1 FROM generate_series(0, 19) n;
INSERT INTO numbers (number, pool_id) SELECT (78121110000 + n)::text, 2 FROM generate_series(0, 4) n;
INSERT INTO numbers (number) VALUES ('74954440001'), ('74954440002');
INSERT INTO static_bindings (account_id, site_id, number, channel, source, valid_from)
    VALUES (2, 1, '74954440001', 'offline', 'flyer', '2020-01-01');
INSERT INTO touch_marks (account_id, client_id, since) SELECT account_id, id, '-infinity' FROM clients;
"""


def history() -> Crowd:
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    return Crowd(appeals=450, clients=120, visits=1200, last=yesterday, days=60, seed=7, accounts=2)


def email_of(role: Role, language: Locale, account: int = 2) -> str:
    """Of the user who has this role: admin.ru@windows.example, operator.en@operator.example."""
    return f"{role}.{language}@{OPERATOR if role == 'operator' else COMPANIES[account]}"


async def furnish(url: str) -> None:
    """The history, the inventory and the people, into an empty database."""
    await fill(url, history())
    hashed = await passwords.Passwords().hash(PASSWORD)
    connection = await connect(url)
    try:
        await connection.execute(INVENTORY)
        while await judge_marked(connection):
            pass
        for account, role, locale in [(a, r, lang) for a in COMPANIES for r in ROLES for lang in LOCALES]:
            home = 1 if role == "operator" else account
            if role != "operator" or account == next(iter(COMPANIES)):
                await users.add_user(
                    connection, home, email_of(role, locale, account), role=role, locale=locale, password_hash=hashed
                )
    finally:
        await connection.close()


@dataclass(frozen=True)
class Office:
    """`url`: of the web."""

    url: str
    database: str

    def run(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """What `work` returns, done on the database: in a thread, for Playwright's event loop runs in this one."""

        async def connected() -> T:
            connection = await connect(self.database)
            try:
                return await work(connection)
            finally:
                await connection.close()

        return aside(connected)

    def session_of(self, email: str) -> str:
        """The secret of a browser in which he has signed in."""

        async def begin(connection: Connection) -> str:
            login = await users.find_login(connection, email)
            assert login, email
            return (await browser_sessions.begin(connection, login.account, login.user, Lifetime())).secret

        return self.run(begin)


def aside(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(work())).result()


@dataclass
class Seat:
    """Somebody's browser. `complaints`: what it complained of."""

    office: Office
    context: BrowserContext
    page: Page
    complaints: list[str]
    received: int = 0
    """Bytes of the page that was opened last, as sent."""

    def open(self, path: str) -> Page:
        self.received = 0
        answer = self.page.goto(f"{self.office.url}{path}")
        assert answer, path
        assert answer.status == 200, f"{path} answers {answer.status}"
        assert 0 < self.received < LARGEST_PAGE, path
        return self.page

    def open_swiftly(self, path: str, is_there: Callable[[Page], None] = lambda page: None) -> Page:
        """No task of the page takes 50 ms on a machine of its own; of one that others use the share that is left.

        Others may interrupt any task: of some loads one must have got along. `is_there` waits for what comes after
        the page.
        """
        self.page.add_init_script(LONG_TASKS)
        longest = []
        for _ in range(LOADS):
            page = self.open(path)
            is_there(page)
            page.evaluate("new Promise((done) => requestIdleCallback(done, { timeout: 5000 }))")
            longest.append(max(page.evaluate("window.longTasks"), default=0))
            others = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
            if longest[-1] < LONGEST_TASK_MS * others:
                return page
        raise AssertionError(f"{path}: {longest} ms")

    def suits_everybody(self) -> None:
        """Whoever looks, by whatever means: with all that folds unfolded."""
        for folded in self.page.locator("details.panel").all():
            folded.evaluate("panel => { panel.open = true }")
        where = self.page.url.removeprefix(self.office.url)
        assert findings(self.page) == [], where
        assert self.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{where} is too wide"
        assert self.complaints == [], where

    def count(self, answer: Response) -> None:
        self.received += int(answer.headers.get("content-length", 0))


def open_pages(context: BrowserContext) -> tuple[Page, list[str]]:
    """A page, and what its browser complains of: broken policy, missing files, faults of scripts."""
    page, complaints = context.new_page(), list[str]()
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return page, complaints


def findings(page: Page) -> list[Any]:
    """What axe finds serious."""
    found = Axe().run(page).response["violations"]
    return [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")]


class TakeSeat:
    """Signs people in; see the module."""

    def __init__(self, office: Office, new_visitor: Visitors) -> None:
        self.office = office
        self._new_visitor = new_visitor

    def __call__(
        self, role: Role = "manager", language: Locale = "ru", *, account: int = 2, width: int = 1280,
        scheme: Scheme = "light",
    ) -> Seat:  # fmt: skip
        seat = self.stranger(language, width=width, scheme=scheme)
        secret = self.office.session_of(email_of(role, language, account))
        seat.context.add_cookies([{"name": SESSION, "value": secret, "url": self.office.url, "httpOnly": True}])
        return seat

    def stranger(self, language: Locale = "ru", *, width: int = 1280, scheme: Scheme = "light") -> Seat:
        context = self._new_visitor(
            locale=LOCALES[language], color_scheme=scheme, viewport={"width": width, "height": 800}
        )
        seat = Seat(self.office, context, *open_pages(context))
        seat.page.on("response", seat.count)
        return seat

    def each_way(self, role: Role = "manager", *, account: int = 2) -> Iterator[Seat]:
        yield self(role, "ru", account=account, width=390, scheme="dark")
        yield self(role, "en", account=account, width=1280, scheme="light")


@pytest.fixture(scope="session")
def office(
    tmp_path_factory: pytest.TempPathFactory, postgres_url: str, migrated_template: str, lease_store: str,
    openid_provider: Provider,
) -> Iterator[Office]:  # fmt: skip
    name = "office"
    administer(postgres_url, f"CREATE DATABASE {name} TEMPLATE {migrated_template}")
    url = database_url(postgres_url, name)
    aside(lambda: furnish(url))
    folder: Path = tmp_path_factory.mktemp(name)
    with web_running(folder, postgres=url, redis=lease_store, provider=openid_provider) as web:
        yield Office(web, url)
    administer(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def take_seat(office: Office, new_visitor: Visitors) -> TakeSeat:
    return TakeSeat(office, new_visitor)
