"""The cookies of signed-in browsers: their names, how they are set, and by what a write proves to come from our pages.

Knows requests and responses; knows no users. A cookie is Secure, and bound to this host by its `__Host-` name, unless
the browser talks to a loopback address, where there is no TLS.
"""

from __future__ import annotations

import hmac
import re
from typing import Any

from litestar import Request
from litestar.datastructures import Cookie

from callrouter.web.problem import Refusal

AnyRequest = Request[Any, Any, Any]

SESSION = "callrouter"
FORM = "callrouter-form"
"""Of browsers that are not signed in: their forms' key."""
DEVICE = "callrouter-device"
"""Says that this browser has signed in before."""
OPENID = "callrouter-openid"
"""Of a browser that is away at the provider: the secret of its attempts, and where to go afterwards."""
LANGUAGE = "callrouter-language"
LOOKED_AT = "callrouter-account"
"""Of the operator's people: the account whose appeals, clients and reports they look at."""
YEAR = 365 * 24 * 3600
FORM_KEY_HEADER = "x-form-key"
SAFE = frozenset(["GET", "HEAD", "OPTIONS"])
LOOPBACK = re.compile(r"(?:(?:.+\.)?localhost|127\.\d+\.\d+\.\d+|\[::1\])(?::\d+)?", re.IGNORECASE)


def is_loopback(request: AnyRequest) -> bool:
    return LOOPBACK.fullmatch(request.headers.get("host", "")) is not None


def shown(request: AnyRequest, name: str) -> str:
    """The cookie's value, or ''. Elsewhere than on loopback only the bound name counts, which no other host can set."""
    return request.cookies.get(name if is_loopback(request) else f"__Host-{name}", "")


def made(request: AnyRequest, name: str, value: str, *, seconds: int | None = None) -> Cookie:
    """To be set; `seconds` None: until the browser is closed; 0: at once forgotten."""
    loopback = is_loopback(request)
    return Cookie(
        key=name if loopback else f"__Host-{name}", value=value, max_age=seconds, path="/", httponly=True,
        samesite="lax", secure=not loopback,
    )  # fmt: skip


def require_own_page(request: AnyRequest, given: str, key: str) -> None:
    """A write comes from a page of ours: it has the key that stands there. Raises Refusal."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Refusal(403, "foreign-origin", "This was sent by another site", "Nothing was changed.")
    if not key or not hmac.compare_digest(given.encode(), key.encode()):
        detail = "Open the page anew and send it again; programs send a bearer token, scripts the header X-Form-Key."
        raise Refusal(403, "no-form-key", "This was sent by no page of ours, or by an old one", detail)
