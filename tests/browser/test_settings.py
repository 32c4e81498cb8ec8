"""Settings pages in a real browser: a site is set up and seen, pools and static numbers are used, in both languages."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from callrouter.db.connect import connect
from callrouter.people import passwords, users
from tests.browser.conftest import FULL
from tests.browser.shop import Shop
from tests.browser.test_signing_in import PASSWORD, findings, open_pages

SITE = f"/settings/sites/{FULL}"
PAGES = ("/settings/sites", SITE, "/settings/static", "/settings/pools", "/settings/pools/1",
         "/settings/numbers/74951110000")  # fmt: skip
FORGET = "DELETE FROM static_bindings WHERE number = '74957770001'; DELETE FROM numbers WHERE number = '74957770001'"


@pytest.fixture(scope="module")
def operators_url(web_url: str, browser_database: str) -> Iterator[str]:
    """The web with one of the operator's people for each language."""

    async def add() -> None:
        hashed = await passwords.Passwords().hash(PASSWORD)
        connection = await connect(browser_database)
        for locale in ("ru", "en"):
            await users.add_user(
                connection, 1, f"{locale}@operator.example", role="operator", locale=locale, password_hash=hashed,
            )  # fmt: skip
        await connection.close()

    async def forget() -> None:
        connection = await connect(browser_database)
        await connection.execute(FORGET)
        await connection.close()

    with ThreadPoolExecutor() as aside:  # Playwright's event loop runs in this thread
        aside.submit(asyncio.run, add()).result()
        yield web_url
        aside.submit(asyncio.run, forget()).result()


@pytest.fixture
def signed_in(
    operators_url: str, new_visitor: Callable[..., BrowserContext]
) -> Callable[..., tuple[Page, list[str]]]:  # fmt: skip
    def sign_in(language: str, **options: object) -> tuple[Page, list[str]]:
        page, complaints = open_pages(new_visitor(locale={"ru": "ru-RU", "en": "en-GB"}[language], **options))
        page.goto(f"{operators_url}/sign-in?next=/settings/sites")
        page.locator("#email").fill(f"{language}@operator.example")
        page.locator("#password").fill(PASSWORD)
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_have_text({"ru": "Сайты", "en": "Sites"}[language])
        return page, complaints

    return sign_in


@pytest.mark.parametrize(("language", "scheme", "width"), [("ru", "dark", 390), ("en", "light", 1280)])
def test_settings_pages_can_be_used_by_all(
    operators_url: str, signed_in: Callable[..., tuple[Page, list[str]]], language: str, scheme: str, width: int
) -> None:
    page, complaints = signed_in(language, color_scheme=scheme, viewport={"width": width, "height": 800})
    for path in PAGES:
        page.goto(f"{operators_url}{path}")
        for panel in page.locator("main details").all():
            panel.evaluate("panel => { panel.open = true }")
        assert findings(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} is wider than the screen"
    assert complaints == []


def test_a_site_is_pasted_seen_and_changed(
    operators_url: str, signed_in: Callable[..., tuple[Page, list[str]]], shop: Shop, visitor: BrowserContext
) -> None:
    page, complaints = signed_in("en", viewport={"width": 1280, "height": 900})
    page.goto(f"{operators_url}{SITE}")
    expect(page.locator("#tag")).to_have_text(f'<script async src="{operators_url}/w/{FULL}.js"></script>')
    visitor.new_page().goto(shop.page("<p>Звоните 8 (495) 222-22-22</p>"))
    expect(page.locator("#seen")).to_contain_text("works")
    expect(page.locator("#seen")).to_contain_text("shop.localhost")
    page.locator("#try-text").fill("Call +7 495 222 22 22 now")
    page.get_by_role("button", name="Show what would be replaced").click()
    expect(page.locator(".tried ins")).to_have_text("+7 495 000 00 00")
    page.locator("#hold_minutes").fill("soon")
    page.locator("#display").fill("8 ### ###-##-##")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#faults")).to_be_focused()
    page.locator("#faults a").click()
    expect(page.locator("#hold_minutes")).to_be_focused()
    expect(page.locator("#hold_minutes")).to_have_value("soon")
    expect(page.locator("#display")).to_have_value("8 ### ###-##-##")
    page.locator("#hold_minutes").fill("30")
    page.locator("#display").fill("8 (###) ###-##-##")
    page.locator("#campaigns, #rule-0-campaigns").fill("spring*, autumn")
    page.locator("#rule-0-route").fill("leads")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").first).to_have_text("Saved.")
    expect(page.locator("#rule-0-campaigns")).to_have_value("spring*, autumn")
    page.locator("#rule-0-route").fill("")
    page.locator("#rule-0-campaigns").fill("")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#rule-0-campaigns")).to_have_value("")
    assert [said for said in complaints if "422" not in said] == []


def test_a_pools_number_is_shown_with_its_holder_and_a_static_number_is_bound_and_ended(
    operators_url: str, signed_in: Callable[..., tuple[Page, list[str]]], shop: Shop, visitor: BrowserContext
) -> None:
    shown = visitor.new_page()
    shown.goto(shop.page("<p>Звоните 8 (495) 222-22-22</p>"))
    expect(shown.locator("body")).to_contain_text(re.compile(r"8 \(495\) 111-0\d-\d\d"))
    page, complaints = signed_in("ru", viewport={"width": 1280, "height": 900})
    page.goto(f"{operators_url}/settings/pools/1")
    expect(page.get_by_role("row").filter(has_text="в аренде").first).to_contain_text("full")
    expect(page.locator(".tiles")).to_contain_text("Свободны")
    page.goto(f"{operators_url}/settings/static")
    page.locator("details.panel > summary").click()
    page.locator("#number").fill("8 495 777-00-01")
    page.locator("#channel").fill("offline")
    page.locator("#source").fill("Газета <b>")
    page.get_by_role("button", name="Привязать номер").click()
    row = page.get_by_role("row").filter(has_text="777-00-01")
    expect(row).to_contain_text("Газета <b>")
    page.once("dialog", lambda asked: asked.accept())
    row.get_by_role("button").click()
    expect(page.get_by_text("1 завершённая привязка")).to_be_visible()
    assert complaints == []
