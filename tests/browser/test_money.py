"""Deals, costs and scheduled reports with a real browser: in both languages, narrow and wide; axe finds nothing."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from callrouter.db.connect import Connection
from callrouter.people.model import Locale
from callrouter.reports import deals
from callrouter.reports.deals import Told
from callrouter.reports.owner import Who
from callrouter.scheduled import store
from callrouter.scheduled.model import Plan
from tests.browser.office import Office, Scheme, TakeSeat, email_of

NOW = datetime.now(UTC)
SHOTS = os.environ.get("MONEY_SHOTS", "")
"""A folder for pictures of the pages, if somebody wants to look at them."""
PAGES = (
    "/deals", "/deals?q=nothing-like-that", "/deals/new", "/deals/{deal}", "/deals/import",
    "/costs", "/costs?grain=month&level=source&period=90d", "/costs/rows?since=2020-01-01&until=2099-01-01",
    "/costs/delete?since=2020-01-01&until=2099-01-01", "/reports/scheduled", "/reports/scheduled/new",
    "/reports/scheduled/{schedule}",
)  # fmt: skip
BECAME = ((1, "sent", ""), (8, "doubtful", "the worker ended while it was sent"), (15, "failed", "550 no such user"))


async def fill(conn: Connection) -> dict[str, int]:
    """A deal that was changed, and a report that was sent."""
    async with conn.transaction():
        told = Told(
            revenue=Decimal("82500.50"), title="Окна, 3 шт.", opened_at=NOW - timedelta(days=9), stage="Новая",
            funnel="Розница", crm="bitrix24", crm_id="money-118", employee="Олег", url="https://crm.example/deal/118",
            who=Who(phone="79161234501"),
        )  # fmt: skip
        deal = await deals.tell(conn, 2, told, by="token 1")
        won = Told(stage="Завершена", won=True, closed_at=NOW)
        await deals.change(conn, 2, deal.id, won, by="user 1")
        plan = Plan(
            name="Звонки по источникам", report="sources", period="last_week", format="xlsx", every="week", minute=540,
            recipients=(email_of("manager", "ru"),),
        )  # fmt: skip
        schedule = await store.add_schedule(conn, 2, plan, by=None, allowed=(), folder=False)
        for days, state, note in BECAME:
            await conn.execute(
                """INSERT INTO report_sendings (account_id, report_id, due_at, recipient, state, attempts, ended_at,
                       note) VALUES (2, $1, $2, $3, $4, 1, $2, $5)""",
                schedule, NOW - timedelta(days=days), plan.recipients[0], state, note,
            )  # fmt: skip
    return {"deal": deal.id, "schedule": schedule}


@pytest.fixture(scope="module")
def filled(office: Office) -> dict[str, int]:
    return office.run(fill)


def shot(page: Page, name: str) -> None:
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


@pytest.mark.parametrize("looks", [("ru", "dark", 390), ("en", "light", 1280)])
def test_pages_of_money_can_be_used_by_all(
    take_seat: TakeSeat, filled: dict[str, int], looks: tuple[Locale, Scheme, int]
) -> None:
    language, scheme, width = looks
    seat = take_seat("manager", language, width=width, scheme=scheme)
    for path in PAGES:
        seat.open(path.format(**filled))
        shot(seat.page, re.sub(r"\W+", "-", f"{path} {language} {scheme} {width}").strip("-"))
        seat.suits_everybody()


def test_a_file_is_mended_until_it_is_imported(take_seat: TakeSeat, tmp_path: Path) -> None:
    seat = take_seat("manager", "ru")
    page = seat.open("/deals")
    page.get_by_role("link", name="Загрузить").click()
    file = tmp_path / "сделки.csv"
    rows = "opened_at;revenue;phone;title\n01.03.2021;1 500,25;8 916 123-45-67;Балкон\n02.03.2021;{};;Терраса\n"
    file.write_bytes(rows.format("много").encode("cp1251"))
    page.get_by_label("CSV-файл").set_input_files(file)
    page.get_by_role("button", name="Показать содержимое").click()
    expect(page.get_by_role("alert")).to_contain_text("1 ошибка")
    expect(page.get_by_role("region", name="Ошибки")).to_contain_text("не сумма")
    expect(page.get_by_role("button", name="Загрузить сделки")).to_have_count(0)
    shot(page, "import-faults")
    seat.suits_everybody()
    page.get_by_role("link", name="Другой файл").click()
    file.write_bytes(rows.format("700").encode("cp1251"))
    page.get_by_label("CSV-файл").set_input_files(file)
    page.get_by_role("button", name="Показать содержимое").click()
    expect(page.get_by_label("Кодировка")).to_have_value("cp1251")
    expect(page.get_by_text("Балкон")).to_be_visible()
    shot(page, "import-preview")
    seat.suits_everybody()
    page.get_by_role("button", name="Загрузить сделки").click()
    expect(page.get_by_role("status")).to_have_text("Файл загружен целиком.")
    seat.open("/deals?since=2021-03-01&until=2021-03-02")
    expect(page.get_by_role("row")).to_have_count(3)
    assert seat.complaints == []


def test_a_deal_is_added_linked_and_removed_after_asking(take_seat: TakeSeat) -> None:
    seat = take_seat("manager", "en")
    page = seat.open("/deals/new")
    page.get_by_label("Title").fill("Sunroom <b>")
    page.get_by_label("Revenue").fill("12 000,50")
    page.get_by_role("button", name="Add the deal").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sunroom <b>")
    page.get_by_label("Phone").fill("8 916 999-88-77")
    page.get_by_role("button", name="Link", exact=True).click()
    expect(page.get_by_text("by the phone number")).to_be_visible()
    page.get_by_label("Outcome").select_option("yes")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".history")).to_contain_text(email_of("manager", "en"))
    page.once("dialog", lambda asked: asked.dismiss())
    page.get_by_role("button", name="Remove the deal").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sunroom <b>")
    page.once("dialog", lambda asked: asked.accept())
    page.get_by_role("button", name="Remove the deal").click()
    expect(page.get_by_role("status")).to_have_text("Removed.")
    assert seat.complaints == []


def test_a_report_is_scheduled_and_asked_for(take_seat: TakeSeat) -> None:
    seat = take_seat("manager", "en")
    page = seat.open("/reports/scheduled")
    page.get_by_role("link", name="Add a report").first.click()
    page.get_by_label("Name").fill("Monday's calls")
    page.get_by_label("Report", exact=True).select_option("campaigns")
    page.get_by_role("button", name="Add the report").click()
    expect(page.get_by_role("status")).to_have_text("Added.")
    page.get_by_role("link", name="Monday's calls").click()
    page.once("dialog", lambda asked: asked.accept())
    page.get_by_role("button", name="Send now").click()
    expect(page.get_by_role("table")).to_contain_text("waits")
    assert seat.complaints == []
