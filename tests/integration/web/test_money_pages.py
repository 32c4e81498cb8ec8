"""Deals, costs and scheduled reports on the pages: whole files or nothing, each account its own, nothing that runs."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher

from callrouter.people import passwords
from callrouter.scheduled.model import MailSettings, Outlet
from tests.integration.web.people import Browser, House, living
from tests.mail_server import SECRET, USER, MailServer, serving

HOSTILE = '"><script>alert(1)</script>'
DEALS = (
    "opened_at;revenue;phone;crm;crm_id;title\n01.03.2026;1 500,25;8 916 123-45-67;b;1;{title}\n2026-03-02;7;;b;2;\n"
)

TODAY = datetime.now(UTC).date()


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


async def sent(browser: Browser, kind: str, content: bytes, name: str = "f.csv") -> httpx.Response:
    """A file as the form sends it; the preview that it leads to."""
    await browser.get(f"/{kind}/import")
    answer = await browser.http.post(
        f"/{kind}/import", data={"form_key": browser.key}, files={"file": (name, content, "text/csv")}
    )
    if answer.status_code != 303:
        return answer
    return await browser.get(answer.headers["location"])


def preview_path(preview: httpx.Response) -> str:
    return str(preview.request.url.path)


def text_of(answer: httpx.Response) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text))


def test_a_file_of_deals_is_shown_then_imported_whole_and_once(people_database: str) -> None:
    async def scene(here: House) -> None:
        ann = await here.signed_in("ann")
        preview = await sent(ann, "deals", DEALS.format(title="Окна " + HOSTILE.replace('"', "")).encode("cp1251"))
        assert preview.status_code == 200, preview.text
        told = text_of(preview)
        assert "New deals 2" in told
        assert "Without a client 1" in told
        assert "Окна" in told
        assert "<script>alert" not in preview.text
        assert '<option value="cp1251" selected>' in preview.text
        assert '<option value="semicolon" selected>' in preview.text
        assert await here.postgres.fetchval("SELECT count(*) FROM deals") == 0
        garbled = await ann.get(f"{preview_path(preview)}?separator=comma")
        assert "nothing can be imported" in garbled.text
        form = {"encoding": "cp1251", "separator": "semicolon"}
        refused = await ann.post(preview_path(preview), encoding="utf-8", separator="semicolon")
        assert refused.status_code == 422
        first, second = [await ann.post(preview_path(preview), **form) for _ in "12"]
        assert (first.status_code, second.status_code) == (303, 404)
        assert "not here any more" in second.text
        rows = await here.postgres.fetch(
            "SELECT account_id, client_id, linked_by, revenue::text FROM deals ORDER BY id"
        )
        assert [(row["account_id"], row["linked_by"], row["revenue"]) for row in rows] == [
            (2, "phone", "1500.2500"), (2, "", "7.0000"),
        ]  # fmt: skip
        again = text_of(await sent(ann, "deals", DEALS.format(title="Двери").encode()))
        assert "New deals 0" in again
        assert "Changed 1" in again
        assert "As they are 1" in again

    living(people_database, scene)


def test_every_fault_of_a_file_is_told_with_its_line_and_nothing_is_imported(people_database: str) -> None:
    async def scene(here: House) -> None:
        ann = await here.signed_in("ann")
        bad = "opened_at,revenue,client,url\n2026-13-01,x,,\n2026-03-01,5,999,javascript:alert(1)\n"
        preview = await sent(ann, "deals", bad.encode())
        told = text_of(preview)
        assert "4 faults" in told or "3 faults" in told
        for word in ("is no day", "is no amount", "begins with https"):
            assert word in told, word
        assert (await ann.post(preview_path(preview))).status_code == 422
        unknown = text_of(await sent(ann, "deals", b"opened_at,revenue,client\n2026-03-01,5,999\n"))
        assert "there is no client 999" in unknown.lower()
        for content, why in (
            (b"PK\x03\x04xxx", "workbook"), ("дата".encode("utf-16"), "UTF-16"), (b"  \n", "empty"),
            (b"a\x98\xff", "Line"),
        ):  # fmt: skip
            assert why in text_of(await sent(ann, "deals", content)), content
        nothing = await ann.http.post("/deals/import", data={"form_key": ann.key})
        assert nothing.status_code == 422
        assert await here.postgres.fetchval("SELECT count(*) FROM deals") == 0
        too_large = await sent(ann, "costs", b"day,amount\n" + b"2026-03-01,1\n" * 700_000)
        assert too_large.status_code in {413, 422}
        too_many = await sent(ann, "costs", b"day,amount\n" + b"2026-03-01,1\n" * 20_001)
        assert "more than 20000 rows" in text_of(too_many)

    living(people_database, scene)


def test_costs_are_replaced_by_their_teller_deleted_after_a_look_and_converted(people_database: str) -> None:
    async def scene(here: House) -> None:
        ann = await here.signed_in("ann")
        day = TODAY - timedelta(days=2)
        file = f"day,amount,currency,source,medium,campaign,clicks\n{day},10.5,USD,yandex,cpc,<b>okna,3\n"
        preview = await sent(ann, "costs", file.encode(), "direct.csv")
        assert "nothing" in text_of(preview)
        assert (await ann.post(preview_path(preview), origin="direct")).status_code == 303
        again = await sent(ann, "costs", file.replace("10.5", "11").encode(), "direct.csv")
        told = text_of(await ann.get(f"{preview_path(again)}?origin=direct"))
        assert "US$10.50 1 row" in told
        await ann.post(preview_path(again), origin="direct")
        assert await here.postgres.fetchval("SELECT string_agg(amount::text, ' ') FROM costs") == "11.0000"
        added = await ann.post("/costs/add", day=str(day), amount="1 000,50", source="vk", currency="", once="k")
        assert added.status_code == 303
        await ann.post("/costs/add", day=str(day), amount="1 000,50", source="vk", currency="", once="k")
        assert await here.postgres.fetchval("SELECT count(*) FROM costs WHERE imported_from = 'by hand'") == 1
        page = await ann.get("/costs?period=30d&level=campaign")
        assert "&lt;b&gt;okna" in page.text
        assert "US$11.00" in page.text
        assert (
            await ann.post("/costs/rates", rate_currency="usd", rate_day="2020-01-01", rate="90")
        ).status_code == 303
        assert "US$11.00" not in (await ann.get("/costs?period=30d&level=campaign&grain=month")).text
        wrong = await ann.post("/costs/rates", rate_currency="RUB", rate_day="2020-01-01", rate="0")
        assert wrong.status_code == 422
        look = await ann.get(f"/costs/delete?since={day}&until={day}&origin=direct")
        assert "US$11.00" in look.text
        assert await here.postgres.fetchval("SELECT count(*) FROM costs") == 2
        await ann.post("/costs/delete", since=str(day), until=str(day), origin="direct")
        assert await here.postgres.fetchval("SELECT string_agg(imported_from, ' ') FROM costs") == "by hand"

    living(people_database, scene)


def test_a_deal_is_told_linked_changed_and_unlinked_by_hand_and_its_history_says_who(people_database: str) -> None:
    async def scene(here: House) -> None:
        ann, max_, vic, dan = [await here.signed_in(who) for who in ("ann", "max", "vic", "dan")]
        form = {"title": HOSTILE, "revenue": "100", "opened_at": "2026-03-01T10:00", "currency": "RUB", "once": "k"}
        added = [await ann.post("/deals/new", **form) for _ in "12"]
        assert [each.status_code for each in added] == [303, 303]
        path = added[0].headers["location"].partition("?")[0]
        assert added[1].headers["location"].partition("?")[0] == path
        page = await max_.get(path)
        assert "<script>alert" not in page.text
        read = re.findall(r'name="read" value="([^"]+)"', page.text)[0].replace("&#34;", '"')
        assert (await max_.post(f"{path}/link", read=read, phone="8 916 123-45-67")).status_code == 303
        stale = await max_.post(path, read=read, **form)
        assert stale.status_code == 412
        linked = await max_.get(path)
        assert "by the phone number" in linked.text
        read = re.findall(r'name="read" value="([^"]+)"', linked.text)[0].replace("&#34;", '"')
        changed = {"title": "", "revenue": "200", "opened_at": "2026-03-01T10:00", "won": "yes", "url": "javascript:x"}
        wrong = await max_.post(path, read=read, **changed)
        assert wrong.status_code == 422
        assert "https://" in wrong.text
        assert (await max_.post(path, read=read, **{**changed, "url": "https://crm.example/1"})).status_code == 303
        page = await max_.get(path)
        assert "max@windows.example" in page.text
        assert 'rel="noopener noreferrer"' in page.text
        read = re.findall(r'name="read" value="([^"]+)"', page.text)[0].replace("&#34;", '"')
        assert (await max_.post(f"{path}/unlink", read=read)).status_code == 303
        assert await here.postgres.fetchval("SELECT client_id FROM deals") is None
        assert "No such deals" not in (await ann.get("/deals?unlinked=yes&period=&since=2026-01-01")).text
        assert (await dan.get(path)).status_code == 404
        assert (await dan.post(f"{path}/remove")).status_code == 404
        assert "No deals yet" in (await dan.get("/deals")).text
        assert (await vic.post(f"{path}/remove")).status_code == 403
        assert (await vic.get("/deals/new")).status_code == 403
        await vic.get(path)
        for odd in ("/deals?before=x~y", "/deals?before=2026-01-01~99999999999999999999", "/costs/rows?since=x"):
            assert (await ann.get(odd)).status_code == 400, odd
        for odd in (
            "/deals?since=9999-99-99&q=%00&stage=" + "x" * 900,
            "/costs?since=0001-01-01&until=9999-12-31&level=x",
        ):
            assert (await ann.get(odd)).status_code == 200, odd

    living(people_database, scene)


def test_reports_are_scheduled_for_the_accounts_people_and_a_test_mail_goes_to_oneself(
    people_database: str, tmp_path: Path
) -> None:
    with serving(MailServer(), tmp_path) as server:
        mail = MailSettings(
            host="localhost", port=server.port, tls="starttls", user=USER, secret=SECRET, sender="r@calls.example",
            ca_file=str(server.certificate),
        )  # fmt: skip

        async def scene(here: House) -> None:
            ann, vic, dan = [await here.signed_in(who) for who in ("ann", "vic", "dan")]
            assert "ann@windows.example" in (await ann.get("/reports/scheduled/new")).text
            form: dict[str, Any] = {
                "name": "Monday", "report": "sources", "period": "last_week", "format": "xlsx", "every": "week",
                "weekday": "1", "monthday": "1", "at": "09:00", "locale": "en", "recipients": "ann@windows.example\n",
                "enabled": "yes",
            }  # fmt: skip
            stranger = await ann.post("/reports/scheduled/new", **{**form, "recipients": "eve@evil.example"})
            assert stranger.status_code == 422
            assert "eve@evil.example may not sign in" in stranger.text.lower()
            assert (await ann.post("/reports/scheduled/new", **{**form, "at": "25:00"})).status_code == 422
            assert (await ann.post("/reports/scheduled/new", **form)).status_code == 303
            assert (await vic.post("/reports/scheduled/new", **{**form, "name": "x"})).status_code == 403
            number = await here.postgres.fetchval("SELECT id FROM scheduled_reports")
            path = f"/reports/scheduled/{number}"
            assert "09:00" in (await ann.get("/reports/scheduled")).text
            assert (await dan.get(path)).status_code == 404
            assert (await dan.post(f"{path}/send")).status_code == 404
            assert [(await ann.post(f"{path}/send")).status_code for _ in "12"] == [303, 303]
            assert await here.postgres.fetchval("SELECT count(*) FROM report_sendings") in {1, 2}
            assert "waits" in (await ann.get(path)).text
            await ann.post("/reports/scheduled/test")
            assert [taken.recipients for taken in server.taken] == [["ann@windows.example"]]
            headers = await here.token(2, "reports:read", "reports:write")
            listed = await ann.http.get("/api/v1/schedules", headers=headers)
            assert listed.json()["items"][0]["at"] == "09:00"
            change = await ann.http.patch(f"/api/v1/schedules/{number}", json={"at": "10:30"}, headers=headers)
            assert (change.status_code, change.json()["at"], change.json()["day"]) == (200, "10:30", 1)
            assert (
                await ann.http.patch(f"/api/v1/schedules/{number}", json={"at": "x"}, headers=headers)
            ).status_code == 422
            theirs = await here.token(3, "reports:read", "reports:write")
            assert (await ann.http.get(f"/api/v1/schedules/{number}", headers=theirs)).status_code == 404
            assert (await ann.http.delete(f"/api/v1/schedules/{number}", headers=theirs)).status_code == 404
            assert (await ann.post(f"{path}/remove")).status_code == 303
            assert await here.postgres.fetchval("SELECT count(*) FROM report_sendings") == 0

        living(people_database, scene, outlet=Outlet(mail=mail))
    assert server.breaches == []
