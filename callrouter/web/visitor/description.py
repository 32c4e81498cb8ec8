"""The page's calls in OpenAPI, from the types that are decoded: the framework does not know these calls."""

from __future__ import annotations

from typing import Any

import msgspec

from callrouter.web.problem import MEDIA_TYPE, Problem
from callrouter.web.visitor import messages

REFERENCE = "#/components/schemas/{name}"
CALLS: dict[str, tuple[type, type]] = {
    "visit": (messages.VisitRequest, messages.VisitAnswer),
    "alive": (messages.AliveRequest, messages.AliveAnswer),
    "form": (messages.FormRequest, messages.FormAnswer),
    "callback": (messages.CallbackRequest, messages.CallbackAnswer),
}
REFUSALS = {
    "visit": (400, 403, 404, 405, 408, 413, 429, 503),
    "alive": (400, 403, 404, 405, 408, 410, 413, 429, 503),
    "form": (400, 403, 404, 405, 408, 413, 422, 429, 503),
    "callback": (400, 403, 404, 405, 408, 413, 422, 429, 503),
}


def described(schema: dict[str, Any]) -> None:
    """Add the page's calls to an OpenAPI description."""
    types = [each for call in CALLS.values() for each in call]
    told, known = msgspec.json.schema_components([*types, Problem], ref_template=REFERENCE)
    references = dict(zip(types, told, strict=False))
    schema["components"]["schemas"] |= {name: each for name, each in known.items() if name != Problem.__name__}
    for call, (request, answer) in CALLS.items():
        schema["paths"][f"/v/{{site}}/{call}"] = {
            "post": {
                "operationId": f"page_{call}", "summary": (request.__doc__ or "").partition(".")[0], "security": [],
                "parameters": [
                    {"name": "site", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 1}}
                ],
                "requestBody": {"required": True, "content": {"text/plain": {"schema": references[request]}}},
                "responses": {
                    "200": {"description": "Done", "content": {"application/json": {"schema": references[answer]}}},
                    **{str(status): _refusal(told[-1]) for status in REFUSALS[call]},
                },
            }
        }  # fmt: skip


def _refusal(problem: dict[str, Any]) -> dict[str, Any]:
    return {"description": "Refused", "content": {MEDIA_TYPE: {"schema": problem}}}
