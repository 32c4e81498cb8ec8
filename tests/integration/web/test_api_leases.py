"""The API over HTTP against a real Postgres and Valkey: who is let in, what he sees, and what he never sees."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from click.testing import CliRunner
from litestar.testing import AsyncTestClient

from callrouter.cli import main
from callrouter.db.connect import open_pool, scoped
from callrouter.lab.ports import free_port
from callrouter.pool.connect import close_client, open_client
from callrouter.pool.directory_source import read_directory
from callrouter.pool.history import History
from callrouter.pool.holding import Holding
from callrouter.pool.keys import pool_slot
from callrouter.pool.store import LeaseStore
from callrouter.pool.sweeper import load_pools
from callrouter.pool.timeline import CallItem, LeaseItem, OthersItem
from callrouter.web.api import examples, tokens
from callrouter.web.app import create_app
from callrouter.web.settings import WebSettings
from tests.integration.pool.visitors import visit

KEY = b"a key of the tests, long enough"
SHARED, OTHERS_ONLY = "74950000000", "74951000000"
INVENTORY = f"""
INSERT INTO accounts (id, name) VALUES (2, 'Окна'), (3, 'Двери');
INSERT INTO sites (account_id, id, name) VALUES (2, 1, 'Окна'), (3, 3, 'Двери');
INSERT INTO pools (id, name) VALUES (1, 'Общий'), (2, 'Чужой');
INSERT INTO site_pools (account_id, site_id, pool_id) VALUES (2, 1, 1), (3, 3, 1), (3, 3, 2);
INSERT INTO numbers (number, pool_id) VALUES ('{SHARED}', 1), ('{OTHERS_ONLY}', 2);
"""
START = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=6)
MINUTE = timedelta(minutes=1)
SECRETS = ("foreign", "79160000003")


class Api:
    """A client with one token, or none."""

    def __init__(self, client: Any, token: str = "") -> None:
        self.client = client
        self.headers = {"authorization": f"Bearer {token}"} if token else {}

    async def get(self, path: str) -> Any:
        return await self.client.get(f"/api/v1{path}", headers=self.headers)


class Lets:
    """An application with its token for each account, and the servers behind it."""

    def __init__(self, client: Any, postgres: Any, secrets: dict[int, str]) -> None:
        self.client = client
        self.postgres = postgres
        self.secrets = secrets

    def as_account(self, account: int) -> Api:
        return Api(self.client, self.secrets[account])

    async def token(self, *scopes: Any, account: int = 2, expires_at: datetime | None = None) -> tokens.Made:
        async with self.postgres.acquire() as connection:
            return await tokens.add_token(connection, account, "test", scopes, expires_at)


@contextlib.asynccontextmanager
async def api(valkey_url: str, database: str) -> AsyncIterator[Lets]:
    postgres, client = await open_pool(database), open_client(valkey_url)
    try:
        await postgres.execute(INVENTORY)
        async with postgres.acquire() as connection:
            directory = await read_directory(connection)
        store = LeaseStore(client)
        await load_pools(store, directory)
        await _day(store)
        history = History(client, postgres, directory.slots)
        while await history.drain_all():
            pass
        await _calls(postgres)
        settings = WebSettings(redis_url=valkey_url, postgres_url=database, token_keys=(KEY,))
        async with AsyncTestClient(create_app(settings)) as http:
            here = Lets(http, postgres, {})
            for account in (1, 2, 3):
                made = await here.token("leases:read", "appeals:read", account=account)
                here.secrets[account] = made.secret
            yield here
    finally:
        await close_client(client)
        await postgres.close()


async def _day(store: LeaseStore) -> None:
    """On the shared number: ours, theirs, ours, theirs that runs. One of theirs on the number of theirs alone."""
    for place, (name, account, site) in enumerate((("ours-1", 2, 1), ("foreign-1", 3, 3), ("ours-2", 2, 1))):
        session = visit(name, f"{name}-visitor", account=account, site=site)
        await store.allocate(pool_slot(1), session, now=START + place * 60 * MINUTE)
    await store.allocate(pool_slot(1), visit("foreign-2", "foreign-visitor", account=3, site=3))
    await store.allocate(pool_slot(2), visit("foreign-3", "foreign-visitor-3", account=3, site=3), now=START)
    await store.call_started(pool_slot(1), SHARED, "foreign-call")  # type: ignore[arg-type] # a number


async def _calls(postgres: Any) -> None:
    for account, minutes, caller in ((2, 5, "79160000002"), (3, 65, "79160000003"), (2, 125, "79160000002")):
        await postgres.execute(
            """INSERT INTO appeals (account_id, started_at, id, kind, direction, called, customer, status, method)
               VALUES ($1, $2, gen_random_uuid(), 'call', 'inbound', $3, $4, 'answered', 'holder')""",
            account, START + minutes * MINUTE, SHARED, caller,
        )  # fmt: skip


def play(valkey_url: str, database: str, scene: Callable[[Lets], Awaitable[None]]) -> None:
    async def run() -> None:
        async with api(valkey_url, database) as here:
            await scene(here)

    asyncio.run(run())


def when(at: datetime) -> str:
    return quote(at.isoformat())


def refused(response: Any, status: int, kind: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"] in (f"/problems/{kind}", kind)


def test_an_account_sees_its_leases_and_of_others_only_that_they_are_others(valkey_url: str, database: str) -> None:
    async def scene(here: Lets) -> None:
        ours, theirs, operator = (here.as_account(account) for account in (2, 3, 1))
        at = f"/leases?number={SHARED}&at="
        first = (await ours.get(at + when(START + 10 * MINUTE))).json()
        assert (first["state"], first["holder"]["session"], first["holder"]["source"]) == ("leased", "ours-1", "yandex")
        foreign = await ours.get(at + when(START + 70 * MINUTE))
        assert (foreign.json()["another_account"], foreign.json()["holder"]) == (True, None)
        assert foreign.json()["last_holder"]["session"] == "ours-1"
        now = await ours.get(f"/leases?number={SHARED}")
        assert (now.json()["another_account"], now.json()["now"]["state"]) == (True, "leased")
        assert (now.json()["now"]["calls"], now.json()["now"]["next_at"]) == ([], None)
        line = await ours.get(f"/numbers/{SHARED}/timeline")
        for told in (foreign, now, line):
            assert not [secret for secret in SECRETS if secret in told.text]
        assert (await theirs.get(at + when(START + 70 * MINUTE))).json()["holder"]["session"] == "foreign-1"
        assert (await operator.get(at + when(START + 70 * MINUTE))).json()["holder"]["session"] == "foreign-1"
        assert (await operator.get(at + when(START + 10 * MINUTE))).json()["holder"]["session"] == "ours-1"

    play(valkey_url, database, scene)


def test_a_timeline_is_told_page_by_page_and_whole(valkey_url: str, database: str) -> None:
    async def scene(here: Lets) -> None:
        for account, leases, calls in ((1, 4, 3), (2, 2, 2), (3, 2, 1)):
            asker = here.as_account(account)
            span = f"/numbers/{SHARED}/timeline?since={when(START - MINUTE)}&until={when(datetime.now(UTC))}"
            whole = (await asker.get(span)).json()
            kinds = [item["kind"] for item in whole["items"]]
            assert (kinds.count("lease"), kinds.count("call"), whole["next"]) == (leases, calls, None)
            assert ("another_account" in kinds) == (account != 1)
            starts = [item["started_at"] for item in whole["items"]]
            assert starts == sorted(starts)
            paged: list[Any] = []
            cursor = ""
            for _ in range(20):
                page = (await asker.get(f"{span}&limit=1{cursor}")).json()
                paged += page["items"]
                if page["next"] is None:
                    break
                cursor = f"&cursor={page['next']}"
            assert paged == whole["items"]

    play(valkey_url, database, scene)


def test_of_others_a_timeline_tells_whole_hours(valkey_url: str, database: str) -> None:
    async def scene(here: Lets) -> None:
        told = (await here.as_account(2).get(f"/numbers/{SHARED}/timeline?since={when(START)}")).json()
        busy = [item for item in told["items"] if item["kind"] == "another_account"]
        assert busy
        for item in busy:
            assert set(item) == {"kind", "started_at", "ended_at"}
            assert item["started_at"].endswith(":00:00Z")
            assert item["ended_at"].endswith(":00:00Z")

    play(valkey_url, database, scene)


def test_who_called_is_told_to_those_who_may_read_appeals(valkey_url: str, database: str) -> None:
    async def scene(here: Lets) -> None:
        span = f"/numbers/{SHARED}/timeline?since={when(START)}"
        assert "79160000002" in (await here.as_account(2).get(span)).text
        plain = Api(here.client, (await here.token("leases:read")).secret)
        told = await plain.get(span)
        assert told.status_code == 200
        assert "79160000002" not in told.text

    play(valkey_url, database, scene)


def test_foreign_and_unknown_numbers_are_refused_alike(valkey_url: str, database: str) -> None:
    async def scene(here: Lets) -> None:
        ours = here.as_account(2)
        answers = []
        for number in (OTHERS_ONLY, "74959999999"):
            for path in (f"/leases?number={number}", f"/numbers/{number}/timeline"):
                answer = await ours.get(path)
                refused(answer, 404, "unknown-number")
                answers.append(answer.text)
        assert len({*answers}) == 1
        assert (await here.as_account(3).get(f"/leases?number={OTHERS_ONLY}")).status_code == 200
        assert (await here.as_account(1).get(f"/leases?number={OTHERS_ONLY}")).status_code == 200
        refused(await here.as_account(1).get("/leases?number=74959999999"), 404, "unknown-number")

    play(valkey_url, database, scene)


def test_no_token_or_a_wrong_revoked_expired_or_narrow_one_is_refused(valkey_url: str, database: str) -> None:
    async def scene(here: Lets) -> None:
        path = f"/leases?number={SHARED}"
        refused(await Api(here.client).get(path), 401, "no-token")
        basic = Api(here.client)
        basic.headers = {"authorization": "Basic YTpi"}
        refused(await basic.get(path), 401, "no-token")
        for wrong in ("nonsense", "crt_" + "a" * 43, here.secrets[2] + "x", "crt_'; DROP TABLE tokens; --"):
            refused(await Api(here.client, wrong).get(path), 401, "invalid-token")
        narrow = await here.token("numbers:read")
        refused(await Api(here.client, narrow.secret).get(path), 403, "missing-scope")
        past = await here.token("leases:read", expires_at=datetime.now(UTC) - MINUTE)
        refused(await Api(here.client, past.secret).get(path), 401, "invalid-token")
        good = await here.token("leases:read")
        assert (await Api(here.client, good.secret).get(path)).status_code == 200
        async with here.postgres.acquire() as connection:
            assert await tokens.revoke_token(connection, good.id)
            assert not await tokens.revoke_token(connection, good.id)
            stored = await connection.fetchval("SELECT string_agg(t::text, ' ') FROM tokens t")
            assert good.secret not in stored
            assert await connection.fetchval("SELECT last_used_at FROM tokens WHERE id = $1", good.id)
        refused(await Api(here.client, good.secret).get(path), 401, "invalid-token")

    play(valkey_url, database, scene)


def test_who_guesses_is_slowed_down_and_a_right_token_beside_him_is_not(valkey_url: str, database: str) -> None:
    async def scene(here: Lets) -> None:
        path = f"/leases?number={SHARED}"
        assert (await here.as_account(2).get(path)).status_code == 200
        answers = [await Api(here.client, f"crt_{place:043}").get(path) for place in range(14)]
        assert [answer.status_code for answer in answers].count(401) in (10, 11)
        refused(answers[-1], 429, "too-many-wrong-tokens")
        assert (await here.as_account(2).get(path)).status_code == 200, "known, from the same address"

    play(valkey_url, database, scene)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/leases?number=abc", "bad-number"),
        ("/leases?number=1", "bad-number"),
        ("/leases?number=%00%01", "bad-number"),
        ("/leases?number=" + "7" * 5000, "bad-number"),
        ("/leases", "about:blank"),
        (f"/leases?number={SHARED}&at=yesterday", "bad-time"),
        (f"/leases?number={SHARED}&at=2026-01-31T12:00:00", "bad-time"),
        (f"/leases?number={SHARED}&at=2026-01-31T12:00:00+03:00", "bad-time"),
        (f"/leases?number={SHARED}&at=9999-12-31T23:59:59Z", "bad-time"),
        (f"/leases?number={SHARED}&at=0001-01-01T00:00:00%2B14:00", "bad-time"),
        (f"/numbers/{SHARED}/timeline?since=2026-03-02T00:00:00Z&until=2026-03-01T00:00:00Z", "bad-span"),
        (f"/numbers/{SHARED}/timeline?since=2016-03-02T00:00:00Z", "bad-span"),
        (f"/numbers/{SHARED}/timeline?cursor=nonsense", "bad-cursor"),
        (f"/numbers/{SHARED}/timeline?cursor=AAAA", "bad-cursor"),
        (f"/numbers/{SHARED}/timeline?limit=0", "about:blank"),
        (f"/numbers/{SHARED}/timeline?limit=1000000", "about:blank"),
        (f"/numbers/{SHARED}/timeline?limit=x", "about:blank"),
        ("/numbers/'; DROP TABLE leases; --/timeline", "bad-number"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_the_mend(valkey_url: str, database: str, path: str, kind: str) -> None:
    async def scene(here: Lets) -> None:
        answer = await here.as_account(2).get(path)
        refused(answer, 400, kind)
        assert answer.json()["detail"]

    play(valkey_url, database, scene)


def test_servers_that_are_away_are_told(valkey_url: str, database: str) -> None:
    async def scene(here: Lets) -> None:
        nowhere = f"127.0.0.1:{free_port()}"
        no_redis = WebSettings(redis_url=f"redis://{nowhere}/0", postgres_url=database, token_keys=(KEY,))
        async with AsyncTestClient(create_app(no_redis)) as http:
            told = (await Api(http, here.secrets[2]).get(f"/leases?number={SHARED}")).json()
            assert (told["sources"], len(told["missing"])) == (["history"], 1)
            assert not [secret for secret in SECRETS if secret in json.dumps(told)]
        no_postgres = WebSettings(redis_url=valkey_url, postgres_url=f"postgresql://x@{nowhere}/x", token_keys=(KEY,))
        async with AsyncTestClient(create_app(no_postgres)) as http:
            refused(await Api(http, here.secrets[2]).get(f"/leases?number={SHARED}"), 503, "database-away")

    play(valkey_url, database, scene)


def test_the_description_names_what_there_is_and_its_examples_are_true(valkey_url: str, database: str) -> None:
    async def scene(here: Lets) -> None:
        answer = await Api(here.client).get("/openapi.json")
        described = answer.json()
        assert answer.status_code == 200
        assert {"/api/v1/leases", "/api/v1/numbers/{number}/timeline"} <= set(described["paths"])
        assert not [path for path in described["paths"] if not path.startswith(("/api/v1/", "/v/{site}/"))]
        assert described["components"]["schemas"]["LeaseItem"]["properties"]["kind"] == {"const": "lease"}
        assert described["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
        refused(await Api(here.client).get("/nonsense"), 404, "about:blank")

    play(valkey_url, database, scene)
    msgspec.convert(examples.HOLDING, Holding, strict=False)
    kinds = (LeaseItem, CallItem, OthersItem)
    for kind, item in zip(kinds, examples.TIMELINE["items"], strict=True):  # type: ignore[call-overload] # a list
        assert set(item) == {"kind", *kind.__struct_fields__}
        msgspec.convert(item, kind, strict=False)
    assert set(examples.HOLDING) == set(Holding.__struct_fields__)


def test_postgres_itself_tells_an_account_nothing_of_others_whatever_it_is_asked(
    valkey_url: str, database: str
) -> None:
    async def scene(here: Lets) -> None:
        async with scoped(here.postgres, 2) as conn:
            assert not await conn.fetch("SELECT * FROM leases WHERE account_id <> 2")
            assert not await conn.fetch("SELECT * FROM number_standing($1, 1)", OTHERS_ONLY)
            at = START + 10 * MINUTE
            assert await conn.fetchval("SELECT held_by_another($1, $2, 1)", SHARED, at) is False, "its own lease"
            assert await conn.fetchval("SELECT held_by_another($1, $2, 3)", SHARED, at) is False
            assert not await conn.fetch("SELECT * FROM hours_of_others($1, $2, now(), 1)", OTHERS_ONLY, at)
            assert not await conn.fetch("SELECT * FROM tokens WHERE account_id <> 2")

    play(valkey_url, database, scene)


def test_tokens_are_made_listed_and_revoked_by_command(database: str) -> None:
    def run(*words: str) -> Any:
        return CliRunner().invoke(main, ["token", *words], env={"CALLROUTER_POSTGRES_URL": database})

    operator = "Неопознанный трафик"
    made = run("add", "--account", operator, "--name", "CRM", "--scope", "leases:read", "--scope", "leases:read")
    assert made.exit_code == 0, made.output
    told = json.loads(made.stdout)
    assert (told["account"], told["scopes"], told["expires_at"]) == (1, ["leases:read"], None)
    assert tokens.TOKEN.fullmatch(told["secret"])
    listed = run("list")
    assert json.loads(listed.stdout)["name"] == "CRM"
    assert told["secret"] not in listed.stdout
    assert run("revoke", str(told["token"])).exit_code == 0
    assert run("revoke", str(told["token"])).exit_code == 1
    wrong = (
        ("--account", "никто", "--name", "x", "--scope", "leases:read"),
        ("--account", operator, "--name", "x", "--scope", "everything"),
        ("--account", operator, "--name", "x", "--scope", "leases:read", "--expires", "2020-01-01"),
        ("--account", operator, "--name", " ", "--scope", "leases:read"),
    )
    for words in wrong:
        result = run("add", *words)
        assert result.exit_code != 0
        assert "Traceback" not in result.output
