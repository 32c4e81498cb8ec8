"""Clients and their cards in a real browser: both languages, light and dark, wide and narrow; axe finds nothing."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from callrouter.db.connect import open_pool
from callrouter.people import passwords, users
from tests.browser.test_signing_in import LARGEST_PAGE, PASSWORD, findings, open_pages
from tests.client_scene import AGAIN, ANNA, HOSTILE, people_with_a_past

CARD = f"/clients/{ANNA}"
PAGES = (
    "/clients", "/clients?search=nobody", CARD, f"{CARD}?show=visit&show=deal", f"{CARD}?show=chat",
    f"{CARD}/multichannel", f"{CARD}/deals", f"/clients/{AGAIN}/deals", f"{CARD}/merge?search=9",
    f"{CARD}/merge?other={AGAIN}", f"{CARD}/split", f"{CARD}/erase", "/visits/s2", f"/clients/{HOSTILE}",
    f"/clients/{HOSTILE}/split", "/visits/x1",
)  # fmt: skip
WORDS = {
    "ru": ("Войти", "Почта", "Вся история клиента", "ru-RU"),
    "en": ("Sign in", "E-mail", "Whole history", "en-GB"),
}


@pytest.fixture(scope="module")
def cards_url(web_url: str, browser_database: str) -> str:
    """The web, with people who have a past and a manager for each language."""

    async def add() -> None:
        hashed = await passwords.Passwords().hash(PASSWORD)
        pool = await open_pool(browser_database)
        await people_with_a_past(pool)
        async with pool.acquire() as connection:
            for locale in ("ru", "en"):
                await users.add_user(
                    connection, 2, f"cards-{locale}@windows.example", role="manager", locale=locale,
                    password_hash=hashed,
                )  # fmt: skip
        await pool.close()

    with ThreadPoolExecutor() as aside:  # Playwright's event loop runs in this thread
        aside.submit(asyncio.run, add()).result()
    return web_url


def signed_in(
    url: str, new_visitor: Callable[..., BrowserContext], language: str, scheme: str, width: int
) -> tuple[Page, list[str]]:
    button, _, _, locale = WORDS[language]
    context = new_visitor(locale=locale, color_scheme=scheme, viewport={"width": width, "height": 900})
    page, complaints = open_pages(context)
    page.goto(f"{url}/sign-in?next=/clients")
    page.locator("#email").fill(f"cards-{language}@windows.example")
    page.locator("#password").fill(PASSWORD)
    page.get_by_role("button", name=button).click()
    expect(page).to_have_url(re.compile(r"/clients$"))
    return page, complaints


@pytest.mark.parametrize(("language", "scheme", "width"), [("ru", "light", 1280), ("en", "dark", 390)])
def test_all_pages_of_a_client_can_be_used_by_all(
    cards_url: str, new_visitor: Callable[..., BrowserContext], language: str, scheme: str, width: int
) -> None:
    page, complaints = signed_in(cards_url, new_visitor, language, scheme, width)
    sizes: list[int] = []
    page.on("dialog", lambda asked: complaints.append(f"a script ran: {asked.message}"))
    page.on("response", lambda answer: sizes.append(int(answer.headers.get("content-length", 0))))
    for path in PAGES:
        sizes.clear()
        page.goto(f"{cards_url}{path}")
        assert sum(sizes) < LARGEST_PAGE, path
        page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true })")
        assert findings(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} is wider than the screen"
    assert complaints == []


def test_a_person_finds_a_client_reads_his_past_and_joins_two_cards(
    cards_url: str, new_visitor: Callable[..., BrowserContext]
) -> None:
    page, complaints = signed_in(cards_url, new_visitor, "ru", "light", 1280)
    page.get_by_role("searchbox").fill("8 (916) 123-45-67")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Анна Петрова").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Анна Петрова")
    call = page.locator(".item", has_text="Отдел продаж").last
    call.locator("summary").press("Enter")  # by keyboard
    expect(call.get_by_text("Что было в звонке")).to_be_visible()
    expect(call.locator("svg")).to_be_visible()
    page.locator(".chip", has_text="Сделки").click()
    page.get_by_role("button", name="Показать", exact=True).click()
    expect(page.locator(".item")).to_have_count(3)
    expect(page.locator(".n").last).to_have_text("4")
    page.get_by_role("link", name=re.compile("Мультиканальные обращения")).click()
    expect(page.locator(".chain").first).to_be_visible()
    page.goto(f"{cards_url}{CARD}")
    page.get_by_text("Выбрать поля").click()
    page.get_by_label("Всего разговоров").check()
    page.get_by_role("button", name="Показать эти").click()
    expect(page.locator(".general dt", has_text="Всего разговоров")).to_be_visible()
    page.get_by_role("link", name="Объединить с другим…").click()
    page.get_by_role("searchbox").fill("999-00-00")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="А. Петрова").or_(page.locator("th a", has_text="+7 916 999-00-00")).first.click()
    page.get_by_role("button", name="Объединить").click()
    expect(page.get_by_role("status")).to_contain_text("Теперь это один клиент")
    page.get_by_text("С этим объединён 1 клиент").click()
    page.once("dialog", lambda asked: asked.accept())
    page.get_by_role("button", name="Отменить").click()
    expect(page.get_by_role("status")).to_have_text("Их снова двое.")
    with page.expect_download() as export:
        page.get_by_role("link", name="Выгрузить").click()
    assert export.value.suggested_filename == f"client-{ANNA}.jsonl"
    assert complaints == []
