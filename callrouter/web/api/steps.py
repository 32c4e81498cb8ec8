"""GET /api/v1/appeals/{appeal}/steps: what happened in a call, moment by moment; as `.svg` for people."""

from __future__ import annotations

from uuid import UUID

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from callrouter.appeals.steps import Steps, steps_of
from callrouter.pool.directory import OPERATOR
from callrouter.web.api import examples
from callrouter.web.api.access import Access, ApiRequest
from callrouter.web.api.reading import Reading
from callrouter.web.api.step_picture import drawn
from callrouter.web.metrics import API_SECONDS
from callrouter.web.problem import Refusal

SVG = "image/svg+xml"
NO_SCRIPTS = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}


def step_handlers(access: Access, reading: Reading) -> list[HTTPRouteHandler]:
    async def found(request: ApiRequest, appeal: UUID) -> Steps:
        caller = await access.caller(request, "appeals:read")
        async with reading.as_account(caller.account) as conn:
            told = await steps_of(conn, appeal, account=None if caller.account == OPERATOR else caller.account)
        if told is None:
            raise Refusal(404, "unknown-call", "No such call", "It is not one of yours, or the appeal is no call.")
        return told

    @get("/appeals/{appeal:uuid}/steps", responses=examples.of(Steps, examples.STEPS), summary="A call's timeline")
    async def steps(request: ApiRequest, appeal: FromPath[UUID]) -> Steps:
        """What happened, in order: menus, groups entered and left, phones that rang, transfers, holds, the end."""
        with API_SECONDS.labels(call="steps").time():
            return await found(request, appeal)

    @get("/appeals/{appeal:uuid}/steps.svg", responses=examples.picture(SVG), summary="A call's timeline, drawn")
    async def picture(request: ApiRequest, appeal: FromPath[UUID]) -> Response[str]:
        """The same for people: what the customer heard, and each phone that rang, over time."""
        with API_SECONDS.labels(call="steps").time():
            return Response(drawn(await found(request, appeal)), media_type=SVG, headers=NO_SCRIPTS)

    return [steps, picture]
