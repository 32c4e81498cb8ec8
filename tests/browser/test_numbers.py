"""Which numbers of a page are replaced, and how they look afterwards."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import FOREIGN, LEASED, SELECT, SHADOW
from tests.browser.shop import OWN, Shop


def digits(text: str | None) -> str:
    return re.sub(r"\D", "", text or "")


def test_a_visitor_sees_his_number_in_text_and_links(shop: Shop, page: Page) -> None:
    page.goto(shop.page(f'<p id="n">Звоните {OWN}!</p><a id="a" href="tel:+74952222222">Позвонить</a>'))
    expect(page.locator("#n")).to_have_text(re.compile(rf"^Звоните {LEASED}!$"))
    expect(page.locator("#a")).to_have_attribute("href", re.compile(r"^tel:\+7495111\d{4}$"))
    assert digits(page.text_content("#n"))[1:] == digits(page.get_attribute("#a", "href"))[1:]


SPELLINGS = {
    "+7 (495) 222-22-22": r"\+7 \(495\) 111-0\d-\d\d",
    "8 495 222 22 22": r"8 495 111 0\d \d\d",
    "8-495-222-22-22": r"8-495-111-0\d-\d\d",
    "8.495.222.22.22": r"8\.495\.111\.0\d\.\d\d",
    "(495) 222-22-22": r"\(495\) 111-0\d-\d\d",
    "+74952222222": r"\+74951110\d\d\d",
    "84952222222": r"84951110\d\d\d",
    "8\u00a0(495)\u2009222\u201322\u201322": "8\u00a0\\(495\\)\u2009111\u20130\\d\u2013\\d\\d",
    "8\u200b495\u200b222\u200b22\u200b22": "8\u200b495\u200b111\u200b0\\d\u200b\\d\\d",
    "8 800 555-35-35": r"8 495 111-0\d-\d\d",
    "8 (800) 555 35 35": r"8 \(495\) 111 0\d \d\d",
    "007 495 2222222": r"007 495 1110\d\d\d",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_number_keeps_the_pages_own_format(shop: Shop, page: Page, spelling: str) -> None:
    page.goto(shop.page(f'<p id="n">Тел. {spelling}, ежедневно</p>'))
    expect(page.locator("#n")).to_have_text(re.compile(rf"^Тел. {SPELLINGS[spelling]}, ежедневно$".replace(" ", r"\s")))


def test_other_numbers_and_longer_ones_stay(shop: Shop, page: Page) -> None:
    others = "8 (495) 222-22-23 · 8 (495) 222-22-221 · 18 495 222-22-2 · Счёт 40817495222222212345 · ИНН 74952222222123"
    page.goto(shop.page(f'<p id="o">{others}</p><p id="n">{OWN}</p>'))
    expect(page.locator("#n")).to_have_text(re.compile(LEASED))
    assert page.text_content("#o") == others


def test_a_number_split_over_elements_is_one_number(shop: Shop, page: Page) -> None:
    page.goto(
        shop.page(
            '<p id="n">Тел.: <small>8 (495)</small> <b>222-<i>22</i>-22</b></p>'
            "<table><tr><td>5</td><td>8 495 2222222</td></tr></table>"
        )
    )
    expect(page.locator("#n")).to_have_text(re.compile(rf"^Тел.: {LEASED}$"))
    assert re.fullmatch(r"8 \(495\)", page.text_content("#n small") or "")
    assert re.fullmatch(r"111-0\d-\d\d", page.text_content("#n b") or "")
    assert re.fullmatch(r"8 495 1110\d{3}", page.text_content("td:last-child") or "")


def test_scripts_inputs_and_what_people_edit_are_left_alone(shop: Shop, page: Page) -> None:
    data = '<script type="application/ld+json" id="j">{"telephone": "+7-495-222-22-22"}</script>'
    fields = f'<input id="i" value="{OWN}"><textarea id="t">{OWN}</textarea><div id="e" contenteditable>{OWN}</div>'
    kept = f'<style id="s">/* {OWN} */</style><p id="k" data-callrouter-skip>{OWN}</p>'
    page.goto(shop.page(f'{data}{fields}{kept}<select id="o"><option>{OWN}</select><p id="n">{OWN}</p>'))
    expect(page.locator("#n")).to_have_text(re.compile(LEASED))
    assert page.text_content("#j") == '{"telephone": "+7-495-222-22-22"}'
    assert page.input_value("#i") == page.input_value("#t") == page.text_content("#e") == OWN
    assert page.text_content("#k") == page.text_content("option") == OWN
    assert OWN in (page.text_content("#s") or "")


def test_links_of_every_kind_are_replaced_with_their_labels(shop: Shop, page: Page) -> None:
    links = (
        f'<a id="a" href="tel:8%20(495)%20222-22-22" title="Звонок на {OWN}" aria-label="Позвонить {OWN}">☎</a>'
        '<a id="b" href="sms:+74952222222?&body=a%26b">sms</a><a id="c" href="https://wa.me/74952222222">wa</a>'
        '<a id="d" href="TEL:84952222222;ext=5">d</a><map><area id="e" href=" tel:+7-495-222-22-22,5"></map>'
    )
    page.goto(shop.page(links))
    expect(page.locator("#a")).to_have_attribute("href", re.compile(r"^tel:8 \(495\) 111-0\d-\d\d$"))
    expect(page.locator("#a")).to_have_attribute("title", re.compile(rf"^Звонок на {LEASED}$"))
    expect(page.locator("#a")).to_have_attribute("aria-label", re.compile(rf"^Позвонить {LEASED}$"))
    expect(page.locator("#b")).to_have_attribute("href", re.compile(r"^sms:\+7495111\d{4}\?&body=a%26b$"))
    expect(page.locator("#d")).to_have_attribute("href", re.compile(r"^TEL:8495111\d{4};ext=5$"))
    expect(page.locator("#e")).to_have_attribute("href", re.compile(r"^ tel:\+7-495-111-0\d-\d\d,5$"))
    assert page.get_attribute("#c", "href") == "https://wa.me/74952222222"


def test_a_number_of_another_country_is_shown_in_the_sites_display_form(shop: Shop, page: Page) -> None:
    page.goto(shop.page('<p id="n">Tel. +49 (0)30 12345678</p><a id="a" href="tel:03012345678">x</a>', site=FOREIGN))
    expect(page.locator("#n")).to_have_text(re.compile(r"^Tel. \+7 495 111-0\d-\d\d$"))
    expect(page.locator("#a")).to_have_attribute("href", re.compile(r"^tel:\+7495111\d{4}$"))


def test_where_a_selector_is_set_only_its_elements_are_replaced(shop: Shop, page: Page) -> None:
    body = (
        '<p class="phone" id="n">т. 8 (812) 333-44-55</p><p id="o">8 (812) 333-44-55</p><p class="phone">доб. 12</p>'
        '<a class="phone" id="a" href="tel:+78123334455">x</a>'
    )
    page.goto(shop.page(body, site=SELECT))
    expect(page.locator("#n")).to_have_text(re.compile(rf"^т. {LEASED}$"))
    expect(page.locator("#a")).to_have_attribute("href", re.compile(r"^tel:\+7495111\d{4}$"))
    assert page.text_content("#o") == "8 (812) 333-44-55"


def test_shadow_roots_are_searched_where_the_site_says_so(shop: Shop, page: Page) -> None:
    body = f"""<shop-header></shop-header><div id="host"></div><script>
      document.querySelector('#host').attachShadow({{mode: 'open'}}).innerHTML = '<p>{OWN}</p>';
      setTimeout(() => customElements.define('shop-header', class extends HTMLElement {{
        constructor() {{ super(); this.attachShadow({{mode: 'open'}}).innerHTML = '<b>{OWN}</b>'; }}
      }}), 300);</script>"""
    page.goto(shop.page(body, site=SHADOW))
    expect(page.locator("#host p")).to_have_text(re.compile(LEASED))
    expect(page.locator("shop-header b")).to_have_text(re.compile(LEASED))
    page.evaluate("document.querySelector('#host').shadowRoot.querySelector('p').textContent = '8 495 222-22-22'")
    expect(page.locator("#host p")).to_have_text(re.compile(r"8 495 111-0\d-\d\d"))


def test_the_original_comes_back_when_the_page_asks(shop: Shop, page: Page) -> None:
    page.goto(shop.page(f'<p id="n">{OWN}</p><a id="a" href="tel:+74952222222">x</a>'))
    expect(page.locator("#n")).to_have_text(re.compile(LEASED))
    leased = page.text_content("#n")
    page.evaluate("callrouter.restore()")
    assert page.text_content("#n") == OWN
    assert page.get_attribute("#a", "href") == "tel:+74952222222"
    page.evaluate("document.querySelector('#n').append(' или ', '8 (495) 222-22-22')")
    assert page.text_content("#n") == f"{OWN} или {OWN}"
    page.evaluate("callrouter.replace()")
    expect(page.locator("#n")).to_have_text(f"{leased} или {leased}")


def test_a_strict_content_security_policy_is_enough(shop: Shop, page: Page) -> None:
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.goto(shop.page(f'<p id="n">{OWN}</p>', headers={"content-security-policy": shop.policy}))
    expect(page.locator("#n")).to_have_text(re.compile(LEASED))
    assert [each for each in problems if "favicon" not in each and "404" not in each] == []


def test_one_global_name_and_no_cookie(shop: Shop, page: Page) -> None:
    names = "Object.keys(window).sort().join()"
    page.goto(shop.page(f"<p>{OWN}</p>", script=False))
    before = page.evaluate(names)
    page.goto(shop.page(f'<p id="n">{OWN}</p>'))
    expect(page.locator("#n")).to_have_text(re.compile(LEASED))
    assert set(page.evaluate(names).split(",")) - set(before.split(",")) == {"callrouter"}
    assert page.context.cookies() == []
