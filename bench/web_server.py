"""The web for bench/web.py, one worker process of granian: `REDIS-URL SNAPSHOT PORT`.

It is the product as it is, with two endpoints beside it that read the body and answer nothing: `/empty` is written for
ASGI with no framework, `/framework` for Litestar.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from litestar import Request, post

from callrouter.web.app import create_app
from callrouter.web.serve import serve
from callrouter.web.settings import WebSettings


def load(settings: WebSettings, *_: object) -> Any:
    app = create_app(settings)

    @post("/framework", status_code=204)
    async def framework(request: Request[Any, Any, Any]) -> None:
        await request.body()

    app.register(framework)

    async def with_empty(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == "/empty":
            while (await receive()).get("more_body"):
                pass
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})
        else:
            await app(scope, receive, send)

    return with_empty


if __name__ == "__main__":
    settings = WebSettings(
        redis_url=sys.argv[1], postgres_url="postgresql://nobody@127.0.0.1:1/none", snapshot=Path(sys.argv[2]),
        token_keys=(b"the key of a benchmark, long",), log_level="error",
    )  # fmt: skip
    serve(settings, port=int(sys.argv[3]), load=load)
