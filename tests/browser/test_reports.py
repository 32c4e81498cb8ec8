"""Reports in a real browser: in both languages, dark and light, wide and narrow; charts can be read without eyes."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from callrouter.web.pages.reports.terms import TITLES
from tests.browser.office import TakeSeat

PAGES = [f"/reports/{name}".removesuffix("/") for name in TITLES]


def test_pages_of_reports_can_be_used_by_all(take_seat: TakeSeat) -> None:
    for seat in take_seat.each_way("viewer"):
        for path in PAGES:
            page = seat.open(f"{path}?period=30d")
            expect(page.locator("[data-later] > p > a")).to_have_count(0)
            for folded in page.locator("main details").all():
                folded.evaluate("it => { it.open = true }")
            seat.suits_everybody()


def test_reports_open_without_a_long_task(take_seat: TakeSeat) -> None:
    seat = take_seat("manager", "ru")
    for path in ("/reports", "/reports/sources", "/reports/people"):
        seat.open_swiftly(f"{path}?period=30d")


def test_a_marketer_goes_from_channels_to_keywords_and_to_the_calls_behind_a_figure(take_seat: TakeSeat) -> None:
    seat = take_seat("manager", "en")
    page = seat.open("/reports?period=30d")
    page.get_by_role("navigation", name="Reports").get_by_role("link", name="Sources").click()
    page.get_by_role("rowheader", name="Paid search").get_by_role("link").click()
    for _ in ("a source", "a campaign"):
        page.locator("tbody tr").first.get_by_role("rowheader").last.get_by_role("link").click()
    expect(page.get_by_role("navigation", name="Chosen sources")).to_contain_text("Paid search")
    calls = page.locator("tbody tr").first.locator(".figure a").first
    count = int(calls.inner_text())
    calls.click()
    expect(page).to_have_url(re.compile("/journal"))
    expect(page.locator("main tbody tr[id]")).to_have_count(min(count, 50))
    page.go_back()
    page.get_by_label("Who has the credit").select_option("linear")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_text("All visits on the way to an appeal have the same share in it.")).to_be_visible()
    page.get_by_role("link", name="Yesterday").click()
    expect(page).to_have_url(re.compile("period=yesterday.*model=linear"))


def test_overview_tells_whom_to_call_back(take_seat: TakeSeat) -> None:
    page = take_seat("viewer", "ru").open("/reports?period=30d")
    expect(page.get_by_role("heading", name="Пропущенные без перезвона")).to_be_visible()
    expect(page.get_by_role("rowheader", name=re.compile(r"^\+7")).first).to_be_visible()
