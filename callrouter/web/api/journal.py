"""/api/v1/appeals: the journal by filters, an appeal in full, and what people write about it."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, get, patch
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter

from callrouter.journal import listing, notes, row
from callrouter.journal.appeal import AppealInFull, read_appeal
from callrouter.journal.notes import Note, NoteChange, Stale
from callrouter.people import audit
from callrouter.web.api import examples, journal_examples
from callrouter.web.api.access import Access, ApiRequest
from callrouter.web.api.filtered import Asking, OfAppeals, cursor_read, fitting
from callrouter.web.metrics import API_SECONDS
from callrouter.web.problem import Refusal

BODY_LIMIT = 64 * 1024
OWN = ("account", "fields", "sort", "cursor", "limit", "count")
AccountAsked = Annotated[int | None, QueryParameter(ge=1, le=2**63 - 1, description="The operator's tokens: whose.")]
CursorAsked = Annotated[str | None, QueryParameter(description="`next` of the page before.")]
Fields = Annotated[
    list[str] | None, QueryParameter(description="Names, several or with commas; all but the long ones if not given.")
]
Sort = Annotated[listing.Sort, QueryParameter(description="With - the largest or latest first.")]
Limit = Annotated[int, QueryParameter(ge=1, le=listing.LONGEST_PAGE, description="Rows of a page.")]
Counted = Annotated[bool, QueryParameter(description="Say how many there are in all.")]
Seen = Annotated[
    str | None, HeaderParameter(name="If-Match", description="ETag of the note that was seen; * for whichever.")
]


class Appeals(msgspec.Struct, frozen=True, kw_only=True):
    """`total`, where it was asked for: of all pages; if `more`, there are still more than that."""

    items: tuple[row.AppealTold, ...]
    next: str | None
    total: int | None = None
    more: bool = False


class Tags(msgspec.Struct, frozen=True, kw_only=True):
    """Those used most come first. `next` is always null: there are few."""

    items: tuple[str, ...]
    next: str | None = None


def journal_handlers(access: Access, asking: Asking) -> list[HTTPRouteHandler]:
    @get(
        "/appeals", responses=examples.of(Appeals, journal_examples.APPEALS), operation_class=OfAppeals,
        summary="The journal of appeals",
    )  # fmt: skip
    async def appeals(
        request: ApiRequest, *, account: AccountAsked = None, fields: Fields = None, sort: Sort = "-started_at",
        cursor: CursorAsked = None, limit: Limit = 100, count: Counted = False,
    ) -> Appeals:  # fmt: skip
        """Every field can be filtered: `channel=paid_search`, `campaign.has=summer`, `talk_s.min=60`, `tag.not=spam`.
        Without a period all there is; the newest first."""
        with API_SECONDS.labels(call="journal").time():
            caller = await access.caller(request, "appeals:read")
            names = fitting(lambda: fields_in(fields), "bad-field", "There is no such field")
            behind = cursor_read(lambda: listing.Cursor.of(cursor, sort)) if cursor else None
            async with asking.of(caller, account) as (conn, whose):
                filters, clock = await asking.filters(conn, whose, request, OWN)
                asked = listing.Asked(
                    account=whose, zone=clock.zone, filters=filters, fields=names, sort=sort, cursor=behind, limit=limit
                )
                page = await listing.read_page(conn, asked)
                total = await listing.count(conn, whose, clock.zone, filters) if count else None
            return Appeals(
                items=page.items, next=page.next, more=total is not None and total > listing.MOST_COUNTED,
                total=None if total is None else min(total, listing.MOST_COUNTED),
            )  # fmt: skip

    @get("/appeals/tags", responses=examples.of(Tags, journal_examples.TAGS), summary="Tags that appeals have")
    async def tags(request: ApiRequest, account: AccountAsked = None) -> Tags:
        """To choose from."""
        with API_SECONDS.labels(call="tags").time():
            caller = await access.caller(request, "appeals:read")
            async with asking.of(caller, account) as (conn, whose):
                return Tags(items=tuple(await notes.tags_of(conn, whose)))

    return [appeals, tags, *_one(access, asking)]


def _one(access: Access, asking: Asking) -> list[HTTPRouteHandler]:
    @get(
        "/appeals/{appeal:uuid}", responses=examples.of(AppealInFull, journal_examples.APPEAL),
        summary="An appeal in full",
    )  # fmt: skip
    async def appeal_in_full(
        request: ApiRequest, appeal: FromPath[UUID], account: AccountAsked = None
    ) -> Response[AppealInFull]:
        """All its fields, its steps, who else may have called and why he was credited. The ETag is the note's."""
        with API_SECONDS.labels(call="appeal").time():
            caller = await access.caller(request, "appeals:read")
            async with asking.of(caller, account) as (conn, whose):
                found = await read_appeal(conn, whose, appeal)
            if found is None:
                raise _unknown()
            return Response(found, headers={"ETag": f'"{found.note.version}"'})

    @patch(
        "/appeals/{appeal:uuid}", responses=examples.of(Note, journal_examples.NOTE, also=(412, 428)),
        request_max_body_size=BODY_LIMIT, summary="Tags, comment and spam mark of an appeal",
    )  # fmt: skip
    async def note(
        request: ApiRequest, appeal: FromPath[UUID], data: JSONBody[NoteChange], *, account: AccountAsked = None,
        seen: Seen = None,
    ) -> Response[Note]:  # fmt: skip
        """What is not given stays as it is. Name the version that you saw, so that nobody's words are overwritten."""
        with API_SECONDS.labels(call="note").time():
            caller = await access.caller(request, "appeals:write")
            version = version_in(seen)
            async with asking.changing(caller, account) as (conn, whose):
                try:
                    changed = await notes.change_note(conn, whose, appeal, data, seen=version, user=caller.user)
                except Stale as stale:
                    detail = f'Somebody changed it meanwhile; its ETag is now "{stale.now.version}".'
                    raise Refusal(412, "changed-meanwhile", "The note is another by now", detail) from None
                if changed is None:
                    raise _unknown()
                told = {
                    name: getattr(data, name) for name in ("spam", "tags") if getattr(data, name) is not msgspec.UNSET
                }
                await audit.record(conn, whose, caller, "appeal.change", appeal, **told)
            return Response(changed, headers={"ETag": f'"{changed.version}"'})

    return [appeal_in_full, note]


def fields_in(names: list[str] | None) -> tuple[str, ...]:
    return row.fields_in([name for text in names or () for name in text.split(",") if name])


def version_in(header: str | None) -> str | None:
    """The version in If-Match; None: whichever (`*`)."""
    if header is None:
        detail = "Send the ETag of the note that you saw in If-Match, or * to write over whatever stands there."
        raise Refusal(428, "no-version", "Say which version you saw", detail)
    return None if header.strip() == "*" else header.strip().removeprefix("W/").strip('"')


def _unknown() -> Refusal:
    return Refusal(404, "unknown-appeal", "No such appeal")
