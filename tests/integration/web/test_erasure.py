"""A client who is forgotten leaves no trace of who he was, and every report as it was."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from callrouter.appeals.credit import MODELS
from callrouter.appeals.touching import judge_marked
from callrouter.journal import erasing
from callrouter.journal.client_list import client_behind
from callrouter.journal.erasing import Erasing
from callrouter.numbers import Number
from callrouter.pool.directory import Directory, NumberEntry, PoolChoice, Site
from callrouter.pool.keys import pool_slot
from callrouter.pool.resolver import Resolver
from callrouter.pool.store import StoreUnavailable
from callrouter.pool.sweeper import load_pools
from tests.client_scene import AGAIN, ANNA, NOW, people_with_a_past
from tests.integration.pool.test_resolver import DIRECTORY, SLOT
from tests.integration.pool.visitors import numbers, store, visit
from tests.integration.web.journal import Journal, an_appeal, play, put, put_visit

TOLD = ("79161234567", "anna@example.com", "Анна", "contact-17", '"v1"', '"s1"', '"s2"', '"s5"', "1234567.1700000000",
        "1700000000123456789", "18446744073709551", "utm_source=yandex", "#form", "Окна в гостиную", "crm.example",
        "Просила", "rec/1.wav")  # fmt: skip
LATER = 7_000_077
NOT_HIS = frozenset({"audit", "report_sums", "tokens", "callrouter_migrations"})


async def reports(here: Journal) -> list[Any]:
    """Each report by each model, and what the journal counts."""
    since = f"since={NOW.date().replace(year=NOW.year - 1)}&until={NOW.date()}"
    told = [
        await here.told(f"/reports/{name}?{since}&model={model}&limit=1000")
        for name in ("channels", "campaigns", "locations", "groups", "days") for model in MODELS
    ]  # fmt: skip
    told += [await here.told(f"/reports/{name}?{since}") for name in ("paths", "numbers", "pools")]
    counts = "SELECT count(*), count(DISTINCT session), count(DISTINCT visitor), count(credits) FROM appeals"
    rows = await here.postgres.fetch(counts)
    return [*told, *(tuple(row) for row in rows), await here.postgres.fetchval("SELECT sum(revenue) FROM deals")]


async def texts_of_all_tables(here: Journal) -> dict[str, str]:
    names = await here.postgres.fetch(
        """SELECT c.relname AS name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
           WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attname = 'account_id'
             AND c.relnamespace = current_schema()::regnamespace"""
    )
    return {
        row["name"]: await here.postgres.fetchval(
            f"SELECT coalesce(string_agg(to_jsonb(t)::text, ' '), '') FROM {row['name']} t WHERE account_id = 2"
        )
        for row in names
        if row["name"] not in NOT_HIS
    }


async def carried_out(here: Journal, valkey_url: str, directory: Directory) -> None:
    """As a worker does: at once, and again when what was on its way has come."""
    async with store(valkey_url) as leases:
        worker = Erasing(leases, here.postgres, lambda: directory)
        for _ in range(2):
            await here.postgres.execute("UPDATE erasures SET due_at = now()")
            assert await worker.carry_out()
            assert not await worker.carry_out()
    assert not await here.postgres.fetchval("SELECT count(*) FROM erasures")


async def judged(here: Journal) -> None:
    async with here.postgres.acquire() as connection:
        while await judge_marked(connection):
            pass


def test_reports_by_all_models_stay_as_they_were_and_nothing_tells_who_he_was(valkey_url: str, database: str) -> None:
    async def scene(here: Journal) -> None:
        await people_with_a_past(here.postgres)
        # A call of somebody unknown that was credited to a visit of his, by a weak chance.
        weak: dict[str, Any] = {"session": "s5", "visitor": "v1", "ga_client_id": "1234567.1700000000",
                                "confidence": 0.3}  # fmt: skip
        await put(here.postgres, an_appeal(7500, at=NOW, client_id=None, customer=None, candidates=None, **weak))
        await judged(here)
        before = await reports(here)
        assert await here.told(f"/clients/{ANNA}", method="DELETE") == {"appeals": 5, "visits": 5, "deals": 3}
        await judged(here)
        assert await reports(here) == before
        await carried_out(here, valkey_url, DIRECTORY)
        for table, text in (await texts_of_all_tables(here)).items():
            for secret in TOLD:
                assert secret not in text, (table, secret)
        owed = "SELECT count(*) FROM deals WHERE client_id IS NULL AND appeal_at IS NOT NULL"
        assert await here.postgres.fetchval(owed) == 3
        credited = """
            SELECT count(*) FROM appeals a, jsonb_array_elements(a.credits) t
            WHERE a.client_id IS NULL AND EXISTS (SELECT FROM visits v WHERE v.session = t ->> 'session')"""
        assert await here.postgres.fetchval(credited) > 5, "shares still point to the visits that they are of"

    play(valkey_url, database, scene)


def test_a_browser_that_another_client_uses_too_stays_his(valkey_url: str, database: str) -> None:
    async def scene(here: Journal) -> None:
        await people_with_a_past(here.postgres)
        # Her husband called from the same browser.
        await put(here.postgres, an_appeal(7600, at=NOW, client_id=76, session="s5", visitor="v1", candidates=None))
        await judged(here)
        his = await here.told("/clients/76")
        assert his["visits"] == 5
        before = await reports(here)
        assert (await here.told(f"/clients/{ANNA}", method="DELETE"))["visits"] == 0
        await judged(here)
        assert await here.told("/clients/76") == his
        assert (await here.told("/visits/s5"))["client"] == 76
        hers = await here.postgres.fetch("SELECT session, visitor FROM appeals WHERE revision > 1000")
        assert len(hers) == 5
        assert not {"v1", "s1", "s2", "s4", "s5"} & {text for row in hers for text in row}
        after = await reports(here)
        assert after[:-2] == before[:-2]

    play(valkey_url, database, scene)


def test_whoever_had_become_him_is_forgotten_with_him(
    valkey_url: str, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasing, "AT_ONCE", 1)

    async def scene(here: Journal) -> None:
        await people_with_a_past(here.postgres)
        await put(here.postgres, an_appeal(7700, at=NOW, client_id=LATER, candidates=None))
        for survivor, merged in ((AGAIN, LATER), (ANNA, AGAIN)):
            assert await here.told(f"/clients/{survivor}/merge", method="POST", body={"other": merged}) == {
                "client": survivor
            }
        await here.told(f"/clients/{ANNA}", method="DELETE")
        await carried_out(here, valkey_url, DIRECTORY)
        texts = await texts_of_all_tables(here)
        for secret in ("79160007700", "79169990000", *TOLD):
            assert secret not in texts["client_merges"] + texts["client_identities"] + texts["clients"]
        assert (await here.ask(f"/clients/{LATER}")).status_code == 404

    play(valkey_url, database, scene)


def test_the_next_call_of_who_was_erased_finds_nothing_of_him_and_other_accounts_know_him_still(
    valkey_url: str, database: str
) -> None:
    phone, other_pool = Number("79161234567"), pool_slot(2)
    sites = (
        Site(id=1, account=2, pools=(PoolChoice(pool=1), PoolChoice(pool=2))),
        Site(id=3, account=3, pools=(PoolChoice(pool=2),)),
    )
    entries = [NumberEntry(number=each, account=1, pool=1 + place % 2) for place, each in enumerate(numbers(6))]
    directory = msgspec.structs.replace(DIRECTORY, sites=sites, numbers=tuple(entries), pools=(1, 2))

    async def scene(here: Journal) -> None:
        await people_with_a_past(here.postgres)
        async with store(valkey_url) as leases:
            await load_pools(leases, directory)
            resolver = Resolver(leases, lambda: directory)
            theirs = await leases.allocate(other_pool, visit("d1", "door", account=3, site=3))
            assert theirs.number
            await resolver.remember(await resolver.resolve(theirs.number, phone, theirs.at), client="33")
            his = await leases.allocate(SLOT, visit("s9", "v1"))
            assert his.number
            call = await resolver.resolve(his.number, phone, his.at)
            await resolver.remember(call, client=str(ANNA))
            who: dict[str, Any] = {
                "account": 2,
                "at": his.at,
                "number": his.number,
                "client": str(ANNA),
                "employee": "104",
            }
            await leases.remember(SLOT, phone, own_number=False, **who)
            known = await resolver.resolve(his.number, phone, his.at)
            assert (known.client, known.manager, known.attribution.session) == (str(ANNA), "104", "s9")

            await here.told(f"/clients/{ANNA}", method="DELETE")
            assert await here.postgres.fetchval("SELECT count(*) FROM erasures") == 1, "it waits for a worker"
            unread = Directory(known=False)
            assert not await Erasing(leases, here.postgres, lambda: unread).carry_out(), "where is not known yet"
            await carried_out(here, valkey_url, directory)

            for slot in directory.slots():
                assert await leases.visit(slot, "s9") is None
            assert (await leases.occupancy(SLOT)).leased == 0
            for number in (entry.number for entry in entries):
                again = await resolver.resolve(number, phone, his.at)
                assert again.visit is None or again.visit.session == "d1"
                assert not again.manager
                assert again.client != str(ANNA)
            back = await resolver.resolve(theirs.number, phone, theirs.at)
            assert (back.client, back.attribution.session) == ("33", "d1"), "the other account knows him still"
            new = await leases.allocate(SLOT, visit("s10", "v1"))
            assert (new.new, new.session) == (True, "s10")

    play(valkey_url, database, scene)


def test_an_erasure_waits_in_postgres_while_the_store_is_away(valkey_url: str, database: str) -> None:
    async def scene(here: Journal) -> None:
        await people_with_a_past(here.postgres)
        async with store("redis://127.0.0.1:1/0") as away:
            await here.told(f"/clients/{ANNA}", method="DELETE")
            with pytest.raises(StoreUnavailable):
                await Erasing(away, here.postgres, lambda: DIRECTORY).carry_out()
            assert not await Erasing(away, here.postgres, lambda: DIRECTORY).carry_out(), "others have their turn"
        waits = await here.postgres.fetchrow("SELECT phones, visitors, carried_out_at FROM erasures")
        assert waits is not None
        assert tuple(waits) == (["79161234567"], ["v1"], None)
        known = await here.postgres.fetchval("SELECT count(*) FROM visits")
        # On their way from the store when he was erased: a visit that is told again, and one that nobody knew.
        await put_visit(here.postgres, "s5", "v1", NOW - timedelta(days=1))
        await put_visit(here.postgres, "s6", "v1", NOW, referrer="https://yandex.ru/?q=окна")
        await carried_out(here, valkey_url, DIRECTORY)
        visits = await here.postgres.fetch("SELECT session, visitor, referrer FROM visits")
        assert len(visits) == known + 1
        assert not {"v1", "s5", "s6", "https://yandex.ru/?q=окна"} & {text for row in visits for text in row}

    play(valkey_url, database, scene)


def test_clients_in_each_order_go_on_where_the_cursor_says(valkey_url: str, database: str) -> None:
    async def scene(here: Journal) -> None:
        await people_with_a_past(here.postgres)
        # By activity only those who have a number, an e-mail or a browser by which they were heard of.
        for sort, clients in (("-last_seen_at", 3), ("last_seen_at", 3), ("-id", 4), ("id", 4)):
            first = await here.told(f"/clients?sort={sort}&limit=1")
            rest = await here.told(f"/clients?sort={sort}&cursor={first['next']}")
            told = [*first["items"], *rest["items"]]
            by = [each[sort.removeprefix("-")] for each in told]
            assert by == sorted(by, reverse=sort.startswith("-")), sort
            assert len({each["id"] for each in told}) == len(told) == clients
            assert client_behind(first["next"]).id == str(first["items"][0]["id"])
        assert (await here.ask("/clients?sort=name")).status_code == 400

    play(valkey_url, database, scene)
