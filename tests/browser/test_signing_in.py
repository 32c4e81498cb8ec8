"""A person signs in with a real browser, in both languages, by keyboard, in dark and light; axe finds nothing."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from callrouter.people.model import Locale
from tests.browser.office import PASSWORD, Scheme, TakeSeat, email_of
from tests.openid_provider import Provider

WORDS = {
    "ru": ("Войти", "Неверный адрес почты или пароль.", "Пользователи", "Выйти", "Вы вышли."),
    "en": ("Sign in", "E-mail or password is wrong.", "Users", "Sign out", "You are signed out."),
}
PAGES = ("/own", "/own/password", "/settings/account", "/settings/users", "/settings/tokens", "/settings/record")


@pytest.mark.parametrize(("language", "scheme", "width"), [("ru", "dark", 390), ("en", "light", 1280)])
def test_a_person_signs_in_by_keyboard_and_sees_pages_that_all_can_use(
    take_seat: TakeSeat, language: Locale, scheme: Scheme, width: int
) -> None:
    sign_in, wrong, title, sign_out, signed_out = WORDS[language]
    seat = take_seat.stranger(language, width=width, scheme=scheme)
    page = seat.open("/settings/users")
    expect(page.get_by_role("button", name=sign_in)).to_be_visible()
    assert page.locator("html").get_attribute("lang") == language
    seat.suits_everybody()
    page.keyboard.type(email_of("admin", language))
    page.keyboard.press("Tab")
    page.keyboard.type("wrong password")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text(wrong)
    expect(page.locator("#password")).to_be_focused()
    assert [said for said in seat.complaints if "422" not in said] == []
    seat.complaints.clear()
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=title, level=1)).to_be_visible()
    for path in PAGES:
        seat.open(path)
        seat.suits_everybody()
    if width < 800:
        page.get_by_text("Меню", exact=True).click()
    page.get_by_role("button", name=sign_out, exact=True).first.click()
    expect(page.get_by_role("status")).to_have_text(signed_out)
    seat.open("/own")
    expect(page).to_have_url(re.compile(r"/sign-in\?next=/own$"))
    assert seat.complaints == []


def test_a_person_signs_in_at_the_provider_and_comes_back_to_the_page_asked_for(
    take_seat: TakeSeat, openid_provider: Provider
) -> None:
    openid_provider.claims = {"sub": "7", "email": email_of("admin", "ru"), "email_verified": True}
    seat = take_seat.stranger("ru", width=390)
    page = seat.open("/settings/users")
    page.get_by_role("link", name="Войти через Corp ID").click()
    expect(page).to_have_title("Provider")
    page.go_back()
    seat.suits_everybody()
    page.get_by_role("link", name="Войти через Corp ID").click()
    page.get_by_role("link", name="It is me").click()
    expect(page.get_by_role("heading", name="Пользователи", level=1)).to_be_visible()
    expect(page).to_have_url(re.compile("/settings/users$"))
    seat.open("/own")
    expect(page.locator("main")).to_contain_text(email_of("admin", "ru"))
    openid_provider.claims = {"sub": "8", "email": "nobody@windows.example", "email_verified": True}
    other = take_seat.stranger("ru", scheme="dark")
    other.open("/sign-in/openid").get_by_role("link", name="It is me").click()
    expect(other.page.get_by_role("alert")).to_contain_text("Corp ID вас знает")
    other.suits_everybody()
    assert openid_provider.faults == []


def test_a_made_token_is_shown_once_and_revoked_after_asking(take_seat: TakeSeat) -> None:
    seat = take_seat("admin", "en")
    page = seat.open("/settings/tokens")
    page.get_by_label("What it is for").fill("CRM <b>")
    page.get_by_label("appeals:read").check()
    page.get_by_role("button", name="Make the token").click()
    expect(page.locator("#token")).to_have_text(re.compile(r"^crt_[\w-]{43}$"))
    seat.suits_everybody()
    page.get_by_role("link", name="All tokens").click()
    expect(page.get_by_role("rowheader")).to_contain_text("CRM <b>")
    assert "crt_" not in page.locator("table").inner_text()
    page.once("dialog", lambda asked: asked.dismiss())
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("rowheader")).to_contain_text("CRM <b>")
    page.once("dialog", lambda asked: asked.accept())
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("status")).to_be_visible()
    expect(page.locator("table")).to_contain_text("revoked")
    assert seat.complaints == []
