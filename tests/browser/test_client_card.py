"""Clients and their cards in a real browser: both languages, light and dark, wide and narrow; axe finds nothing."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from callrouter.db.connect import open_pool
from tests.browser.office import Office, TakeSeat, aside
from tests.client_scene import AGAIN, ANNA, HOSTILE, people_with_a_past

CARD = f"/clients/{ANNA}"
PAGES = (
    "/clients", "/clients?search=nobody", CARD, f"{CARD}?show=visit&show=deal", f"{CARD}?show=chat",
    f"{CARD}/multichannel", f"{CARD}/deals", f"/clients/{AGAIN}/deals", f"{CARD}/merge?search=9",
    f"{CARD}/merge?other={AGAIN}", f"{CARD}/split", f"{CARD}/erase", "/visits/s2", f"/clients/{HOSTILE}",
    f"/clients/{HOSTILE}/split", "/visits/x1",
)  # fmt: skip


@pytest.fixture(scope="module")
def _people(office: Office) -> None:
    """With a past, beside the office's."""

    async def add() -> None:
        pool = await open_pool(office.database)
        if not await pool.fetchval("SELECT true FROM clients WHERE id = $1", ANNA):
            await people_with_a_past(pool)
        await pool.close()

    aside(add)


@pytest.mark.usefixtures("_people")
def test_all_pages_of_a_client_can_be_used_by_all(take_seat: TakeSeat) -> None:
    for seat in take_seat.each_way("manager"):
        seat.page.on("dialog", lambda asked: pytest.fail(f"a script ran: {asked.message}"))
        for path in PAGES:
            page = seat.open(path)
            page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true })")
            seat.suits_everybody()


@pytest.mark.usefixtures("_people")
def test_a_person_finds_a_client_reads_his_past_and_joins_two_cards(take_seat: TakeSeat) -> None:
    seat = take_seat("manager", "ru")
    page = seat.open("/clients")
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
    seat.open(CARD)
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
    assert seat.complaints == []
