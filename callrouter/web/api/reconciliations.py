"""GET /api/v1/reconciliations: what comparing the appeals with the PBXs' own records found."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter

from callrouter.appeals.proofs import Proof, proofs
from callrouter.pool.directory import OPERATOR
from callrouter.web.api import examples
from callrouter.web.api.access import Access, ApiRequest
from callrouter.web.api.reading import Reading
from callrouter.web.metrics import API_SECONDS
from callrouter.web.problem import Refusal

Pbx = Annotated[str | None, QueryParameter(description="Of this PBX only.", max_length=200)]
Before = Annotated[str | None, QueryParameter(name="cursor", description="`next` of the page before.")]
Limit = Annotated[int, QueryParameter(ge=1, le=500, description="Items of a page.")]
LARGEST = 1 << 62


class Proofs(msgspec.Struct, frozen=True, kw_only=True):
    """The latest first."""

    items: tuple[Proof, ...]
    next: str | None


def reconciliation_handlers(access: Access, reading: Reading) -> list[HTTPRouteHandler]:
    @get(
        "/reconciliations", responses=examples.of(Proofs, examples.PROOFS),
        summary="Whether each call of the PBX has its appeal",
    )  # fmt: skip
    async def reconciliations(request: ApiRequest, pbx: Pbx = None, cursor: Before = None, limit: Limit = 50) -> Proofs:
        """Each comparison that `callrouter reconcile` made, at night, after a gap or by hand, for a year.

        PBXs are the operator's: other accounts' tokens are refused.
        """
        with API_SECONDS.labels(call="reconciliations").time():
            caller = await access.caller(request, "appeals:read")
            if caller.account != OPERATOR:
                raise Refusal(403, "operator-only", "Only the operator may see this", "Use a token of account 1.")
            before = _id_in(cursor)
            async with reading.as_account(caller.account) as conn:
                found = await proofs(conn, pbx=pbx, before=before, limit=limit + 1)
            more = len(found) > limit
            return Proofs(items=tuple(found[:limit]), next=str(found[limit - 1].id) if more else None)

    return [reconciliations]


def _id_in(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdigit() and int(cursor[:20]) < LARGEST):
        detail = "Send back `next` of the page before, unchanged, with the same other parameters."
        raise Refusal(400, "bad-cursor", "That is no cursor of ours", detail)
    return int(cursor)
