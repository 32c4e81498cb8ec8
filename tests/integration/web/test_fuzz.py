"""Anything a hostile page can send: kept as text or refused with a problem document, never a fault of ours."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st
from litestar.testing import AsyncTestClient

from callrouter.db.connect import connect, open_pool
from callrouter.pool.connect import close_client, open_client
from callrouter.pool.history import History
from callrouter.pool.keys import pool_slot
from callrouter.web.app import create_app
from callrouter.web.settings import WebSettings
from tests.integration.web.test_forms import appeals, with_journal
from tests.integration.web.test_visitor_calls import CHROME, ORIGIN, settings

__all__ = ["settings"]

HOSTILE = (
    "", "\x00", "\ud800", "\u202eabc\u202c", "🙂" * 3000, "'; DROP TABLE visits;--", "=cmd|'/c calc'!A1",
    "<script>" * 50,
    "x" * 10_000, "{keyword}", "%00%ff%zz", "../../etc/passwd", "${jndi:ldap://x}", "\r\nSet-Cookie: a=b", "١٢٣",
)  # fmt: skip
FIELDS = (
    "url", "referrer", "title", "visitor", "token", "request", "human", "again", "ga_client_id", "ym_client_id",
    "ga_session_id", "ym_counter", "closed", "unknown", "phone", "at", "name", "comment",
)  # fmt: skip
ANSWERS = {200, 400, 403, 404, 405, 408, 410, 413, 422, 429, 503}


def bodies() -> st.SearchStrategy[bytes]:
    text = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=60))
    url = text.map(lambda tail: f"{ORIGIN}/?utm_source={tail}&gclid={tail}#{tail}")
    value = st.one_of(text, url, st.none(), st.booleans(), st.integers(), st.floats(), st.lists(text, max_size=3))
    said = st.fixed_dictionaries({"url": url}, optional={name: value for name in FIELDS if name != "url"})
    as_json = st.one_of(said, st.dictionaries(st.sampled_from(FIELDS), value)).map(
        lambda body: json.dumps(body).encode("utf-8", "surrogatepass")
    )
    return st.one_of(st.binary(max_size=300), as_json)


def test_no_body_path_or_header_is_a_fault_of_ours(settings: WebSettings) -> None:
    async def scenario(sent: list[tuple[str, bytes]]) -> None:
        connection = await connect(settings.postgres_url)
        await connection.execute("UPDATE sites SET callback = $1", {"enabled": True, "route": "sales"})
        await connection.close()
        async with AsyncTestClient(create_app(settings)) as client:
            chance = random.Random(1)
            for call, body in sent:
                headers = {"user-agent": chance.choice((CHROME, "", "x" * 5000)), "origin": ORIGIN}
                response = await client.post(f"/v/1/{call}", content=body, headers=headers)
                checked(response)

    def checked(response: Any) -> None:
        assert response.status_code in ANSWERS, (response.status_code, response.text)
        if response.status_code != 200:
            assert response.headers["content-type"] == "application/problem+json"

    sent: list[tuple[str, bytes]] = [
        ("visit", b"[" * 16_000), ("visit", b'{"url":' * 2000), ("visit", b"x" * 17_000), ("alive", b'{"token":1}'),
        ("visit", b'{"url":"https://shop.example/","url":1}'), ("visit", b"\xff\xfe{}"), ("alive", b"[]"),
    ]  # fmt: skip

    @given(st.sampled_from(("visit", "alive", "callback")), bodies())
    @how(max_examples=400, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def collect(call: str, body: bytes) -> None:
        sent.append((call, body))

    collect()
    asyncio.run(scenario(sent))


def test_hostile_paths_and_headers_are_refused(settings: WebSettings) -> None:
    async def scenario() -> None:
        async with AsyncTestClient(create_app(settings)) as client:
            for path in (
                "/v//visit",
                "/v/-1/visit",
                "/v/1.0/visit",
                "/v/%00/visit",
                "/v/1/visit/",
                "/v/1/nothing",
                "/v/٣/alive",
            ):
                response = await client.post(path, content=b"{}")
                assert response.status_code in {404, 405}, path
            for name, value in (
                ("x-forwarded-for", "a" * 5000), ("x-forwarded-for", ",,,::ffff:1.2.3.4%eth0,"), ("origin", "null"),
                ("origin", "https://shop.example.evil"), ("sec-ch-ua", '"' * 3000), ("sec-ch-ua-platform", "\xff\xfe"),
                ("sec-purpose", "prefetch;prerender"), ("content-type", "multipart/form-data"),
            ):  # fmt: skip
                headers = [("user-agent", CHROME), (name, value.encode("latin-1"))]
                response = await client.post("/v/1/visit", content=json.dumps({"url": ORIGIN}), headers=headers)  # type: ignore[arg-type]
                assert response.status_code == (403 if name == "origin" else 200), (name, value, response.text)

    asyncio.run(scenario())


def described_values(schema: dict[str, Any], known: dict[str, Any], depth: int = 3) -> st.SearchStrategy[Any]:
    """Values that the schema allows, hostile where it allows text, and now and then one that it does not."""
    if "$ref" in schema:
        return described_values(known[schema["$ref"].rpartition("/")[2]], known, depth)
    if "anyOf" in schema:
        return st.one_of([described_values(each, known, depth) for each in schema["anyOf"]])
    kinds = {
        "string": st.one_of(st.sampled_from(HOSTILE), st.text(max_size=40)), "boolean": st.booleans(),
        "integer": st.integers(), "number": st.floats(), "null": st.none(),
    }  # fmt: skip
    kind = schema.get("type")
    if kind == "array":
        return st.lists(described_values(schema["items"], known, depth - 1), max_size=depth)
    if kind == "object" and "properties" in schema:
        values = {name: described_values(each, known, depth - 1) for name, each in schema["properties"].items()}
        needed = schema.get("required", ())
        return st.fixed_dictionaries(
            {name: values[name] for name in needed},
            optional={name: each for name, each in values.items() if name not in needed},
        )
    if kind == "object":
        rest = schema.get("additionalProperties")
        value = described_values(rest, known, depth - 1) if isinstance(rest, dict) else st.none()
        return st.dictionaries(kinds["string"], value, max_size=depth)
    return kinds.get(str(kind), st.one_of(*kinds.values()))


def astray(body: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """The same with one value of another kind, once in a while."""
    if body and chance.random() < 0.3:
        return body | {
            chance.choice(list(body)): chance.choice((None, 1, [], {}, True, [[[]]] * 50, -1e308, "x" * 9000))
        }
    return body


def test_what_the_served_description_allows_is_done_or_refused_as_it_says(
    settings: WebSettings, tmp_path: Path
) -> None:
    async def description() -> dict[str, Any]:
        async with AsyncTestClient(create_app(settings)) as client:
            told: dict[str, Any] = (await client.get("/api/v1/openapi.json")).json()
            return told

    async def send(sent: list[tuple[str, dict[str, Any]]]) -> None:
        async with AsyncTestClient(create_app(with_journal(settings, tmp_path))) as client:
            page = {"user-agent": CHROME, "origin": ORIGIN}
            visit = await client.post("/v/1/visit", content=json.dumps({"url": f"{ORIGIN}/"}), headers=page)
            chance = random.Random(2)
            for path, body in sent:
                known = {"url": f"{ORIGIN}/?a={body.get('url', '')}", "token": visit.json()["token"]}
                said = body | known if chance.random() < 0.7 else body
                content = json.dumps(astray(said, chance)).encode("utf-8", "surrogatepass")
                answer = await client.post(path.replace("{site}", "1"), content=content, headers=page)
                responses = paths[path]["post"]["responses"]
                assert str(answer.status_code) in responses, (path, body, answer.text)
                [media] = responses[str(answer.status_code)]["content"]
                assert answer.headers["content-type"] == media

    told = asyncio.run(description())
    paths = {path: each for path, each in told["paths"].items() if path.startswith("/v/")}
    assert {path.rpartition("/")[2] for path in paths} == {"visit", "alive", "form", "callback"}
    sent: list[tuple[str, dict[str, Any]]] = []

    def schema_of(path: str) -> dict[str, Any]:
        found: dict[str, Any] = paths[path]["post"]["requestBody"]["content"]["text/plain"]["schema"]
        return found

    bodies = {path: described_values(schema_of(path), told["components"]["schemas"]) for path in paths}

    @given(st.sampled_from(sorted(paths)).flatmap(lambda path: st.tuples(st.just(path), bodies[path])))
    @how(max_examples=300, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def collect(each: tuple[str, dict[str, Any]]) -> None:
        sent.append(each)

    collect()
    asyncio.run(send(sent))


def test_hostile_text_in_every_field_stands_in_postgres_as_it_was_sent(settings: WebSettings, tmp_path: Path) -> None:
    """Cut to its length, and without what Postgres cannot hold."""
    kept = [text[:400] for text in HOSTILE if text and "\ud800" not in text]

    def plain(text: str, length: int) -> str:
        return text[:length].replace("\x00", "\ufffd")

    async def scenario() -> None:
        postgres, store = await open_pool(settings.postgres_url, size=2), open_client(settings.redis_url)
        tolerant = msgspec.structs.replace(with_journal(settings, tmp_path), trusted_proxies=())
        async with AsyncTestClient(create_app(tolerant)) as client:
            headers = {"user-agent": CHROME, "origin": ORIGIN}
            for number, text in enumerate(kept):
                body = {
                    "url": f"{ORIGIN}/{text}",
                    "title": text,
                    "referrer": text,
                    "request": f"{number}",
                    "human": False,
                }
                answer = await client.post("/v/1/visit", content=msgspec.json.encode(body), headers=headers)
                assert answer.status_code == 200, answer.text
                said = {"url": f"{ORIGIN}/{text}", "title": text, "form": text, "comment": text, "name": text,
                        "fields": {"note": text}, "token": answer.json()["token"]}  # fmt: skip
                assert (
                    await client.post("/v/1/form", content=msgspec.json.encode(said), headers=headers)
                ).status_code == 200
            rows = await appeals(settings.postgres_url, len(kept))
        history = History(store, postgres, lambda: [pool_slot(1)])
        while await history.drain_all():
            pass
        visits = await postgres.fetch("SELECT title, referrer, landing_page FROM visits ORDER BY started_at")
        assert [row["title"] for row in visits] == [plain(text, 300) for text in kept]
        assert [row["referrer"] for row in visits] == [plain(text, 2048) for text in kept]
        assert [row["landing_page"] for row in visits] == [plain(f"{ORIGIN}/{text}", 2048) for text in kept]
        comments = [row["details"]["fields"].get("comment", "") for row in rows]
        assert comments == [plain(text.strip(), 2000).strip() for text in kept]
        assert [row["title"] for row in rows] == [plain(text, 300) for text in kept]
        await close_client(store)
        await postgres.close()

    asyncio.run(scenario())
