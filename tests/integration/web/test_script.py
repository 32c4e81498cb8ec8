"""GET /w/{site}.js over HTTP."""

from __future__ import annotations

import asyncio
import gzip

from callrouter.db.connect import connect
from callrouter.web.settings import WebSettings
from tests.integration.web.test_visitor_calls import problem, settings, web

__all__ = ["settings"]


def test_a_sites_script_is_cacheable_compressed_and_sets_no_cookie(settings: WebSettings) -> None:
    async def scenario() -> None:
        async with web(settings) as client:
            full = await client.get("/w/1.js", headers={"accept-encoding": "gzip"})
            assert full.status_code == 200
            assert full.headers["content-encoding"] == "gzip"
            assert full.headers["content-type"] == "text/javascript; charset=utf-8"
            assert "max-age" in full.headers["cache-control"]
            assert "set-cookie" not in full.headers
            plain = await client.get("/w/1.js", headers={"accept-encoding": "identity"})
            assert plain.content == full.content
            assert len(gzip.compress(plain.content)) < 4096
            again = await client.get("/w/1.js", headers={"if-none-match": full.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")

    asyncio.run(scenario())


def test_sites_that_are_not_there_have_no_script(settings: WebSettings) -> None:
    async def scenario() -> None:
        async with web(settings) as client:
            for name in ("99.js", "1", "1.css", "x.js", "٣.js", f"{10**30}.js", "-1.js"):
                problem(await client.get(f"/w/{name}"), 404, "unknown-site")

    asyncio.run(scenario())


def test_a_change_of_settings_changes_the_script(settings: WebSettings) -> None:
    async def scenario() -> None:
        async with web(settings) as client:
            first = (await client.get("/w/1.js")).headers["etag"]
            connection = await connect(settings.postgres_url)
            await connection.execute("UPDATE sites SET consent = 'ask', widget = '{\"select\": \".p\"}' WHERE id = 1")
            for _ in range(400):
                found = await client.get("/w/1.js")
                if found.headers["etag"] != first:
                    break
                await asyncio.sleep(0.02)
            assert b'"reserve":1,"select":".p"' in found.content
            await connection.execute("UPDATE sites SET widget = '[1]' WHERE id = 1")
            await connection.close()

    asyncio.run(scenario())
