"""Pages of reports: every figure opens the journal's rows that it counts, no text becomes markup, files match."""

from __future__ import annotations

import csv
import html
import io
import re
import zipfile
from typing import Any

from callrouter.reports.sums import add_up_stale
from callrouter.web.pages.reports.terms import TITLES
from tests.integration.web.busy_shop import EVIL, Shop
from tests.integration.web.people import Browser, House, living

PAGES = [f"/reports/{name}".removesuffix("/") for name in TITLES]
LINK = re.compile(r'<a href="(/journal\?[^"]+)">([\d\u00a0\u202f,]+)</a>')
QUESTIONS = (
    "",
    "period=7d",
    "channel=paid_search&compare=none",
    "status=answered&quality=true",
    "device=mobile&hour=9&hour=10",
)


async def busy(house: House) -> Browser:
    await Shop(days=14).fill(house.postgres)
    return await house.signed_in("vic")


async def page(browser: Browser, path: str) -> str:
    answer = await browser.get(path)
    assert answer.status_code == 200, (path, answer.text)
    return answer.text


def test_every_number_that_is_a_link_opens_as_many_rows_of_the_journal(database: str) -> None:
    async def scene(house: House) -> None:
        browser = await busy(house)
        async with house.postgres.acquire() as conn:
            while await add_up_stale(conn):
                pass
        opened: dict[str, str] = {}
        for question in QUESTIONS:
            for path in PAGES:
                for href, number in LINK.findall(await page(browser, f"{path}?{question}&whole=yes")):
                    assert opened.setdefault(html.unescape(href), number) == number
        assert len(opened) > 200
        for href, number in list(opened.items())[:: len(opened) // 80]:
            query = href.partition("?")[2]
            answer = await browser.api("GET", f"/appeals?{query}&count=true&limit=1")
            assert answer.status_code == 200, (href, answer.text)
            assert answer.json()["total"] == int(re.sub(r"\D", "", number)), href

    living(database, scene)


def test_what_visitors_wrote_is_text_on_every_page(database: str) -> None:
    async def scene(house: House) -> None:
        browser = await busy(house)
        seen = ""
        for path in PAGES:
            seen += await page(browser, f"{path}?whole=yes&by=campaign&campaign.has=img")
        seen += await page(browser, "/reports/sources?by=location&field=source&value=<img src=x>")
        assert html.escape(EVIL) in seen.replace("&#34;", "&quot;")
        assert "<img src=x" not in seen
        assert " style=" not in seen

    living(database, scene)


def test_page_tells_what_makes_no_sense_and_counts_the_usual_period(database: str) -> None:
    async def scene(house: House) -> None:
        browser = await busy(house)
        for query in ("channe=x", "since=2026-13-01", "since=2026-03-02&until=2026-03-01", "talk_s.min=x", "weekday=9"):
            answer = await browser.get(f"/reports/sources?{query}")
            assert (answer.status_code, 'role="alert"' in answer.text) == (400, True), query
        own = "model=magic&by=colour&show=nothing&sort=x&currency=XXX&compare=%00&whole=1&field=x&how=y&value=z"
        for path in PAGES:
            assert (await browser.get(f"{path}?channe=x")).status_code == 400
            await page(browser, f"{path}?{own}")

    living(database, scene)


def test_nobody_sees_anothers_figures_and_nobody_without_signing_in(database: str) -> None:
    async def scene(house: House) -> None:
        await busy(house)
        stranger, other = house.browser(), await house.signed_in("dan")
        for path in (*PAGES, "/reports/overview/rest", "/reports/multichannel/models"):
            assert (await stranger.get(path)).status_code == 303, path
            told = await page(other, f"{path}?period=90d")
            assert "/journal?since" not in told, path
        operator = await house.signed_in("op")
        await operator.get("/own")
        await operator.post("/looking-at", account="2")
        told = await page(operator, "/reports?period=90d")
        assert "/journal?since" in told
        assert "account=2" in told

    living(database, scene)


def cells(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


def test_files_have_the_figures_of_the_api_and_run_no_formula(database: str) -> None:
    async def scene(house: House) -> None:
        browser = await busy(house)
        for name in ("channels", "keywords", "days", "hours", "employees"):
            told = (await browser.api("GET", f"/reports/{name}?compare=previous&limit=5000")).json()
            rows = cells((await browser.api("GET", f"/reports/{name}?compare=previous&format=csv")).text)
            assert len(rows) == len(told["rows"])
            for row, line in zip(told["rows"], rows, strict=True):
                same(row, line)
        rows = cells((await browser.api("GET", "/reports/keywords?format=csv&separator=comma")).text)
        assert {row["keyword"] for row in rows} >= {"'=1+1"}
        for path in ("channels", "numbers", "static", "pools", "paths", "pools?table=sites", "paths?table=assists"):
            sign = "&" if "?" in path else "?"
            book = await browser.api("GET", f"/reports/{path}{sign}format=xlsx")
            assert book.headers["content-disposition"].endswith('.xlsx"')
            with zipfile.ZipFile(io.BytesIO(book.content)) as parts:
                assert b"<f>" not in parts.read("xl/worksheets/sheet1.xml")
            assert (await browser.api("GET", f"/reports/{path}{sign}format=csv&bom=true")).text.startswith("\ufeff")

    def same(row: dict[str, Any], line: dict[str, str]) -> None:
        figures = row["figures"]
        for name in ("calls", "lost", "unique_calls", "quality", "visits", "appeals"):
            assert line[name] == ("" if figures[name] is None else f"{figures[name]:g}"), name
        before = row["previous"]
        assert line["calls_before"] == (f"{before['calls']:g}" if before else "")
        shown = figures["lost_share"]
        assert float(line["lost_share_high"] or 0) == (shown["high"] if shown else 0)
        for money in figures["money"]:
            assert line[f"revenue_{money['currency']}"] == money["revenue"]

    living(database, scene)


def test_links_of_a_page_ask_the_api_for_the_same_figures(database: str) -> None:
    async def scene(house: House) -> None:
        browser = await busy(house)
        for path in PAGES:
            told = await page(browser, f"{path}?period=7d&channel=paid_search&model=linear")
            links = [html.unescape(href) for href in re.findall(r'href="(/api/v1/[^"]+)"', told)]
            assert links, path
            for href in links:
                assert "period=7d" in href
                assert "channel=paid_search" in href
                answer = await browser.http.get(href)
                assert answer.status_code == 200, (href, answer.text)

    living(database, scene)


def test_who_called_again_or_was_called_back_is_not_missed_any_more(database: str) -> None:
    async def scene(house: House) -> None:
        browser = await busy(house)
        await house.postgres.execute("DELETE FROM appeals")
        call = """
            INSERT INTO appeals (account_id, started_at, id, kind, direction, status, customer, site_id)
            VALUES (2, now() - make_interval(mins => $1), gen_random_uuid(), 'call', $2, $3, $4, NULL)"""
        for minutes, direction, status, customer in [
            (50, "inbound", "lost", "79160000001"), (40, "inbound", "lost", "79160000001"),
            (50, "inbound", "lost", "79160000002"), (30, "outbound", "answered", "79160000002"),
            (50, "inbound", "lost", "79160000003"), (30, "outbound", "lost", "79160000003"),
            (50, "inbound", "lost", "79160000004"), (30, "inbound", "answered", "79160000004"),
            (50, "inbound", "lost", None),
        ]:  # fmt: skip
            await house.postgres.execute(call, minutes, direction, status, customer)
        told = await page(browser, "/reports/overview/rest?period=7d")
        assert re.findall(r"customer=%2B(\d+)", told) == ["79160000001", "79160000003"]

    living(database, scene)
