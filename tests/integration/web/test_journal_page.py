"""The journal's page as browsers get it: filters in the URL, pages beside, views, columns, notes, hostile texts."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

from tests.integration.web.journal import INVENTORY as COMPANIES
from tests.integration.web.journal import START, an_appeal, put, put_visit
from tests.integration.web.people import Browser, House, living

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7*7 }}'
ROW = re.compile(r'<tr id="a-([0-9a-f-]{36})"')
SITES = COMPANIES.partition(";")[2]


def shown(answer: httpx.Response) -> list[int]:
    """The numbers of the appeals in the table."""
    assert answer.status_code == 200, answer.text
    return [UUID(found).int - 2_000_000 for found in ROW.findall(answer.text)]


async def with_appeals(house: House, *numbers: int, **told: Any) -> None:
    await house.postgres.execute(SITES)
    await house.postgres.execute("TRUNCATE appeals, appeal_notes, clients, views, view_choices CASCADE")
    await house.postgres.execute("SELECT ensure_partitions(0, '2026-03-10')")
    await put(house.postgres, *(an_appeal(n, **told) for n in numbers))


async def followed(browser: Browser, path: str) -> httpx.Response:
    """As a browser goes on by itself."""
    answer = await browser.get(path)
    for _ in range(3):
        if answer.status_code != 303:
            return answer
        answer = await browser.get(answer.headers["location"])
    raise AssertionError("sent round and round")


def test_each_appeal_is_on_one_page_and_the_page_before_is_the_one_that_one_came_from(people_database: str) -> None:
    async def scene(house: House) -> None:
        await with_appeals(house, *range(120))
        ann = await house.signed_in("ann")
        for order, numbers in (("", list(range(119, -1, -1))), ("&sort=talk_s", list(range(120)))):
            first = await ann.get(f"/journal?kind=call{order}")
            pages, answer = [shown(first)], first
            while link := re.search(r'rel="next" href="([^"]+)"', answer.text):
                answer = await ann.get(unescape(link[1]))
                pages.append(shown(answer))
            assert [n for page in pages for n in page] == numbers, "each once"
            assert [len(page) for page in pages] == [50, 50, 20]
            back = re.search(r'rel="prev" href="([^"]+)"', answer.text)
            assert back
            answer = await ann.get(unescape(back[1]))
            assert shown(answer) == pages[1]
            back = re.search(r'rel="prev" href="([^"]+)"', answer.text)
            assert back
            assert shown(await ann.get(unescape(back[1]))) == pages[0]

    living(people_database, scene)


def test_the_form_is_tidied_into_a_url_that_says_what_is_shown(people_database: str) -> None:
    async def scene(house: House) -> None:
        await with_appeals(house, 1, 2, 3)
        ann = await house.signed_in("ann")
        sent = "view=all&q=&period=dates&since=2026-03-01&until=2026-03-02&customer="
        answer = await ann.get(f"/journal?{sent}&field=campaign&how=has&value=campaign+2")
        assert (
            answer.headers["location"] == "/journal?view=all&since=2026-03-01&until=2026-03-02&campaign.has=campaign+2"
        )
        answer = await ann.get(answer.headers["location"])
        assert shown(answer) == [2]
        assert "campaign 2" in re.findall(r'class="chips".*?</ul>', answer.text, re.DOTALL)[0]
        several = await ann.get("/journal?campaign=campaign+1&campaign=campaign+2&q=7916")
        assert shown(several) == [2, 1]
        assert several.text.count('type="hidden" name="campaign"') == 2, "the form carries what it has no control for"
        wrong = await ann.get("/journal?talk_s.min=much")
        assert wrong.status_code == 400
        assert "talk_s.min" in wrong.text
        nothing = await ann.get("/journal?status=lost")
        assert "Nothing fits these filters" in nothing.text
        assert (await ann.get("/journal?after=nonsense")).status_code == 400
        dan = await house.signed_in("dan")
        assert "No appeals yet" in (await dan.get("/journal")).text

    living(people_database, scene)


def test_views_are_saved_shared_opened_first_and_kept_from_others(people_database: str) -> None:
    async def scene(house: House) -> None:
        await with_appeals(house, 1, 2, 3)
        ann, max_, vic = [await house.signed_in(who) for who in ("ann", "max", "vic")]
        await ann.get("/journal")
        saved = await ann.post(
            "/journal/views", back="view=all&campaign=campaign+2&sort=-talk_s", name="Летняя", shared="on"
        )
        location = saved.headers["location"]
        assert re.fullmatch(r"/journal\?view=\d+&sort=-talk_s&campaign=campaign\+2", location)
        number = re.findall(r"view=(\d+)", location)[0]
        assert shown(await ann.get(location)) == [2]
        assert shown(await followed(vic, f"/journal?view={number}")) == [2]
        assert (await ann.post("/journal/views", back="", name="летняя")).status_code == 422, (
            "there is one of this name"
        )

        await max_.get("/journal/views")
        await max_.post("/journal/views", back="kind=form", name="Мои заявки")
        assert "Мои заявки" in (await max_.get("/journal")).text
        assert "Мои заявки" not in (await ann.get("/journal?view=all")).text
        refused = await max_.post(f"/journal/views/{number}", do="delete")
        assert refused.status_code == 422
        assert "another" in refused.text
        await vic.get("/journal/views")
        assert (await vic.post("/journal/views", back="", name="x", shared="on")).status_code == 422

        await ann.get("/journal/views")
        await ann.post("/journal/views/opens", opens=number)
        assert (await followed(ann, "/")).url.query == b"view=%s&sort=-talk_s&campaign=campaign+2" % number.encode()
        assert shown(await ann.get("/journal?view=all")) == [3, 2, 1]
        await ann.post("/journal/views", back=f"view={number}&campaign=campaign+1", do="change")
        assert shown(await followed(ann, f"/journal?view={number}")) == [1]
        await ann.post(f"/journal/views/{number}", name="Новая", shared="on")
        assert "Новая" in (await ann.get("/journal/views")).text
        await ann.post(f"/journal/views/{number}", do="delete")
        assert shown(await followed(ann, "/journal")) == [3, 2, 1], "the view that it opened with is no more"

    living(people_database, scene)


def test_columns_are_each_persons_own_or_a_views(people_database: str) -> None:
    async def scene(house: House) -> None:
        await with_appeals(house, 1)
        ann, vic = await house.signed_in("ann"), await house.signed_in("vic")
        await ann.get("/journal")
        ticked = {"column.campaign": "on", "column.hash": "on", "column.first_touch_at": "on"}
        assert (await ann.post("/journal/columns", back="kind=call", **ticked)).headers[
            "location"
        ] == "/journal?kind=call"
        page = (await ann.get("/journal")).text
        assert re.findall(r'<td class="c-([\w]+)', page) == ["when", "first_touch_at", "campaign", "hash"]
        assert "prices" in page
        assert 'class="c-who"' in (await vic.get("/journal")).text
        saved = (await ann.post("/journal/views", back="kind=call", name="Own")).headers["location"]
        await ann.post("/journal/columns", back="", usual="yes")
        assert 'class="c-who"' in (await ann.get("/journal")).text
        assert 'class="c-hash"' in (await ann.get(saved)).text, "a view keeps the columns that it was saved with"
        every = {f"column.{key}": "on" for key in re.findall(r'name="column\.(\w+)"', page)}
        assert len(every) > 50
        await ann.post("/journal/columns", back="", **every)
        answer = await ann.get("/journal")
        assert shown(answer) == [1], "whatever columns there are, rows can be shown"

    living(people_database, scene)


def test_nobodys_words_are_lost_when_two_write_at_once(people_database: str) -> None:
    async def scene(house: House) -> None:
        await with_appeals(house, 1)
        path = f"/appeals/{an_appeal(1).id}/note"
        ann, max_, vic = [await house.signed_in(who) for who in ("ann", "max", "vic")]
        for browser in (ann, max_):
            await browser.get(path)
        assert (await max_.post(path, read="0", more="важно, перезвонить", comment="Просил счёт")).status_code == 303
        mine = await ann.post(f"{path}?in=place", read="0", more="важно", comment="Это конкурент", spam="on")
        assert mine.status_code == 412
        assert "<html" not in mine.text, "the form alone, for the dialog"
        assert "Просил счёт\n\nЭто конкурент" in mine.text
        assert mine.text.count("checked") == 3, "both tags, and the mark"
        read = re.findall(r'name="read" value="(\d+)"', mine.text)[0]
        again = {"read": read, "tag.1": "важно", "comment": "Просил счёт\r\n\r\nЭто конкурент", "spam": "on"}
        assert (await ann.post(f"{path}?in=place", **again)).status_code == 204
        note = await house.postgres.fetchrow("SELECT * FROM appeal_notes")
        assert (note["tags"], note["comment"], note["spam"]) == (["важно"], "Просил счёт\n\nЭто конкурент", True)
        assert (await ann.post(path, read=read, more=",".join(map(str, range(30))))).status_code == 422
        assert (await ann.post(path, read=read, more="x" * 65)).status_code == 422
        assert (await vic.get(path)).status_code == 403
        assert "note-form" not in (await vic.get(f"/appeals/{an_appeal(1).id}")).text
        dan = await house.signed_in("dan")
        for theirs in (path, f"/appeals/{an_appeal(1).id}", f"/appeals/{an_appeal(1).id}/recording"):
            assert (await dan.get(theirs)).status_code in {403, 404}
        assert (await dan.post(path, read="*", comment="x")).status_code == 404
        assert "appeal.change" in await house.actions()

    living(people_database, scene)


def test_hostile_texts_in_every_field_are_shown_as_texts(people_database: str) -> None:
    async def scene(house: House) -> None:
        texts = (
            "person", "email", "customer", "called", "caller", "caller_raw", "called_raw", "final_group", "employee",
            "source", "medium", "campaign", "keyword", "content", "click_id", "landing_page", "page", "title", "device",
            "os", "browser", "location", "ga_client_id", "ym_client_id", "pbx", "linkedid", "route", "channel",
            "visitor", "recording",
        )  # fmt: skip
        evil = dict.fromkeys(texts, HOSTILE) | {"referrer": "javascript:alert(3)", "session": "s1"}
        await with_appeals(house, 1, status="lost", lost_reason="busy", details={HOSTILE: HOSTILE}, **evil)
        await put_visit(house.postgres, "s1", "v1", START, title=HOSTILE, page="javascript:alert(4)")
        await house.postgres.execute("UPDATE visit_pages SET url = 'javascript:alert(5)', title = $1", HOSTILE)
        await house.postgres.execute("UPDATE clients SET name = $1", HOSTILE)
        await house.postgres.execute("UPDATE sites SET name = $1 WHERE account_id = 2", HOSTILE)
        await house.postgres.execute(
            "INSERT INTO appeal_notes (account_id, appeal_id, tags, comment) VALUES (2, $1, $2, $3)",
            an_appeal(1).id, [HOSTILE], HOSTILE,
        )  # fmt: skip
        ann = await house.signed_in("ann")
        page = (await ann.get("/journal")).text
        every = {f"column.{key}": "on" for key in re.findall(r'name="column\.(\w+)"', page)}
        await ann.post("/journal/columns", back="", **every)
        await ann.post("/journal/views", back="", name=HOSTILE[:80])
        query = str(httpx.QueryParams({"campaign": HOSTILE, "q": "script", "source.has": HOSTILE, "view": HOSTILE}))
        for path in ("/journal?view=all", f"/journal?{query}", "/journal/views", f"/appeals/{an_appeal(1).id}",
                     f"/appeals/{an_appeal(1).id}/note", f"/journal/rows?ids={an_appeal(1).id}"):  # fmt: skip
            answer = await followed(ann, path)
            assert answer.status_code == 200, answer.text
            assert "alert" in answer.text, path
            assert "{{ 7*7 }}" in answer.text, path
            for never in ("<script>", "<img src=x", 'href="javascript'):
                found = answer.text.find(never)
                assert found < 0, (path, answer.text[found - 80 : found + 80])

    living(people_database, scene)


def test_a_recording_is_played_out_of_its_folder_and_nowhere_else(people_database: str, tmp_path: Path) -> None:
    folder = tmp_path / "monitor"
    folder.mkdir()
    (folder / "call.wav").write_bytes(bytes(range(256)) * 8)
    (tmp_path / "secret.wav").write_bytes(b"secret")
    (folder / "link.wav").symlink_to(tmp_path / "secret.wav")
    (folder / "notes.txt").write_text("secret")
    names = {1: str(folder / "call.wav"), 2: "call.wav", 3: "../secret.wav", 4: str(tmp_path / "secret.wav"),
             5: "link.wav", 6: "notes.txt", 7: "x" * 5000, 8: "https://pbx.example/call.wav"}  # fmt: skip

    async def scene(house: House) -> None:
        await with_appeals(house)
        await put(house.postgres, *(an_appeal(n, recording=name) for n, name in names.items()))
        vic = await house.signed_in("vic")
        for n in names:
            page = await vic.get(f"/appeals/{an_appeal(n).id}")
            assert ("<audio" in page.text) == (n <= 2), n
            answer = await vic.get(f"/appeals/{an_appeal(n).id}/recording")
            assert answer.status_code == (200 if n <= 2 else 404), n
        part = await vic.get(f"/appeals/{an_appeal(1).id}/recording", range="bytes=250-260")
        assert (part.status_code, part.content) == (206, bytes([250, 251, 252, 253, 254, 255, 0, 1, 2, 3, 4]))
        assert part.headers["content-range"] == "bytes 250-260/2048"
        assert (await vic.get(f"/appeals/{an_appeal(1).id}/recording", range="bytes=9999-")).status_code == 416
        assert (await house.actions()).count("recording.hear") == 2

    living(people_database, scene, recordings=folder)


def test_a_recording_of_a_named_server_is_heard_there_and_recorded_here(people_database: str) -> None:
    names = {
        1: "https://records.example/call 1.wav?key=а", 2: "https://records.example.evil.example/call.wav",
        3: "http://records.example/call.wav", 4: "https://records.example@evil.example/call.wav",
        5: "https://records.example:444/call.wav", 6: "https://[records.example/call.wav",
    }  # fmt: skip

    async def scene(house: House) -> None:
        await with_appeals(house)
        await put(house.postgres, *(an_appeal(n, recording=name) for n, name in names.items()))
        vic = await house.signed_in("vic")
        page = await vic.get(f"/appeals/{an_appeal(1).id}")
        assert "<audio" in page.text
        assert "media-src 'self' https://records.example;" in page.headers["content-security-policy"]
        answer = await vic.get(f"/appeals/{an_appeal(1).id}/recording")
        assert answer.status_code == 303
        assert answer.headers["location"] == "https://records.example/call%201.wav?key=%D0%B0"
        assert (await house.actions()).count("recording.hear") == 1
        for n in list(names)[1:]:
            assert "<audio" not in (await vic.get(f"/appeals/{an_appeal(n).id}")).text, n
            assert (await vic.get(f"/appeals/{an_appeal(n).id}/recording")).status_code == 404, n

    living(people_database, scene, recordings_from=("https://records.example",))


def test_that_a_recording_was_heard_is_recorded_once_in_whatever_parts_it_is_asked_for(
    people_database: str, tmp_path: Path
) -> None:
    (tmp_path / "call.wav").write_bytes(bytes(2048))

    async def scene(house: House) -> None:
        await with_appeals(house)
        await put(house.postgres, an_appeal(9, recording="call.wav"))
        path = f"/appeals/{an_appeal(9).id}/recording"
        vic, max_ = await house.signed_in("vic"), await house.signed_in("max")
        for number, (browser, part) in enumerate(
            [(vic, "bytes=100-199"), (max_, "bytes=00-"), (vic, "bytes=0-")], start=1
        ):  # each new hearing, and then the rest of it
            for asked in (part, "bytes=200-299", "bytes=300-"):
                assert (await browser.get(path, range=asked)).status_code == 206
            assert (await house.actions()).count("recording.hear") == number

    living(people_database, scene, recordings=tmp_path)


def test_the_operators_people_see_the_journal_of_the_account_they_look_at(people_database: str) -> None:
    async def scene(house: House) -> None:
        await with_appeals(house, 1, 2)
        operator = await house.signed_in("op")
        assert shown(await operator.get("/journal?view=all")) == []
        await operator.get("/settings/accounts")
        await operator.post("/looking-at", account="2")
        page = await operator.get("/journal?view=all")
        assert shown(page) == [2, 1]
        assert "format=csv&bom=true&separator=comma&account" in unescape(page.text) or "account=2" in page.text
        path = f"/appeals/{an_appeal(1).id}"
        assert (await operator.get(path)).status_code == 200
        assert (await operator.post(f"{path}/note", read="0", comment="Помогли")).status_code == 303
        assert await house.postgres.fetchval("SELECT comment FROM appeal_notes WHERE account_id = 2") == "Помогли"
        await operator.post("/journal/views", back="kind=call", name="Ours")
        assert await house.postgres.fetchval("SELECT account_id FROM views") == 2
        ann = await house.signed_in("ann")
        assert "Ours" not in (await ann.get("/journal")).text

    living(people_database, scene)
