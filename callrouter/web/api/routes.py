"""The API's router and its description. What is answered is decided by the handlers' modules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from litestar import MediaType, Request, Router
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme

from callrouter import __version__
from callrouter.journal.formats import MEDIA_TYPES
from callrouter.pool.timeline import Item
from callrouter.web.api.files import OF_ITS_FORMAT
from callrouter.web.visitor.description import described

BASE = "/api/v1"
BINARY = {"type": "string", "format": "binary"}


def api_router(handlers: Sequence[HTTPRouteHandler]) -> Router:
    return Router(BASE, route_handlers=handlers, security=[{"bearer": []}])


class Description(JsonRenderPlugin):
    """As the framework makes it, with what it leaves out: `kind`, which tells the items of a timeline apart, and the
    page's calls, which do without it."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        schemas = openapi_schema["components"]["schemas"]
        for item in get_args(Item):
            told = schemas[item.__name__]
            told["properties"]["kind"] = {"const": item.__struct_config__.tag}
            told["required"] = sorted({*told.get("required", ()), "kind"})
        for path in openapi_schema["paths"].values():
            for operation in path.values():
                _describe_formats(operation)
        described(openapi_schema)
        return super().render(request, openapi_schema)


def _describe_formats(operation: dict[str, Any]) -> None:
    """The types of the files that it answers with, by its parameter `format`."""
    formats = [each["schema"] for each in operation.get("parameters", []) if each["name"] == "format"]
    for asked in formats:
        content = operation["responses"]["200"]["content"]
        content.pop(OF_ITS_FORMAT, None)
        content.update({MEDIA_TYPES[name]: {"schema": BINARY} for name in asked["enum"] if name in MEDIA_TYPES})


def openapi_config() -> OpenAPIConfig:
    """GET /api/v1/openapi.json; what is not of the API keeps itself out of it."""
    return OpenAPIConfig(
        title="callrouter",
        version=__version__,
        description="Each token sees its own account; a token of account 1, the operator's, sees all.",
        path=f"{BASE}/openapi.json",
        render_plugins=[Description(path="/", media_type=MediaType.JSON)],
        components=Components(
            security_schemes={
                "bearer": SecurityScheme(
                    type="http", scheme="bearer", description="Made by `callrouter token add --account A --scope S`."
                )
            }
        ),
        create_examples=False,
    )
