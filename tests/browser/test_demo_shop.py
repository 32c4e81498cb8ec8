"""The demo's shop, as a person with a browser meets it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from callrouter.db.connect import connect
from callrouter.lab import shop as demo_shop
from tests.browser.conftest import PLAIN

SHOWN = r"8 \(495\) 111-\d\d-\d\d"


async def _make_it_a_site(database: str) -> None:
    connection = await connect(database)
    await connection.execute(
        "UPDATE sites SET domains = '{localhost}', own_numbers = '{74952220999}' WHERE id = $1", PLAIN
    )
    await connection.execute(
        "INSERT INTO site_pools (account_id, site_id, pool_id) VALUES (2, $1, 1) ON CONFLICT DO NOTHING", PLAIN
    )
    await connection.close()


@pytest.fixture
def address(web_url: str, browser_database: str) -> Iterator[str]:
    with concurrent.futures.ThreadPoolExecutor(1) as other_thread:  # this one runs Playwright's loop
        other_thread.submit(asyncio.run, _make_it_a_site(browser_database)).result()
    with demo_shop.serving(web_url, str(PLAIN)) as url:
        yield url


def test_a_person_sees_his_number_on_every_page_of_the_shop(address: str, page: Page, tmp_path: Path) -> None:
    for _ in range(50):  # the web reads of the change in a moment
        page.goto(f"{address}/?utm_source=yandex&utm_medium=cpc")
        page.wait_for_timeout(300)
        if re.search(SHOWN, page.text_content("header .call") or ""):
            break
    expect(page.locator("header .call")).to_have_text(re.compile(SHOWN))
    number = page.text_content("header .call") or ""
    for path in ("/windows", "/contacts", "/app/"):
        page.goto(address + path)
        expect(page.locator("header .call")).to_have_text(number)
    page.screenshot(path=tmp_path / "shop.png")
    page.click("p a[href='/app/contacts']")
    expect(page.locator("#view")).to_contain_text(re.sub(r"[()-]", " ", number).replace("  ", " "))
    page.goto(f"{address}/contacts")
    page.fill("[name=name]", "Анна")
    page.fill("[name=phone]", "8 916 123-45-67")
    with page.expect_request("**/form") as told:
        page.click("form button")
    assert "Анна" in (told.value.post_data or "")
    expect(page.locator("h1")).to_have_text("Спасибо!")
