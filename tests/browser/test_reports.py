"""Reports in a real browser: in both languages, dark and light, wide and narrow; charts can be read without eyes."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from callrouter.db.connect import connect, open_pool
from callrouter.people import passwords, users
from callrouter.web.pages.reports.terms import TITLES
from tests.browser.office import LARGEST_PAGE, PASSWORD, findings, open_pages
from tests.integration.web.busy_shop import Shop

PAGES = [f"/reports/{name}".removesuffix("/") for name in TITLES]
WORDS = {
    "ru": ("ru-RU", "Пропущенные без перезвона"),
    "en": ("en-GB", "Missed and not called back"),
}
PICTURES = os.environ.get("PICTURES", "")
"""A folder for pictures of the pages, to be looked at."""


@pytest.fixture(scope="module")
def reports_url(web_url: str, browser_database: str) -> str:
    """The web with a busy shop of its own, and a viewer of it for each language."""

    async def add() -> None:
        hashed = await passwords.Passwords().hash(PASSWORD)
        connection = await connect(browser_database)
        await connection.execute(
            "INSERT INTO accounts (id, name, time_zone) VALUES (21, 'Окна и двери', 'Europe/Moscow')"
        )
        for locale in ("ru", "en"):
            await users.add_user(
                connection, 21, f"reports-{locale}@windows.example", role="manager", locale=locale,
                password_hash=hashed,
            )  # fmt: skip
        await connection.close()
        postgres = await open_pool(browser_database, size=2)
        await Shop(21, days=61, calls_a_day=14).fill(postgres)
        await postgres.close()

    with ThreadPoolExecutor() as aside:  # Playwright's event loop runs in this thread
        aside.submit(asyncio.run, add()).result()
    return web_url


def signed_in(context: BrowserContext, url: str, language: str) -> tuple[Page, list[str]]:
    page, complaints = open_pages(context)
    page.goto(f"{url}/sign-in?next=/reports")
    page.locator("#email").fill(f"reports-{language}@windows.example")
    page.locator("#password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/reports$"))
    return page, complaints


def look(page: Page, name: str) -> None:
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)


@pytest.mark.parametrize(("language", "scheme", "width"), [("ru", "light", 1366), ("en", "dark", 390)])
def test_pages_of_reports_can_be_used_by_all(
    reports_url: str, new_visitor: Callable[..., BrowserContext], language: str, scheme: str, width: int
) -> None:
    locale, missed = WORDS[language]
    context = new_visitor(locale=locale, color_scheme=scheme, viewport={"width": width, "height": 850})
    page, complaints = signed_in(context, reports_url, language)
    sizes: list[int] = []
    page.on("response", lambda answer: sizes.append(int(answer.headers.get("content-length", 0))))
    refused: list[str] = []
    page.on("response", lambda answer: refused.append(answer.url) if answer.status >= 400 else None)
    for path in PAGES:
        page.goto(f"{reports_url}{path}?period=30d")
        if path == "/reports":
            expect(page.get_by_role("heading", name=missed)).to_be_visible()
            assert sum(sizes) < LARGEST_PAGE
        expect(page.locator("[data-later] > p > a")).to_have_count(0)
        for details in page.locator("main details").all():
            details.evaluate("it => { it.open = true }")
        assert findings(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} is wider than the screen"
        for details in page.locator("main details").all():
            details.evaluate("it => { it.open = false }")
        look(page, f"{path.strip('/').replace('/', '-')}-{language}-{scheme}-{width}")
    expect(page.get_by_role("link", name=re.compile("CSV")).first).to_be_visible()
    assert (complaints, refused) == ([], [])


def test_a_marketer_goes_from_channels_to_keywords_and_to_the_calls_behind_a_figure(
    reports_url: str, new_visitor: Callable[..., BrowserContext]
) -> None:
    page, complaints = signed_in(
        new_visitor(locale="en-GB", viewport={"width": 1366, "height": 900}), reports_url, "en"
    )
    page.on("response", lambda answer: complaints.append(answer.url) if answer.status >= 400 else None)
    page.get_by_role("navigation", name="Reports").get_by_role("link", name="Sources").click()
    page.get_by_role("rowheader", name="Paid search").get_by_role("link").click()
    page.get_by_role("rowheader", name="cpc").first.get_by_role("link").click()
    page.get_by_role("rowheader", name="windows_msk").get_by_role("link").click()
    expect(page.get_by_role("navigation", name="Chosen sources")).to_contain_text("windows_msk")
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="окна цена"))
    calls = row.locator(".figure a").first
    count = int(calls.inner_text())
    calls.click()
    expect(page).to_have_url(re.compile("/journal"))
    expect(page.locator("main tbody tr")).to_have_count(count)
    page.go_back()
    page.get_by_label("Who has the credit").select_option("linear")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("All visits on the way to an appeal have the same share in it.")).to_be_visible()
    expect(page.get_by_role("navigation", name="Chosen sources")).to_contain_text("windows_msk")
    page.get_by_role("link", name="Yesterday").click()
    expect(page).to_have_url(re.compile("period=yesterday.*model=linear"))
    assert complaints == []


def test_overview_is_whole_without_scripts(reports_url: str, new_visitor: Callable[..., BrowserContext]) -> None:
    context = new_visitor(locale="en-GB", java_script_enabled=False)
    page, _ = signed_in(context, reports_url, "en")
    page.get_by_role("link", name="Channels and missed callers").click()
    expect(page.get_by_role("heading", name="Missed and not called back")).to_be_visible()
    expect(page.get_by_role("rowheader", name="Paid search")).to_be_visible()
