"""Forms that a page marks are told, without what is nobody's business."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import LEASED
from tests.browser.shop import OWN, Shop
from tests.browser.test_living_pages import calls, until

FORM = f"""<p id="n">{OWN}</p><form id="f" data-callrouter-form="order" action="javascript:void 0">
  <input name="name" value="Анна"><input name="phone" type="tel" value="8 916 123-45-67">
  <input name="pass" value="secret"><input name="p" type="password" value="secret">
  <input name="card_number" value="4111111111111111"><input name="c" autocomplete="cc-number" value="4111111111111111">
  <input name="h" type="hidden" value="secret"><input name="agree" type="checkbox" value="yes" checked>
  <input name="spam" type="checkbox" value="yes"><select name="size"><option>XL</select>
  <button name="b" value="1">ok</button>
</form><form id="g" action="javascript:void 0"><input name="phone" value="8 916 000-00-00"><button>ok</button></form>"""


def test_a_marked_form_is_told_without_secrets(shop: Shop, page: Page) -> None:
    page.goto(shop.page(FORM))
    expect(page.locator("#n")).to_have_text(re.compile(LEASED))
    told = calls(page, "form")
    page.click("#g button")
    with page.expect_response("**/form") as answer:
        page.click("#f button")
    assert answer.value.status == 200
    assert [each["form"] for each in told] == ["order"]
    fields = told[0]["fields"]
    assert isinstance(fields, list)
    assert {each["name"]: each["value"] for each in fields if each["type"] != "submit"} == {
        "name": "Анна", "phone": "8 916 123-45-67", "agree": "yes", "size": "XL",
    }  # fmt: skip
    assert "secret" not in str(told)
    assert "4111" not in str(told)


def test_a_form_is_told_by_the_page_itself(shop: Shop, page: Page) -> None:
    page.goto(shop.page(f'<p id="n">{OWN}</p>'))
    expect(page.locator("#n")).to_have_text(re.compile(LEASED))
    told = calls(page, "form")
    answer = page.evaluate("callrouter.form({form: 'chat', name: 'Олег', phone: '+7 916 111-22-33'})")
    assert re.fullmatch(r"[0-9a-f-]{36}", answer["appeal"])
    until(page, lambda: len(told) == 1)
    assert told[0]["token"]
    assert page.evaluate("callrouter.form({}).catch((status) => status)") == 422
