"""Anything a hostile page can send: kept as text or refused with a problem document, never a fault of ours."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st
from litestar.testing import AsyncTestClient

from callrouter.db.connect import connect
from callrouter.web.app import WebSettings, create_app
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
