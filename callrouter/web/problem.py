"""Refusals as problem documents (RFC 9457). What is refused never becomes a 500, nor says more than it must."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import ClientException, HTTPException, ValidationException

from callrouter.numbers import masked
from callrouter.web import metrics

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    type: str
    title: str
    status: int
    detail: str = ""


INTERNAL = Problem(type="about:blank", title="Something went wrong here", status=500)


class Refusal(Exception):
    """A request that is refused: `kind` names the reason in the document and in the metrics."""

    def __init__(self, status: int, kind: str, title: str, detail: str = "", *, retry_s: int = 0) -> None:
        super().__init__(title)
        self.retry_s = retry_s
        self.problem = Problem(type=f"/problems/{kind}", title=title, status=status, detail=detail)
        self.kind = kind


class JsonRequest(Request[Any, Any, Any]):
    """A request whose body may be anything: what the framework's decoder does not expect is no fault of ours."""

    async def json(self) -> Any:
        try:
            return await super().json()
        except (UnicodeDecodeError, RecursionError) as error:  # not UTF-8 inside a string, nested without end
            raise ClientException("The body is not what this call expects") from error


def refused(request: Request[Any, Any, Any], refusal: Refusal) -> Response[bytes]:
    metrics.REFUSED.labels(reason=refusal.kind).inc()
    return _response(request, refusal.problem)


def refused_by_framework(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Unknown paths, wrong methods, bodies over the limit."""
    metrics.REFUSED.labels(reason=f"http_{error.status_code}").inc()
    title = {404: "No such page", 405: "Method not allowed", 413: "The body is too large"}.get(error.status_code)
    detail = _what_is_wrong(error) if isinstance(error, ValidationException) else ""
    problem = Problem(
        type="about:blank", title=title or "The request is refused", status=error.status_code, detail=detail
    )
    return _response(request, problem)


def _what_is_wrong(error: ValidationException) -> str:
    """Which parameter does not fit, and why; never what was sent."""
    faults = error.extra if isinstance(error.extra, list) else []
    if not faults:
        return error.detail.partition(" for path ")[0] if error.detail.startswith("Missing required") else ""
    return "; ".join(f"{fault.get('key', '')}: {fault.get('message', '')}" for fault in faults)[:200]


def failed(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Our own fault: counted, logged with its trace, told without details."""
    metrics.FAILED.inc()
    path = re.sub(r"\d{7,}", lambda number: masked(number[0]), request.url.path)
    log.error("WEB-FAILED", path=path, reason=str(error), exc_info=error)
    return _response(request, INTERNAL)


def _response(request: Request[Any, Any, Any], problem: Problem) -> Response[bytes]:
    origin = request.headers.get("origin")
    headers = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"} if origin else {}
    return Response(msgspec.json.encode(problem), status_code=problem.status, media_type=MEDIA_TYPE, headers=headers)
