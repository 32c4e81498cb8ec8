"""The day of somebody who works in the journal, in a real browser and both languages: by keys, live, in place."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from callrouter.appeals.row import COLUMNS, AppealRow
from callrouter.db.connect import Connection
from callrouter.journal.news import RINGING, CallNews, encode_call
from callrouter.people.model import Locale
from callrouter.web.cookies import SESSION
from tests.browser.office import Office, Scheme, Seat, TakeSeat, email_of
from tests.integration.web.journal import an_appeal

ACCOUNT, SITE = 2, 1
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
WORDS = {
    "ru": ("Все обращения", "Теги и комментарий", "Сохранить", "новое обращение"),
    "en": ("All appeals", "Tags and comment", "Save", "new appeal"),
}
NUMBERS = {"ru": 910_000, "en": 920_000}
"""Of this module's appeals, which stand beside those of others."""


class Desk:
    """Somebody at the journal."""

    def __init__(self, seat: Seat, language: str) -> None:
        self.seat, self.page = seat, seat.page
        self.title, self.notes, self.save, self.one_new = WORDS[language]
        self.number = NUMBERS[language]

    def told(self, state: Any, **more: Any) -> None:
        call = CallNews(state=state, account=ACCOUNT, call=UUID(int=self.number), at=datetime.now(UTC), **more)

        async def ring(connection: Connection) -> None:
            await connection.execute("SELECT pg_notify($1, $2)", RINGING, encode_call(call))

        self.seat.office.run(ring)

    def published(self, number: int, **more: Any) -> Locator:
        """An appeal that ended just now; where its row is."""
        row = an_appeal(number, ACCOUNT, at=datetime.now(UTC), client_id=None, **more)
        publish(self.seat.office, row)
        return self.page.locator(f"#a-{row.id}")


def publish(office: Office, row: AppealRow) -> None:
    """As the publisher does."""

    async def written(connection: Connection) -> None:
        await connection.copy_records_to_table("appeals", columns=COLUMNS, records=[msgspec.structs.astuple(row)])
        notice = json.dumps({"account": ACCOUNT, "ids": [str(row.id)]})
        await connection.execute("SELECT pg_notify('callrouter_appeals', $1)", notice)

    office.run(written)


@pytest.mark.parametrize("how", [("ru", "light", 1360), ("en", "dark", 390)], ids=["ru", "en"])
def test_the_day_of_somebody_who_works_in_the_journal(
    take_seat: TakeSeat, how: tuple[Locale, Scheme, int]
) -> None:  # fmt: skip
    language, scheme, width = how
    seat = take_seat("manager", language, width=width, scheme=scheme)
    desk = Desk(seat, language)
    texts = dict.fromkeys(("person", "source", "campaign", "keyword", "title", "location", "employee"), HOSTILE)
    desk.published(desk.number, **texts)
    opens_light(desk)
    sees_who_calls(desk)
    first, later = sees_new_appeals(desk)
    writes_by_keys(desk, first)
    finds_and_opens(desk, later)
    hostile, usual = (an_appeal(number, ACCOUNT).id for number in (desk.number, desk.number + 1))
    for path in (f"/appeals/{hostile}", f"/appeals/{usual}", f"/appeals/{usual}/note", "/journal/views"):
        seat.open(path)
        seat.suits_everybody()


def opens_light(desk: Desk) -> None:
    def is_there(page: Page) -> None:
        expect(page.get_by_role("heading", name=desk.title, level=1)).to_be_visible()
        expect(page.locator("#total")).to_have_text(re.compile(r"\d"))

    desk.seat.open_swiftly("/journal?view=all", is_there)
    desk.seat.suits_everybody()


def rows_of(page: Page) -> int:
    return page.locator(".journal tbody tr[id]").count()


def sees_who_calls(desk: Desk) -> None:
    page = desk.page
    desk.told("ringing", site=SITE, customer="79160000001", called="74952232725", source=HOSTILE, channel="paid_search",
              campaign="summer", method="holder")  # fmt: skip
    card = page.locator("#calls-now .call")
    for text in ("+7 916 000-00-01", "<script>alert(1)</script>"):
        expect(card).to_contain_text(text)
    page.reload()
    expect(card).to_contain_text("summer")  # it rings still
    desk.seat.suits_everybody()
    place = page.locator(".journal").bounding_box()
    desk.told("ended")
    expect(card).to_have_count(0)
    assert page.locator(".journal").bounding_box() == place, "nothing jumps"


def sees_new_appeals(desk: Desk) -> tuple[Locator, Locator]:
    page, before = desk.page, rows_of(desk.page)
    first = desk.published(desk.number + 1, person="Новый клиент")
    expect(first).to_contain_text("Новый клиент")
    assert rows_of(page) == before + 1
    page.mouse.move(180, 500)
    page.mouse.wheel(0, 1500)
    expect(page.get_by_role("heading", level=1)).not_to_be_in_viewport()
    later = desk.published(desk.number + 2, person=f"Особый{desk.number}")
    expect(page.locator("#news")).to_contain_text(desk.one_new)
    assert later.count() == 0, "whoever reads keeps his place"
    page.locator("#news").click()
    expect(later).to_be_visible()
    return first, later


def writes_by_keys(desk: Desk, row: Locator) -> None:
    page = desk.page
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(row.locator(".open")).to_be_focused()
    page.keyboard.press("e")
    dialog = page.get_by_role("dialog", name=desk.notes)
    expect(dialog).to_be_visible()
    desk.seat.suits_everybody()
    page.keyboard.type("важно, x")
    dialog.locator("textarea").fill("Просил счёт <b>")
    dialog.get_by_role("button", name=desk.save).click()
    expect(dialog).to_be_hidden()
    expect(row).to_contain_text("Просил счёт <b>")
    row.locator(".why").click()
    expect(row.locator(".popover")).to_be_visible()
    page.keyboard.press("Escape")
    expect(row.locator(".popover")).to_be_hidden()


def finds_and_opens(desk: Desk, row: Locator) -> None:
    page = desk.page
    page.locator("#q").fill(f"особый{desk.number}")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/journal\?view=all&q="))
    expect(page.locator(".journal tbody tr[id]")).to_have_count(1)
    page.locator(".chips a").click()
    expect(page).to_have_url(re.compile(r"/journal\?view=all$"))
    newest = row.get_attribute("id")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(rf"/appeals/{str(newest).removeprefix('a-')}$"))


def test_a_recording_that_is_not_here_leads_to_the_page_that_says_where_it_is(take_seat: TakeSeat) -> None:
    page = take_seat("manager", "en").open("/journal?view=all&kind=call&status=answered")
    page.locator("a.heard").first.click()
    expect(page).to_have_url(re.compile(r"/appeals/[0-9a-f-]{36}#recording$"))


def test_without_script_filters_views_and_notes_work_all_the_same(
    office: Office, new_visitor: Callable[..., BrowserContext]
) -> None:
    context = new_visitor(locale="en-GB", java_script_enabled=False, viewport={"width": 1280, "height": 900})
    secret = office.session_of(email_of("manager", "en"))
    context.add_cookies([{"name": SESSION, "value": secret, "url": office.url, "httpOnly": True}])
    page = context.new_page()
    page.goto(f"{office.url}/journal")
    page.locator(".bar summary", has_text="Status").click()
    page.get_by_role("checkbox", name="Lost").check()
    page.get_by_role("button", name="Show").first.click()
    expect(page).to_have_url(re.compile(r"status=lost"))
    expect(page.locator(".chips")).to_be_visible()
    assert page.locator(".journal tbody tr[id] .state.bad").count() == rows_of(page) > 0
    page.locator("summary", has_text="Save view").click()
    page.get_by_label("Name of a new view").fill("Lost ones, without script")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", name="Lost ones, without script", level=1)).to_be_visible()
    page.locator(".journal tbody .open").first.click()
    page.locator("#note-comment").fill("Called back")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_have_text("Saved.")
    expect(page.locator("#note-comment")).to_have_value("Called back")
