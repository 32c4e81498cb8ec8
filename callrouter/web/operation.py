"""/health (the process runs), /ready (it can do its work now), /metrics. On each web process."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

Check = Callable[[], Awaitable[str]]
"""'' if all is well, else what is wrong, in one line."""


def operation_handlers(checks: Mapping[str, Check]) -> list[HTTPRouteHandler]:
    @get("/health", sync_to_thread=False)
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @get("/ready")
    async def ready() -> Response[bytes]:
        found = {name: await check() for name, check in checks.items()}
        well = not any(found.values())
        told = {name: trouble or "ok" for name, trouble in found.items()}
        return Response(
            msgspec.json.encode({"status": "ok" if well else "not ready", **told}),
            status_code=200 if well else 503,
            media_type="application/json",
        )

    @get("/metrics", sync_to_thread=False)
    def metrics() -> Response[bytes]:
        return Response(generate_latest(_registry()), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return [health, ready, metrics]


def _registry() -> CollectorRegistry:
    """Of all worker processes together, if there are several."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # the library has no type for it
    return registry
