"""A person signs in with a real browser, in both languages, by keyboard, in dark and light; axe finds nothing."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, expect

from callrouter.db.connect import connect
from callrouter.people import passwords, users

PASSWORD = "correct horse staple"
LARGEST_PAGE = 150_000
WORDS = {
    "ru": ("Войти", "Неверный адрес почты или пароль.", "Пользователи", "Выйти", "Вы вышли.", "ru-RU"),
    "en": ("Sign in", "E-mail or password is wrong.", "Users", "Sign out", "You are signed out.", "en-GB"),
}
PAGES = ("/own", "/own/password", "/settings/account", "/settings/users", "/settings/tokens", "/settings/record")


@pytest.fixture(scope="module")
def pages_url(web_url: str, browser_database: str) -> str:
    """The web with an admin for each language."""

    async def add() -> None:
        hashed = await passwords.Passwords().hash(PASSWORD)
        connection = await connect(browser_database)
        for locale in ("ru", "en"):
            await users.add_user(
                connection, 2, f"{locale}@windows.example", role="admin", locale=locale, password_hash=hashed,
            )  # fmt: skip
        await connection.close()

    with ThreadPoolExecutor() as aside:  # Playwright's event loop runs in this thread
        aside.submit(asyncio.run, add()).result()
    return web_url


def open_pages(context: BrowserContext) -> tuple[Page, list[str]]:
    """A page, and what its browser complains of: broken policy, missing files, faults of scripts."""
    page, complaints = context.new_page(), list[str]()
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return page, complaints


def findings(page: Page) -> list[Any]:
    found = Axe().run(page).response["violations"]
    return [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")]


@pytest.mark.parametrize(("language", "scheme", "width"), [("ru", "dark", 390), ("en", "light", 1280)])
def test_a_person_signs_in_by_keyboard_and_sees_pages_that_all_can_use(
    pages_url: str, new_visitor: Callable[..., BrowserContext], language: str, scheme: str, width: int
) -> None:
    sign_in, wrong, title, sign_out, signed_out, locale = WORDS[language]
    context = new_visitor(locale=locale, color_scheme=scheme, viewport={"width": width, "height": 800})
    page, complaints = open_pages(context)
    sizes: list[int] = []
    page.on("response", lambda answer: sizes.append(int(answer.headers.get("content-length", 0))))
    page.goto(f"{pages_url}/settings/users")
    expect(page.get_by_role("button", name=sign_in)).to_be_visible()
    assert page.locator("html").get_attribute("lang") == language
    assert findings(page) == []
    assert 0 < sum(sizes) < LARGEST_PAGE
    page.keyboard.type(f"{language}@windows.example")
    page.keyboard.press("Tab")
    page.keyboard.type("wrong password")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text(wrong)
    expect(page.locator("#password")).to_be_focused()
    assert [said for said in complaints if "422" not in said] == []
    complaints.clear()
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=title, level=1)).to_be_visible()
    for path in PAGES:
        page.goto(f"{pages_url}{path}")
        for panel in page.locator("details.panel").all():
            panel.evaluate("panel => { panel.open = true }")
        assert findings(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} is wider than the screen"
    if width < 800:
        page.get_by_text("Меню", exact=True).click()
    page.get_by_role("button", name=sign_out, exact=True).first.click()
    expect(page.get_by_role("status")).to_have_text(signed_out)
    page.goto(f"{pages_url}/own")
    expect(page).to_have_url(re.compile(r"/sign-in\?next=/own$"))
    assert complaints == []


def test_a_made_token_is_shown_once_and_revoked_after_asking(
    pages_url: str, new_visitor: Callable[..., BrowserContext]
) -> None:
    page, complaints = open_pages(new_visitor(locale="en-GB", viewport={"width": 1280, "height": 800}))
    page.goto(f"{pages_url}/sign-in?next=/settings/tokens")
    page.get_by_label("E-mail").fill("en@windows.example")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("What it is for").fill("CRM <b>")
    page.get_by_label("appeals:read").check()
    page.get_by_role("button", name="Make the token").click()
    expect(page.locator("#token")).to_have_text(re.compile(r"^crt_[\w-]{43}$"))
    assert findings(page) == []
    page.get_by_role("link", name="All tokens").click()
    expect(page.get_by_role("rowheader")).to_have_text("CRM <b>")
    assert "crt_" not in page.locator("table").inner_text()
    page.once("dialog", lambda asked: asked.dismiss())
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("rowheader")).to_have_text("CRM <b>")
    page.once("dialog", lambda asked: asked.accept())
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("status")).to_be_visible()
    expect(page.locator("table")).to_contain_text("revoked")
    assert complaints == []
