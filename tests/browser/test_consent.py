"""Who is known, who is not, and what stays in the browser."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.browser.conftest import ASK, LEASED, REFUSED
from tests.browser.shop import OWN, Shop
from tests.browser.test_living_pages import calls, until

Visitors = Callable[..., BrowserContext]
REPLACED = re.compile(LEASED)
CHANNEL = "8 (495) 444-00-01"
STORED = "JSON.stringify([localStorage, sessionStorage, document.cookie])"
NOTHING = '[{},{},""]'
IDENTIFIERS = {"visitor", "token", "ga_client_id", "ga_session_id", "ym_client_id", "ym_counter"}


def test_before_consent_a_channels_number_is_shown_and_nobody_is_known(shop: Shop, page: Page) -> None:
    told = calls(page, "visit") + calls(page, "alive")
    visits = calls(page, "visit")
    page.goto(shop.page(f'<p id="n">{OWN}</p>', site=ASK) + "?utm_source=yandex&utm_medium=cpc")
    expect(page.locator("#n")).to_have_text(CHANNEL)
    page.mouse.move(9, 9)
    page.evaluate("history.pushState({}, '', '/two')")
    page.wait_for_timeout(400)
    assert page.evaluate(STORED) == NOTHING
    assert not IDENTIFIERS & set(visits[0])
    assert (visits[0]["request"], visits[0]["consent"], len(visits), told) == ("", False, 1, [])


def test_before_consent_other_channels_show_the_original(shop: Shop, page: Page) -> None:
    with page.expect_response("**/visit") as answer:
        page.goto(shop.page(f'<p id="n">{OWN}</p>', site=ASK))
    assert answer.value.json() | {"hold_s": 0} == {
        "number": None, "display": "", "token": "", "hold_s": 0, "session": "", "visitor": "", "leased": False,
        "retry_s": None,
    }  # fmt: skip
    assert page.text_content("#n") == OWN


def test_consent_given_later_in_the_visit_is_honoured_from_then_on(shop: Shop, page: Page) -> None:
    page.goto(shop.page(f'<p id="n">{OWN}</p>', site=ASK) + "?utm_source=yandex&utm_medium=cpc")
    expect(page.locator("#n")).to_have_text(CHANNEL)
    page.evaluate("callrouter.consent(true)")
    expect(page.locator("#n")).to_have_text(REPLACED)
    assert "visitor" in page.evaluate("localStorage['callrouter.2']")
    number = page.text_content("#n")
    page.goto(shop.page(f'<p id="n">{OWN}</p>', site=ASK))
    expect(page.locator("#n")).to_have_text(number or "")


def test_consent_taken_back_forgets_the_visitor(shop: Shop, page: Page) -> None:
    page.goto(shop.page(f'<p id="n">{OWN}</p>'))
    expect(page.locator("#n")).to_have_text(REPLACED)
    page.evaluate("callrouter.consent(false)")
    assert page.text_content("#n") == OWN
    assert page.evaluate(STORED) == '[{"callrouter.1":"0"},{},""]'
    told = calls(page, "visit")
    gone = calls(page, "alive")
    page.goto(shop.page(f'<p id="n">{OWN}</p>'))
    page.mouse.move(9, 9)
    page.wait_for_timeout(500)
    assert (page.text_content("#n"), told, gone) == (OWN, [], [])


def test_what_is_under_way_when_the_visitor_refuses_leaves_nothing_behind(shop: Shop, page: Page) -> None:
    told, held = calls(page, "visit"), list[Route]()

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/visit", hold)
    page.goto(shop.page(f'<p id="n">{OWN}</p>'))
    until(page, lambda: len(held) == 1)
    page.evaluate("callrouter.consent(false)")
    held[0].continue_()
    page.wait_for_timeout(1000)
    assert (page.text_content("#n"), len(told), page.evaluate("localStorage['callrouter.1']")) == (OWN, 1, "0")
    page.evaluate("callrouter.consent(true)")
    until(page, lambda: len(held) == 2)
    page.evaluate("callrouter.consent(undefined)")
    held[1].continue_()
    page.wait_for_timeout(1000)
    assert (page.text_content("#n"), len(told), page.evaluate("localStorage['callrouter.1']")) == (OWN, 2, "0")


def test_where_the_site_refuses_by_itself_nothing_is_sent_until_consent(shop: Shop, page: Page) -> None:
    told = calls(page, "visit")
    page.goto(shop.page(f'<p id="n">{OWN}</p>', site=REFUSED))
    page.mouse.move(9, 9)
    page.wait_for_timeout(500)
    assert (page.text_content("#n"), told, page.evaluate(STORED)) == (OWN, [], NOTHING)
    page.evaluate("callrouter.consent(true)")
    expect(page.locator("#n")).to_have_text(REPLACED)


def test_consent_in_one_tab_counts_in_the_others(shop: Shop, visitor: BrowserContext) -> None:
    url = shop.page(f'<p id="n">{OWN}</p>', site=ASK)
    one, two = visitor.new_page(), visitor.new_page()
    for tab in (one, two):
        tab.goto(url)
    two.evaluate("callrouter.consent(true)")
    expect(two.locator("#n")).to_have_text(REPLACED)
    one.bring_to_front()
    expect(one.locator("#n")).to_have_text(two.text_content("#n") or "")
    one.evaluate("callrouter.consent(false)")
    expect(two.locator("#n")).to_have_text(OWN)


def test_ids_of_analytics_are_told_with_consent(shop: Shop, page: Page) -> None:
    cookies = "_ga=GA1.1.123456789.1700000000; _ga_ABC123=GS2.1.s1746825440$o5$g0; _ym_uid=1700000000123456789"
    set_them = "".join(f"document.cookie = '{each}';" for each in cookies.split("; "))
    told = calls(page, "visit")
    page.goto(shop.page(f'<script>{set_them} window.yaCounter4242 = {{}}</script><p id="n">{OWN}</p>'))
    until(page, lambda: len(told) > 0)
    assert {name: told[0][name] for name in IDENTIFIERS if "_" in name} == {
        "ga_client_id": "123456789.1700000000", "ga_session_id": "1746825440",
        "ym_client_id": "1700000000123456789", "ym_counter": "4242",
    }  # fmt: skip
