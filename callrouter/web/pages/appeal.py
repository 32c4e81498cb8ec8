"""/appeals/{id}: one appeal in full; its tags, comment and spam mark are changed here, or in the journal in place."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from markupsafe import Markup

from callrouter.appeals.steps import Steps, TimedStep, timed
from callrouter.journal import notes
from callrouter.journal.appeal import AppealInFull, read_appeal
from callrouter.journal.notes import LONGEST_COMMENT, LONGEST_TAG, MOST_TAGS, Note, NoteChange, Stale
from callrouter.journal.row import AppealTold
from callrouter.journal.visits import VisitInFull, read_visit
from callrouter.people import audit
from callrouter.web.api.filtered import Asking
from callrouter.web.api.step_picture import Look, drawn
from callrouter.web.cookies import AnyRequest
from callrouter.web.pages import appeal_words
from callrouter.web.pages.columns import COLUMNS
from callrouter.web.pages.ground import FORM_LIMIT, Form, Ground, Page, View
from callrouter.web.pages.recording import Recordings, recording_route
from callrouter.web.pages.words import N_
from callrouter.web.problem import Refusal

BASE = "/appeals"
SECTIONS = {
    "call": (
        "direction", "called", "caller", "group", "employee", "wait_s", "talk_s", "answered_at", "ended_at",
        "hangup_by", "hangup_cause", "unique", "quality", "multichannel",
    ),
    "client": ("customer", "client_name", "person", "email", "first_touch_at", "location"),
    "source": ("channel", "source", "medium", "campaign", "keyword", "content", "click_id", "landing_page", "referrer"),
    "visit": (
        "page", "title", "hash", "visit_started_at", "time_on_site_s", "pages", "device", "os", "browser", "session",
        "visitor", "ga_client_id", "ga_session_id", "ym_client_id", "ym_counter",
    ),
    "pbx": (
        "pbx", "linkedid", "caller_raw", "called_raw", "route", "agi_ms", "resolution_ms", "complete", "published_at",
    ),
}  # fmt: skip
"""What stands together. Fields without a value are left out, but those that are always asked for."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """An appeal as its page shows it."""

    full: AppealInFull
    site: str
    visit: VisitInFull | None
    steps: Sequence[TimedStep]
    picture: Markup
    player: bool

    def section(self, name: str) -> list[str]:
        """The fields of a part that have a value."""
        return [field for field in SECTIONS[name] if getattr(self.full.appeal, field) not in (None, "", msgspec.UNSET)]


def appeal_page(ground: Ground, asking: Asking, recordings: Recordings) -> Page:
    @get(f"{BASE}/{{appeal:uuid}}")
    async def shown(request: AnyRequest, appeal: FromPath[UUID]) -> Response[bytes]:
        view = await ground.open(request, "appeals:read")
        async with asking.of(view.caller, view.whose) as (conn, whose):
            full = await read_appeal(conn, whose, appeal)
            if full is None:
                raise Refusal(404, "unknown-appeal", "No such appeal")
            row = full.appeal
            site = await conn.fetchval("SELECT name FROM sites WHERE account_id = $1 AND id = $2", whose, row.site)
            visit = await read_visit(conn, whose, row.session) if isinstance(row.session, str) else None
            tags = await notes.tags_of(conn, whose)
        told = Told(
            full=full, site=site or "", visit=visit, steps=_steps(row), picture=call_over_time(view, row),
            player=recordings.playable(row.recording),
        )  # fmt: skip
        answer = view.render(
            "appeal.html", told=told, row=row, words=appeal_words, columns=COLUMNS, sites={row.site: told.site},
            form=NoteForm.of(full.note), tags=tags, trouble="", meanwhile=None,
        )  # fmt: skip
        answer.headers["Content-Security-Policy"] = recordings.policy
        return answer

    return Page([shown, *_note(ground, asking), recording_route(ground, asking, recordings)])


def _steps(row: AppealTold) -> Sequence[TimedStep]:
    steps = tuple(row.steps) if isinstance(row.steps, list) else ()
    return timed(steps, steps[0].at) if steps else ()


def call_over_time(view: View, row: AppealTold) -> Markup:
    """The call over time; nothing where nothing was seen of it."""
    steps = _steps(row)
    if not steps:
        return Markup()
    began = steps[0].at
    call = Steps(
        appeal=row.id, started_at=began, ended_at=row.ended_at or began, status=str(row.status), lost_reason=None,
        complete=bool(row.complete), steps=tuple(steps),
    )  # fmt: skip
    heading = view.translated(N_("The call over time"))
    look = Look(
        "", lambda _: heading, view.translated(N_("customer")),
        lambda bar: view.translated(appeal_words.STATES.get(bar.state, bar.state)),
    )  # fmt: skip
    return Markup(drawn(call, look))  # noqa: S704 - whatever came from outside is escaped there


class NoteForm(msgspec.Struct, frozen=True, kw_only=True):
    """A note as a form shows it: each tag with a tick, further ones in a line. `read`: the version that was seen."""

    read: str
    spam: bool = False
    ticked: tuple[str, ...] = ()
    more: str = ""
    comment: str = ""

    @staticmethod
    def of(note: Note) -> NoteForm:
        return NoteForm(read=note.version, spam=note.spam, ticked=note.tags, comment=note.comment)

    @staticmethod
    def sent(form: Form) -> NoteForm:
        ticked = tuple(value for name, value in form.items() if name.startswith("tag."))
        comment = form.get("comment", "").replace("\r\n", "\n").strip()
        return NoteForm(
            read=form.get("read", ""), spam="spam" in form, ticked=ticked, more=form.get("more", ""), comment=comment
        )

    @property
    def tags(self) -> tuple[str, ...]:
        written = (part.strip() for part in self.more.split(","))
        return tuple(dict.fromkeys((*self.ticked, *filter(None, written))))

    def merged(self, now: Note) -> NoteForm:
        """With what somebody else wrote meanwhile: nobody's words are lost, and whoever sends it again sees both."""
        tags = tuple(dict.fromkeys((*now.tags, *self.tags)))
        return NoteForm(
            read=now.version,
            spam=self.spam or now.spam,
            ticked=tags,
            comment=notes.together(self.comment, now.comment.strip()),
        )


def _note(ground: Ground, asking: Asking) -> list[HTTPRouteHandler]:
    path = f"{BASE}/{{appeal:uuid}}/note"

    @get(path)
    async def form(request: AnyRequest, appeal: FromPath[UUID]) -> Response[bytes]:
        view = await ground.open(request, "appeals:write")
        async with asking.of(view.caller, view.whose) as (conn, whose):
            if await read_appeal(conn, whose, appeal) is None:
                raise Refusal(404, "unknown-appeal", "No such appeal")
            note, tags = await notes.note_of(conn, whose, appeal), await notes.tags_of(conn, whose)
        return _form(view, appeal, NoteForm.of(note), tags)

    @post(path, request_max_body_size=FORM_LIMIT)
    async def change(request: AnyRequest, appeal: FromPath[UUID]) -> Response[bytes]:
        view, sent = await ground.write(request, "appeals:write")
        told = NoteForm.sent(sent)
        trouble, meanwhile = _trouble(view, told), None
        async with asking.changing(view.caller, view.whose) as (conn, whose):
            tags = await notes.tags_of(conn, whose)
            if not trouble:
                given = NoteChange(spam=told.spam, tags=told.tags, comment=told.comment)
                try:
                    done = await notes.change_note(conn, whose, appeal, given, seen=told.read, user=view.caller.user)
                    if done is None:
                        raise Refusal(404, "unknown-appeal", "No such appeal")
                    await audit.record(
                        conn, whose, view.caller, "appeal.change", appeal, spam=told.spam, tags=told.tags
                    )
                except Stale as stale:
                    told, meanwhile = told.merged(stale.now), stale.now
        if trouble or meanwhile:
            return _form(view, appeal, told, tags, trouble=trouble, meanwhile=meanwhile)
        if _in_place(request):
            return Response(b"", status_code=204)
        return view.go(f"{BASE}/{appeal}", note="saved")

    return [form, change]


def _form(
    view: View, appeal: UUID, form: NoteForm, tags: list[str], *, trouble: str = "", meanwhile: Note | None = None
) -> Response[bytes]:  # fmt: skip
    """A page of its own, or the form alone for the journal's dialog."""
    template = "note_form.html" if _in_place(view.request) else "appeal_note.html"
    status = 412 if meanwhile else 422 if trouble else 200
    return view.render(
        template, status=status, appeal=appeal, form=form, tags=tags, trouble=trouble, meanwhile=meanwhile
    )


def _in_place(request: AnyRequest) -> bool:
    return request.query_params.get("in") == "place"


def _trouble(view: View, told: NoteForm) -> str:
    if len(told.tags) > MOST_TAGS:
        return view.translated(N_("Give an appeal no more than {most} tags.")).format(most=MOST_TAGS)
    if any(len(tag) > LONGEST_TAG for tag in told.tags):
        return view.translated(N_("A tag is no longer than {most} characters.")).format(most=LONGEST_TAG)
    if len(told.comment) > LONGEST_COMMENT:
        return view.translated(N_("A comment is no longer than {most} characters.")).format(most=LONGEST_COMMENT)
    return ""
