"""Clients by API: that somebody looked at one is recorded, and notes of two who write at once are not lost."""

from __future__ import annotations

from tests.integration.web.journal import Journal, an_appeal, play, put, refused


def test_who_reads_a_history_is_recorded_as_who_reads_a_card_is(valkey_url: str, database: str) -> None:
    async def scene(here: Journal) -> None:
        await put(here.postgres, *(an_appeal(n, client_id=7) for n in range(4)))

        async def seen(account: int = 2) -> int:
            query = "SELECT count(*) FROM audit WHERE account_id = $1 AND action = 'client.see' AND subject = '7'"
            return int(await here.postgres.fetchval(query, account))

        first = await here.told("/clients/7/history?limit=1")
        assert await seen() == 1
        second = await here.told(f"/clients/7/history?limit=1&cursor={first['next']}")
        await here.told(f"/clients/7/history?limit=1&cursor={second['next']}")
        assert await seen() == 1, "one look, however many pages it has"
        await here.postgres.execute("UPDATE audit SET at = at - interval '2 hours'")
        await here.told(f"/clients/7/history?limit=1&cursor={second['next']}")
        assert await seen() == 2, "nobody looks unseen by beginning with a later page"
        refused(await here.ask("/clients/7/history", account=3), 404, "unknown-client")
        assert await seen(3) == 0
        told = (await here.told("/audit?action=client.see&subject=7&token=2"))["items"]
        assert [(each["action"], each["subject"], each["token"]) for each in told] == [("client.see", "7", 2)] * 2
        assert (await here.told("/audit?subject=8"))["items"] == []
        assert (await here.told("/audit?token=1&subject=7"))["items"] == []

    play(valkey_url, database, scene)


def test_a_note_is_changed_by_who_saw_it_as_it_is(valkey_url: str, database: str) -> None:
    async def scene(here: Journal) -> None:
        await put(here.postgres, an_appeal(1, client_id=7))
        tag = (await here.ask("/clients/7")).headers["etag"]
        mine = await here.ask("/clients/7", method="PATCH", body={"note": " Кофе\r\nи \0чай "}, if_match=tag)
        assert mine.json() == {"note": "Кофе\nи \ufffdчай"}
        late = await here.ask("/clients/7", method="PATCH", body={"note": "their words"}, if_match=tag)
        assert mine.headers["etag"] in refused(late, 412, "changed-meanwhile")
        card = await here.ask("/clients/7")
        assert (card.json()["note"], card.headers["etag"]) == (mine.json()["note"], mine.headers["etag"])
        refused(await here.ask("/clients/7", method="PATCH", body={"note": "x"}), 428, "no-version")
        refused(
            await here.ask("/clients/7", method="PATCH", body={"note": "x"}, if_match="*", account=3),
            404, "unknown-client",
        )  # fmt: skip
        too_long = {"note": "x" * 5001}
        assert (await here.ask("/clients/7", method="PATCH", body=too_long, if_match="*")).status_code == 400
        assert (await here.ask("/clients/7", method="PATCH", body={"note": ""}, if_match="*")).json() == {"note": ""}
        assert await here.postgres.fetchval("SELECT count(*) FROM audit WHERE action = 'client.change'") == 2

    play(valkey_url, database, scene)
