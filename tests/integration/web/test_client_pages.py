"""The pages of clients, as a browser gets them: the list, the card and its tabs, what is done with a client there."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from callrouter.appeals.touching import judge_marked
from tests.client_scene import AGAIN, ANNA, HOSTILE, NOBODY, people_with_a_past
from tests.integration.web.people import Browser, House, living

CARD = f"/clients/{ANNA}"


async def begin(here: House, who: str = "max") -> Browser:
    await here.postgres.execute("INSERT INTO sites (account_id, id, name) VALUES (2, 1, 'Окна')")
    await people_with_a_past(here.postgres)
    return await here.signed_in(who)


async def page(browser: Browser, path: str) -> str:
    answer = await browser.get(path)
    assert answer.status_code == 200, (path, answer.status_code, answer.text[-2000:])
    return str(answer.text)


def listed(html: str) -> list[int]:
    return [int(found) for found in re.findall(r'<th scope="row"[^>]*><a href="/clients/(\d+)"', html)]


def numbers(html: str) -> list[int]:
    return [int(found) for found in re.findall(r'<li class="item is-\w+" value="(\d+)"', html)]


def test_clients_are_found_by_whatever_is_known_of_them(database: str) -> None:
    async def scene(here: House) -> None:
        browser = await begin(here)
        everybody = listed(await page(browser, "/clients"))
        assert sorted(everybody) == [ANNA, AGAIN, HOSTILE]  # who is known by nothing at all is found by his id alone
        for search, found in {
            "8 (916) 123-45-67": [ANNA], "+7 916 999 00 00": [AGAIN], "123-45": [ANNA], "петров": [ANNA],
            "ANNA@example": [ANNA], str(ANNA): [ANNA], f"#{AGAIN}": [AGAIN], "contact-17": [ANNA], "nobody": [],
            "000": [AGAIN, HOSTILE], "<b>": [], "%": [], "\x00": [], "9" * 300: [],
        }.items():  # fmt: skip
            answer = await browser.http.get("/clients", params={"search": search})
            assert answer.status_code == 200, search
            assert sorted(listed(answer.text)) == sorted(found), search
        assert "Nobody is found" in await page(browser, "/clients?search=zzz")
        assert listed(await page(browser, "/clients?after=nonsense")) == everybody

    living(database, scene)


def test_pages_of_the_list_have_each_client_once_the_most_lately_active_first(database: str) -> None:
    async def scene(here: House) -> None:
        browser = await begin(here)
        await here.postgres.execute("INSERT INTO clients (account_id, id, first_touch_at) "
                                    "SELECT 2, n, now() FROM generate_series(1001, 1120) n")  # fmt: skip
        await here.postgres.execute(
            """INSERT INTO client_identities SELECT 2, kind, kind || n, n, now(), now() - (n % 7) * interval '1 hour'
               FROM generate_series(1001, 1120) n, unnest(ARRAY['email', 'phone']) kind"""
        )
        told, path = list[int](), "/clients"
        while path:
            html = await page(browser, path)
            told += listed(html)
            found = re.search(r'href="(/clients\?after=[^"]+)">Next', html)
            path = found[1] if found else ""
        assert len(told) == len(set(told)) == 123
        ages = [client % 7 for client in told if client < ANNA]
        assert ages == sorted(ages)

    living(database, scene)


def test_a_card_numbers_the_whole_history_whatever_part_of_it_is_shown(database: str) -> None:
    async def scene(here: House) -> None:
        browser = await begin(here)
        html = await page(browser, CARD)
        assert numbers(html) == list(range(13, 0, -1))
        for said in ("Анна Петрова", "+7 916 123-45-67", f"Client {ANNA}", "пластиковые окна цена",
                     "D-1", "128,000.50", "https://windows.example/page/2", "Отдел продаж", "замер", "Балкон",
                     "#recording", "after the one before", "18446744073709551", "8 days", "<svg"):  # fmt: skip
            assert said in html, said
        assert numbers(await page(browser, f"{CARD}?order=earliest")) == list(range(1, 14))
        parts = {
            "show=visit": 5, "show=call_in": 3, "show=call_out": 1, "show=form": 1, "show=deal": 3, "show=chat": 0,
            "show=call_in&show=deal": 6, "show=call_in&show=call_out": 4, "show=nonsense": 13,
        }  # fmt: skip
        for query, count in parts.items():
            shown = numbers(await page(browser, f"{CARD}?{query}"))
            assert len(shown) == count, query
            assert set(shown) <= set(range(1, 14))
        assert "the filter hides them" in await page(browser, f"{CARD}?show=chat")
        assert "no day of the calendar" in await page(browser, f"{CARD}?since=2026-02-30")
        assert "behind the last" in await page(browser, f"{CARD}?since=2026-03-02&until=2026-03-01")
        assert numbers(await page(browser, f"{CARD}?after=junk")) == list(range(13, 0, -1))
        assert (await here.actions()).count("client.see") == len(parts) + 6

    living(database, scene)


def test_a_long_history_is_read_page_by_page(database: str) -> None:
    async def scene(here: House) -> None:
        browser = await begin(here)
        await here.postgres.execute(
            """INSERT INTO deals (account_id, client_id, title, currency, opened_at)
               SELECT 2, $1, 'again ' || n, 'RUB', now() - interval '1 year' FROM generate_series(1, 60) n""",
            ANNA,
        )
        told, path = list[int](), f"{CARD}?show=deal&show=visit"
        while path:
            html = await page(browser, path)
            told += numbers(html)
            found = re.search(r'href="([^"]+)">Earlier', html)
            path = found[1].replace("&amp;", "&") if found else ""
        assert len(told) == 60 + 3 + 5
        assert told == sorted(set(told), reverse=True)

    living(database, scene)


def test_the_multichannel_tab_is_there_only_with_such_appeals_and_shows_who_has_which_share(database: str) -> None:
    async def scene(here: House) -> None:
        browser = await begin(here)
        assert f"{CARD}/multichannel" in await page(browser, CARD)
        html = await page(browser, f"{CARD}/multichannel")
        assert html.count('class="panel chain-of"') == 5
        assert "2 sources led to it" in html
        assert html.count("Share of the appeal by model") == 5
        assert {"50%", "40%", "100%"} <= set(re.findall(r"\d+%", html))
        assert f"/clients/{AGAIN}/multichannel" not in await page(browser, f"/clients/{AGAIN}")
        assert "No multichannel appeals" in await page(browser, f"/clients/{AGAIN}/multichannel")
        await here.postgres.execute("UPDATE accounts SET multichannel = false WHERE id = 2")
        await judged(here)
        off = await page(browser, f"{CARD}/multichannel")
        assert "Multichannel analytics is switched off" in off
        assert off.count('class="panel chain-of"') == 5
        assert "<table" not in off

    living(database, scene)


async def judged(here: House) -> None:
    async with here.postgres.acquire() as connection:
        while await judge_marked(connection):
            pass


def test_two_cards_are_joined_after_a_look_at_both_and_given_back(database: str) -> None:
    async def scene(here: House) -> None:
        browser = await begin(here)
        found = await page(browser, f"{CARD}/merge?search=999-00-00")
        assert f"{CARD}/merge?other={AGAIN}" in found
        both = await page(browser, f"/clients/{AGAIN}/merge?other={ANNA}")
        assert both.index("+7 916 123-45-67") < both.index("+7 916 999-00-00")
        assert f"Client {ANNA}, the older one, stays" in both
        assert "2 identities, 1 appeal, 0 deals" in both
        done = await browser.post(f"/clients/{AGAIN}/merge", other=str(ANNA))
        assert done.headers["location"] == f"{CARD}?note=merged"
        html = await page(browser, CARD)
        assert "+7 916 999-00-00" in html
        assert numbers(html) == list(range(15, 0, -1))
        led = await browser.get(f"/clients/{AGAIN}/deals")
        assert led.headers["location"] == f"{CARD}?was={AGAIN}&note=became"
        assert f"Client {AGAIN} is part of this one" in await page(browser, led.headers["location"])
        await judged(here)
        chains = await page(browser, f"{CARD}/multichannel")
        assert 'Multichannel appeals <span class="count">6<' in chains  # the other number's has touches of both now
        older = re.search(r'href="([^"]+)">Earlier', chains)
        assert older
        assert (await page(browser, older[1])).count('class="panel chain-of"') == 1
        undo = re.search(rf'action="({CARD}/merges/\d+/undo)"', html)
        assert undo
        gone = await browser.post(f"{CARD}/merge", other=str(AGAIN))
        assert gone.status_code == 422
        assert "is no more" in gone.text
        assert (await browser.post(undo[1])).headers["location"] == f"{CARD}?note=undone"
        assert (await browser.post(undo[1])).headers["location"] == f"{CARD}?note=undone_before"
        await judged(here)
        assert (await page(browser, f"{CARD}/multichannel")).count('class="panel chain-of"') == 5
        assert numbers(await page(browser, f"/clients/{AGAIN}")) == [2, 1]
        assert {"client.merge", "client.split"} <= set(await here.actions())

    living(database, scene)


def test_a_merge_below_another_one_is_undone_after_that(database: str) -> None:
    async def scene(here: House) -> None:
        browser = await begin(here)
        await browser.post(f"/clients/{AGAIN}/merge", other=str(HOSTILE))
        html = await page(browser, f"/clients/{AGAIN}")
        undo = re.search(rf'action="/clients/{AGAIN}(/merges/\d+/undo)"', html)
        assert undo
        await browser.post(f"{CARD}/merge", other=str(AGAIN))
        # Who had the page open all the while:
        answer = await browser.post(f"/clients/{AGAIN}{undo[1]}")
        assert answer.status_code == 404
        assert (await browser.get(f"/clients/{HOSTILE}")).headers["location"].startswith(CARD)

    living(database, scene)


def test_what_is_somebody_elses_becomes_a_card_of_its_own(database: str) -> None:
    async def scene(here: House) -> None:
        browser = await begin(here)
        assert "Appeals that go with it" in await page(browser, f"{CARD}/split")
        nothing = await browser.post(f"{CARD}/split")
        assert (nothing.status_code, "Choose what is somebody else" in nothing.text) == (422, True)
        every = {
            "i.1": "phone 79161234567",
            "i.2": "email anna@example.com",
            "i.3": "visitor v1",
            "i.4": "crm contact-17",
        }
        all_of_it = await browser.post(f"{CARD}/split", **every)
        assert (all_of_it.status_code, "At least one identity must stay" in all_of_it.text) == (422, True)
        done = await browser.post(f"{CARD}/split", **{"i.1": "phone 79161234567"})
        new = done.headers["location"].partition("?")[0]
        assert numbers(await page(browser, new)) == [5, 4, 3, 2, 1]
        assert f"the other one is client {ANNA}" in await page(browser, done.headers["location"])
        assert "+7 916 123-45-67" not in await page(browser, f"{CARD}/split")
        assert (await here.actions())[-4:].count("client.split") == 1

    living(database, scene)


def test_erasing_wants_the_id_written_and_leaves_counts(database: str) -> None:
    async def scene(here: House) -> None:
        browser = await begin(here)
        asked = await page(browser, f"{CARD}/erase")
        assert "5 appeals, 5 visits, 3 deals" in asked
        for wrong in ("", "yes", str(AGAIN)):
            answer = await browser.post(f"{CARD}/erase", confirm=wrong)
            assert (answer.status_code, "Nothing was erased" in answer.text) == (422, True)
        exported = await browser.http.get(f"/api/v1{CARD}/export")
        assert len(exported.text.splitlines()) == 14
        counted = "SELECT count(*), count(client_id), sum(talk_s), count(*) FILTER (WHERE multichannel) FROM appeals"
        before = await here.postgres.fetchrow(counted)
        done = await browser.post(f"{CARD}/erase", confirm=f" {ANNA} ")
        assert done.headers["location"] == "/clients?note=erased"
        after = await here.postgres.fetchrow(counted)
        assert (after[0], after[2], after[3], after[1]) == (before[0], before[2], before[3], before[1] - 5)
        assert (await browser.get(CARD)).status_code == 404
        assert ANNA not in listed(await page(browser, "/clients"))
        assert {"client.export", "client.erase"} <= set(await here.actions())

    living(database, scene)


def test_each_user_chooses_his_fields_and_a_note_is_not_overwritten_unseen(database: str) -> None:
    async def scene(here: House) -> None:
        browser = await begin(here)
        other = await here.signed_in("ann")
        await browser.post(f"{CARD}/fields", **{"f.id": "yes", "f.talk": "yes", "f.nonsense": "yes"})
        shown = re.findall(r"<div><dt>([^<]+)</dt>", (await page(browser, CARD)).partition('class="tabs"')[0])
        assert shown == ["Client ID", "Talked in all"]
        assert "Talked in all</dt>" not in await page(other, CARD)
        await browser.post(f"{CARD}/fields")
        assert "You chose to see no fields here" in await page(browser, CARD)
        await browser.post(f"{CARD}/fields", do="usual")
        assert "First touch</dt>" in await page(browser, CARD)

    living(database, scene)


def test_nobodys_words_are_lost_when_two_write_on_one_client_at_once(database: str) -> None:
    async def scene(here: House) -> None:
        browser = await begin(here)
        other = await here.signed_in("ann")

        def read(html: str) -> str:
            return str(re.findall(r'name="read" value="([^"]*)"', html)[0])

        async def stored() -> str:
            return str(await here.postgres.fetchval("SELECT note FROM clients WHERE id = $1", ANNA))

        seen = read(await page(browser, CARD))
        assert (
            await browser.post(f"{CARD}/note", read=seen, note=" Любит кофе \r\n<b>\r\n\r\nи чай ")
        ).status_code == 303
        html = await page(browser, CARD)
        assert "Любит кофе" in html
        assert "<b>" not in html
        late = await other.post(f"{CARD}/note", read=seen, note="mine")
        assert late.status_code == 412
        assert "Somebody else wrote here meanwhile" in late.text
        both = f"{await stored()}\n\nmine"
        assert unescape(re.findall(r"<textarea[^>]*>\n(.*?)</textarea>", late.text, re.DOTALL)[0]) == both
        assert "mine" not in await stored(), "nothing is saved unseen"
        sent = both.replace("\n", "\r\n")
        assert (await other.post(f"{CARD}/note", read=read(late.text), note=sent)).status_code == 303
        assert await stored() == both
        too_long = await browser.post(f"{CARD}/note", read=read(await page(browser, CARD)), note="x" * 5001)
        assert (too_long.status_code, "x" * 5001 in too_long.text) == (422, True)
        assert await stored() == both
        assert (await here.actions()).count("client.change") == 2

    living(database, scene)


def test_a_viewer_sees_all_and_changes_nothing_and_another_account_sees_nothing(database: str) -> None:
    async def scene(here: House) -> None:
        viewer = await begin(here, "vic")
        stranger = await here.signed_in("dan")
        html = await page(viewer, CARD)
        for action in ("merge", "split", "erase", "note"):
            assert f"{CARD}/{action}" not in html
            assert (await viewer.post(f"{CARD}/{action}", confirm=str(ANNA), other=str(AGAIN))).status_code == 403
        for path in (CARD, f"{CARD}/multichannel", f"{CARD}/deals", f"{CARD}/merge", f"{CARD}/split",
                     f"{CARD}/erase", "/visits/s1"):  # fmt: skip
            assert (await stranger.get(path)).status_code == 404, path
        forms = {"erase": {"confirm": str(ANNA)}, "merge": {"other": str(AGAIN)}, "split": {"i.1": "visitor v1"},
                 "note": {"note": "x", "read": ""}}  # fmt: skip
        for what, form in forms.items():
            assert (await stranger.post(f"{CARD}/{what}", **form)).status_code in {404, 422}, what
        assert listed(await page(stranger, "/clients")) == []
        assert "No clients yet" in await page(stranger, "/clients")
        assert numbers(await page(viewer, CARD)) == list(range(13, 0, -1))
        assert (await viewer.http.post(f"{CARD}/fields", data={"f.id": "yes"})).status_code == 403  # no form key

    living(database, scene)


def test_a_visit_shows_its_pages_whose_it_was_and_what_came_of_it(database: str) -> None:
    async def scene(here: House) -> None:
        browser = await begin(here)
        html = await page(browser, "/visits/s2")
        for said in ("Анна Петрова", "Organic search", "Окна", "1234567.1700000000", "https://windows.example/page/1",
                     "/appeals/", "Call in", "+7 495 223-27-25"):  # fmt: skip
            assert said in html, said
        assert "No appeal was credited" in await page(browser, "/visits/s1")
        for wrong in ("nonsense", "x" * 101, "%00", "%F0%9F%99%82"):
            assert (await browser.get(f"/visits/{wrong}")).status_code == 404

    living(database, scene)


def test_hostile_words_are_words_on_every_page(database: str) -> None:
    async def scene(here: House) -> None:
        browser = await begin(here)
        mine = f"/clients/{HOSTILE}"
        for path in ("/clients", mine, f"{mine}/multichannel", f"{mine}/deals", f"{mine}/merge?other={ANNA}",
                     f"{mine}/split", f"{mine}/erase", "/visits/x1", f"{mine}/merge?search=script",
                     f"{mine}?note=became&was=%3Cscript%3E", "/clients?search=%22%3E%3Cscript%3E"):  # fmt: skip
            html = await page(browser, path)
            assert "<script>alert" not in html, path
            assert "onerror=alert(2)>" not in html.replace("&gt;", ""), path
            assert not re.search(r'(href|src|action)="\s*javascript:', html, re.IGNORECASE), path
            assert "49&lt;" not in html, path

    living(database, scene)


def test_who_is_known_by_nothing_has_a_card_that_says_so(database: str) -> None:
    async def scene(here: House) -> None:
        browser = await begin(here)
        html = await page(browser, f"/clients/{NOBODY}")
        for said in ("Not determined", "unknown", "(undefined)"):
            assert said in html
        assert f"/clients/{NOBODY}/split" not in html
        russian: dict[str, Any] = {"locale": "ru", "name": "Max"}
        await browser.post("/own", **russian)
        html = await page(browser, f"/clients/{NOBODY}")
        for said in ("Не определено", "неизвестно", "(undefined)", "Вся история клиента"):
            assert said in html
        assert (await browser.get("/clients/999999999999999999")).status_code == 404
        assert (await browser.get("/clients/99999999999999999999999")).status_code in {400, 404}

    living(database, scene)


def test_the_operators_people_see_the_cards_of_the_account_they_look_at(database: str) -> None:
    async def scene(here: House) -> None:
        browser = await begin(here, "op")
        assert (await browser.get(CARD)).status_code == 404
        await browser.post("/looking-at", account="2")
        html = await page(browser, CARD)
        assert f"/api/v1{CARD}/export?account=2" in html
        assert numbers(html) == list(range(13, 0, -1))
        await browser.post(f"{CARD}/fields", **{"f.id": "yes"})
        assert "Client ID" in await page(browser, CARD)
        assert (await browser.post(f"{CARD}/merge", other=str(AGAIN))).headers["location"] == f"{CARD}?note=merged"
        assert "client.merge" in await here.actions(2)

    living(database, scene)
