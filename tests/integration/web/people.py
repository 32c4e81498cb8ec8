"""Accounts with people in them, the application on a real Postgres, and browsers that sign in to it."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx

from callrouter.db.connect import open_pool
from callrouter.lab.ports import free_port
from callrouter.people import passwords, users
from callrouter.people.users import User
from callrouter.web.api import tokens
from callrouter.web.app import Web, create_app
from callrouter.web.settings import WebSettings

PASSWORD = "correct horse staple"
PEOPLE = (
    (1, "op@operator.example", "operator"), (2, "ann@windows.example", "admin"), (2, "max@windows.example", "manager"),
    (2, "vic@windows.example", "viewer"), (3, "dan@doors.example", "admin"),
)  # fmt: skip
AFRESH = """
TRUNCATE users, tokens, audit, browser_sessions, repeated_writes, sites, pools, numbers, static_bindings, views,
    view_choices, deals, costs, clients, client_identities, exchange_rates, uploads, scheduled_reports CASCADE;
DELETE FROM accounts WHERE id > 1;
INSERT INTO accounts (id, name) VALUES (2, 'Windows'), (3, 'Doors');
ALTER TABLE accounts ALTER COLUMN id RESTART WITH 10;
"""
FORM_KEY = re.compile(r'name="form_key" value="([^"]+)"')
BROWSER = {"accept": "text/html", "user-agent": "Mozilla/5.0 (X11; Linux x86_64) Chrome/141.0.0.0 Safari/537.36"}


class Browser:
    """One person's browser, at an address of his own."""

    def __init__(self, app: Web, address: str, base: str) -> None:
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app, client=("127.0.0.1", 1)),
            base_url=base, headers=BROWSER | {"x-forwarded-for": address},
        )  # fmt: skip
        self.key = ""

    async def get(self, path: str, **headers: str) -> httpx.Response:
        answer = await self.http.get(path, headers=headers)
        if found := FORM_KEY.search(answer.text):
            self.key = found[1]
        return answer

    async def post(self, path: str, **form: str) -> httpx.Response:
        answer = await self.http.post(path, data={"form_key": self.key} | form)
        if found := FORM_KEY.search(answer.text):
            self.key = found[1]
        return answer

    async def api(self, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        """As a script of our pages asks."""
        said = {"accept": "application/json", "x-form-key": self.key} | headers
        return await self.http.request(method, f"/api/v1{path}", json=body, headers=said)

    async def sign_in(self, email: str, password: str = PASSWORD, *, wanted: str = "") -> httpx.Response:
        await self.get("/sign-in")
        answer = await self.post("/sign-in", email=email, password=password, next=wanted)
        if answer.status_code == 303:
            await self.get("/own")
        return answer

    def cookie(self, name: str = "callrouter") -> str:
        """What the application set, rather than what a test put there."""
        found = [each for each in self.http.cookies.jar if each.name == name]
        return str(max(found, key=lambda each: bool(each.domain)).value) if found else ""

    def show(self, cookie: str, name: str = "callrouter") -> None:
        """From now on with this cookie."""
        self.http.cookies.delete(name)
        self.http.cookies.set(name, cookie)


class House:
    """The application, its database, and the users by the first three letters of their e-mail."""

    def __init__(self, app: Web, postgres: Any, people: dict[str, User]) -> None:
        self.app = app
        self.postgres = postgres
        self.people = people
        self._addresses = iter(range(1, 250))

    def browser(self, *, address: str = "", base: str = "http://localhost") -> Browser:
        return Browser(self.app, address or f"203.0.113.{next(self._addresses)}", base)

    async def signed_in(self, who: str) -> Browser:
        browser = self.browser()
        answer = await browser.sign_in(self.people[who].email)
        assert answer.status_code == 303, answer.text
        return browser

    async def token(self, account: int, *scopes: Any) -> dict[str, str]:
        """The headers of a program."""
        async with self.postgres.acquire() as conn:
            made = await tokens.add_token(conn, account, "test", scopes)
        return {"authorization": f"Bearer {made.secret}"}

    async def actions(self, account: int = 2) -> list[str]:
        rows = await self.postgres.fetch("SELECT action FROM audit WHERE account_id = $1 ORDER BY at, id", account)
        return [row["action"] for row in rows]


@contextlib.asynccontextmanager
async def house(database: str, **settings: Any) -> AsyncIterator[House]:
    postgres = await open_pool(database, size=3)
    try:
        await postgres.execute(AFRESH)
        hashed = await passwords.Passwords().hash(PASSWORD)
        people: dict[str, User] = {}
        async with postgres.acquire() as conn:
            for account, email, role in PEOPLE:
                people[email[:3].strip("@")] = await users.add_user(
                    conn, account, email, role=role, locale="en", password_hash=hashed  # type: ignore[arg-type]
                )  # fmt: skip
        redis = f"redis://127.0.0.1:{free_port()}/0"
        asked = WebSettings(
            redis_url=redis, postgres_url=database, token_keys=(b"a key of the tests, long",), **settings
        )
        app = create_app(asked)
        async with app.lifespan():
            yield House(app, postgres, people)
    finally:
        await postgres.close()


def living(database: str, scene: Callable[[House], Awaitable[None]], **settings: Any) -> None:
    async def run() -> None:
        async with house(database, **settings) as here:
            await scene(here)

    asyncio.run(run())
