"""Settings pages in a real browser: a site is set up and seen, pools and static numbers are used, in both languages."""

from __future__ import annotations

import json
import re
from urllib.request import Request, urlopen

from playwright.sync_api import expect

from callrouter.db.connect import Connection
from tests.browser.conftest import CHROME
from tests.browser.office import Office, TakeSeat

SITE = "/settings/sites/1"
PAGES = ("/settings/sites", SITE, "/settings/static", "/settings/pools", "/settings/pools/1",
         "/settings/numbers/74951110000")  # fmt: skip


def visited(office: Office, site: int, page: str) -> str:
    """A page of the site tells of a visitor; the number that he is shown."""
    said = json.dumps({"url": page, "human": True}).encode()
    with urlopen(Request(f"{office.url}/v/{site}/visit", said, {"user-agent": CHROME}), timeout=20) as answer:
        number: str = json.load(answer)["number"]
    return number


def test_settings_pages_suit_everybody(take_seat: TakeSeat) -> None:
    for seat in take_seat.each_way("operator"):
        for path in PAGES:
            page = seat.open(path)
            for folded in page.locator("main details").all():
                folded.evaluate("panel => { panel.open = true }")
            seat.suits_everybody()
    admin = take_seat("admin", "ru", width=390)
    for path in (SITE, "/settings/static", "/settings/pools"):
        admin.open(path)
        admin.suits_everybody()


def test_a_site_is_pasted_seen_tried_and_changed(take_seat: TakeSeat) -> None:
    async def domains(connection: Connection) -> str:
        return str(await connection.fetchval("SELECT domains[1] FROM sites WHERE id = 1"))

    office, seat = take_seat.office, take_seat("operator", "en")
    page = seat.open(SITE)
    expect(page.locator("#tag")).to_have_text(f'<script async src="{office.url}/w/1.js"></script>')
    visited(office, 1, f"https://{office.run(domains)}/windows?phone=1")
    expect(page.locator("#seen")).to_contain_text("works")
    expect(page.locator("#seen strong")).to_have_text(re.compile("/windows$"))
    page.locator("#try-text").fill("Call +7 495 222 00 01 now")
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
    page.locator("#rule-0-campaigns").fill("spring*, <b>autumn")
    page.locator("#rule-0-route").fill("leads")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").first).to_have_text("Saved.")
    expect(page.locator("#rule-0-campaigns")).to_have_value("spring*, <b>autumn")
    page.locator("#rule-0-route").fill("")
    page.locator("#rule-0-campaigns").fill("")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#rule-0-campaigns")).to_have_value("")
    assert [said for said in seat.complaints if "422" not in said] == []


def test_a_pools_numbers_are_shown_with_their_holders(take_seat: TakeSeat) -> None:
    seat = take_seat("operator", "ru")
    page = seat.open("/settings/pools/1")
    expect(page.locator(".tiles")).to_contain_text("Свободны")
    expect(page.get_by_role("rowheader").first).to_have_text("+7 495 111-00-00")
    page.get_by_role("rowheader").first.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("+7 495 111-00-00")
    assert seat.complaints == []


def test_a_static_number_is_bound_and_ended_after_asking(take_seat: TakeSeat) -> None:
    seat = take_seat("operator", "ru")
    page = seat.open("/settings/static")
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
    assert seat.complaints == []
