"""Numbers are leased to people who look at them, kept while they do, and to nobody else."""

from __future__ import annotations

import functools
import re
import urllib.request
from collections.abc import Callable

from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import CHROME, LEASED, SMALL
from tests.browser.shop import OWN, Shop
from tests.browser.test_living_pages import calls, until

Visitors = Callable[..., BrowserContext]
REPLACED = re.compile(LEASED)
FAR = '<div style="height: 4000px">Окна</div>'
HIDE = """(hidden) => {
  Object.defineProperty(document, 'hidden', {get: () => hidden, configurable: true});
  document.dispatchEvent(new Event('visibilitychange'));
}"""


def counted(shop: Shop, outcome: str, what: str = "visits") -> float:
    """What the web counts as callrouter_web_visits_total with this outcome."""
    with urllib.request.urlopen(f"{shop.web}/metrics") as answer:
        text = answer.read().decode()
    return sum(map(float, re.findall(rf'callrouter_web_{what}_total{{outcome="{outcome}"}} (\S+)', text)))


def at_least(shop: Shop, bots: float) -> bool:
    return counted(shop, "bot") >= bots


def test_no_number_is_leased_before_one_is_in_sight(shop: Shop, page: Page) -> None:
    spared = counted(shop, "spared")
    told = calls(page, "visit")
    page.goto(shop.page(f'{FAR}<p id="n">{OWN}</p>'))
    until(page, lambda: counted(shop, "spared") == spared + 1)
    page.wait_for_timeout(300)
    assert page.text_content("#n") == OWN
    assert [each["human"] for each in told] == [False]
    page.locator("#n").scroll_into_view_if_needed()
    expect(page.locator("#n")).to_have_text(REPLACED)
    assert [(each["human"], each["again"]) for each in told] == [(False, False), (True, True)]


def test_a_hand_on_the_page_is_a_human_sign_and_a_scripts_click_is_none(shop: Shop, page: Page) -> None:
    page.goto(shop.page(f'{FAR}<p id="n">{OWN}</p>'))
    page.evaluate("document.body.click(); dispatchEvent(new PointerEvent('pointerdown'))")
    page.wait_for_timeout(500)
    assert page.text_content("#n") == OWN
    page.mouse.move(40, 40)
    expect(page.locator("#n")).to_have_text(REPLACED)


def test_a_page_without_the_number_needs_none(shop: Shop, page: Page) -> None:
    told = calls(page, "visit")
    page.goto(shop.page("<p>Отзывы</p>"))
    page.mouse.move(40, 40)
    page.keyboard.press("Space")
    until(page, lambda: len(told) == 1)
    page.wait_for_timeout(300)
    assert [each["human"] for each in told] == [False]


def test_a_hidden_page_waits_until_it_is_looked_at(shop: Shop, page: Page) -> None:
    page.add_init_script(f"({HIDE})(true)")
    told = calls(page, "visit")
    page.goto(shop.page(f'<p id="n">{OWN}</p>'))
    until(page, lambda: len(told) == 1)
    page.wait_for_timeout(300)
    assert page.text_content("#n") == OWN
    page.evaluate(HIDE, False)
    expect(page.locator("#n")).to_have_text(REPLACED)


def test_automation_and_bots_get_none(shop: Shop, new_visitor: Visitors) -> None:
    bots = counted(shop, "bot")
    robot = new_visitor().new_page()
    robot.add_init_script("Object.defineProperty(Navigator.prototype, 'webdriver', {get: () => true})")
    crawler = new_visitor(user_agent=CHROME + " (compatible; YandexBot/3.0)").new_page()
    for number, page in enumerate((robot, crawler), 1):
        page.goto(shop.page(f'<p id="n">{OWN}</p>'))
        page.mouse.move(40, 40)
        until(page, functools.partial(at_least, shop, bots + number))
        page.wait_for_timeout(200)
        assert page.text_content("#n") == OWN


def test_signs_of_life_come_from_visible_pages_before_a_quarter_of_the_hold_is_gone(shop: Shop, page: Page) -> None:
    page.clock.install()
    page.goto(shop.page(f'<p id="n">{OWN}</p>'))
    expect(page.locator("#n")).to_have_text(REPLACED)
    told = calls(page, "alive")
    with page.expect_response("**/alive"):
        page.clock.run_for("07:30")  # a quarter of half an hour
    until(page, lambda: bool(page.evaluate("JSON.parse(localStorage['callrouter.1']).at > Date.now() - 60000")))
    page.evaluate(HIDE, True)
    page.clock.run_for("20:00")
    page.wait_for_timeout(200)
    assert len(told) == 1
    page.evaluate(HIDE, False)
    page.clock.run_for(1000)
    until(page, lambda: len(told) == 2)
    expect(page.locator("#n")).to_have_text(REPLACED)


def test_a_number_whose_hold_is_over_is_not_shown_a_moment_longer(shop: Shop, page: Page) -> None:
    page.clock.install()
    page.goto(shop.page(f'<p id="n">{OWN}</p>'))
    expect(page.locator("#n")).to_have_text(REPLACED)
    page.evaluate(HIDE, True)
    page.clock.fast_forward("31:00")
    assert page.text_content("#n") == OWN
    page.evaluate(HIDE, False)
    page.clock.run_for(1000)
    expect(page.locator("#n")).to_have_text(REPLACED)


def test_leaving_the_page_is_told(shop: Shop, page: Page) -> None:
    page.goto(shop.page(f'<p id="n">{OWN}</p>'))
    expect(page.locator("#n")).to_have_text(REPLACED)
    told, live = calls(page, "alive"), counted(shop, "live", "alive")
    page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide'))")
    until(page, lambda: len(told) == 1)
    assert told[0]["closed"]
    assert told[0]["request"]
    page.goto("about:blank")  # the browser's own, which is not shown to tests
    until(page, lambda: counted(shop, "live", "alive") == live + 2)


def test_a_visit_shorter_than_a_moment_is_told_when_the_page_is_left(shop: Shop, page: Page) -> None:
    visits = counted(shop, r"\w+")
    page.goto(shop.page(f'{FAR}<p id="n">{OWN}</p>'), wait_until="load")
    page.goto("about:blank")
    until(page, lambda: counted(shop, r"\w+") == visits + 1)


def test_an_empty_pool_shows_the_fallback_number(shop: Shop, new_visitor: Visitors) -> None:
    url = shop.page(f'<p id="n">{OWN}</p>', site=SMALL)
    first, second = new_visitor().new_page(), new_visitor().new_page()
    first.goto(url)
    expect(first.locator("#n")).to_have_text("8 (495) 333-00-01")
    second.goto(url)
    expect(second.locator("#n")).to_have_text("8 (495) 222-22-99")
