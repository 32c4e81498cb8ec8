"""/reports/scheduled: reports that are sent at their time: which, when, to whom, and what became of each."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from email.errors import MessageError

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler

from callrouter.appeals.credit import MODELS, Model
from callrouter.db.connect import Connection
from callrouter.people import audit
from callrouter.pool.inventory import Refused
from callrouter.scheduled import store
from callrouter.scheduled.due import next_due
from callrouter.scheduled.letter import letter
from callrouter.scheduled.model import EVERY, FORMATS, PERIODS, File, Outlet, Plan, Schedule, Written
from callrouter.scheduled.post import NotSent
from callrouter.scheduled.post import post as post_mail
from callrouter.web.api.changes import Id, asked_account, require_unchanged, tag
from callrouter.web.cookies import AnyRequest
from callrouter.web.pages import report_words
from callrouter.web.pages.ground import FORM_LIMIT, Entry, Form, Ground, Page, View
from callrouter.web.pages.templating import templates
from callrouter.web.pages.words import N_, known
from callrouter.web.problem import Refusal

HERE = "/reports/scheduled"
ENTRY = Entry(HERE, N_("Scheduled reports"), "reports:read")
SITES = "SELECT id, name FROM sites WHERE account_id = $1 ORDER BY name"
CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])", re.ASCII)
DAY = re.compile(r"[1-9][0-9]?", re.ASCII)
TEST_SECONDS = 15.0
BLANK = Plan(
    name="", report="channels", period="last_week", format="html", every="week", day=1, minute=9 * 60, recipients=()
)


def schedules_page(ground: Ground, outlet: Outlet) -> Page:
    @get(HERE)
    async def listed(request: AnyRequest) -> Response[bytes]:
        view = await ground.open(request, "reports:read")
        return await _list(ground, view, outlet)

    @get(f"{HERE}/new")
    async def new(request: AnyRequest) -> Response[bytes]:
        view = await ground.open(request, "reports:write")
        mine = (view.person.email,) if view.whose == view.account else ()
        return await _form(ground, view, outlet, _texts(BLANK, recipients=mine, locale=view.locale))

    @post(f"{HERE}/new", request_max_body_size=FORM_LIMIT)
    async def add(request: AnyRequest) -> Response[bytes]:
        view, form = await ground.write(request, "reports:write")
        try:
            async with ground.reading.changing(view.account) as conn:
                await store.add_schedule(
                    conn, view.whose, _plan(form), by=view.caller, allowed=outlet.allowed,
                    folder=outlet.folder is not None,
                )  # fmt: skip
        except Refused as error:
            return await _form(ground, view, outlet, form, trouble=view.refusal(error), status=422)
        return view.go(HERE, note="added")

    return Page([listed, new, add, *_one(ground, outlet), *_doing(ground, outlet)], ENTRY)


def _one(ground: Ground, outlet: Outlet) -> list[HTTPRouteHandler]:
    @get(f"{HERE}/{{schedule:int}}")
    async def one(request: AnyRequest, schedule: Id) -> Response[bytes]:
        view = await ground.open(request, "reports:read")
        return await _shown(ground, view, outlet, schedule)

    @post(f"{HERE}/{{schedule:int}}", request_max_body_size=FORM_LIMIT)
    async def change(request: AnyRequest, schedule: Id) -> Response[bytes]:
        view, form = await ground.write(request, "reports:write")
        try:
            async with ground.reading.changing(view.account) as conn:
                found = await _locked(conn, view, schedule)
                require_unchanged(form.get("read"), found.version)
                await store.change_schedule(
                    conn, found, _plan(form), by=view.caller, allowed=outlet.allowed, folder=outlet.folder is not None
                )
        except Refused as error:
            return await _shown(ground, view, outlet, schedule, form=form, trouble=view.refusal(error), status=422)
        except Refusal as refusal:
            if refusal.kind != "changed-meanwhile":
                raise
            return await _shown(ground, view, outlet, schedule, form=form, meanwhile=True, status=412)
        return view.go(f"{HERE}/{schedule}", note="saved")

    @post(f"{HERE}/{{schedule:int}}/remove", request_max_body_size=FORM_LIMIT)
    async def remove(request: AnyRequest, schedule: Id) -> Response[bytes]:
        view, _ = await ground.write(request, "reports:write")
        async with ground.reading.changing(view.account) as conn:
            await store.remove_schedule(conn, await _locked(conn, view, schedule), by=view.caller)
        return view.go(HERE, note="removed")

    return [one, change, remove]


def _doing(ground: Ground, outlet: Outlet) -> list[HTTPRouteHandler]:
    @post(f"{HERE}/{{schedule:int}}/send", request_max_body_size=FORM_LIMIT)
    async def send(request: AnyRequest, schedule: Id) -> Response[bytes]:
        """Now, and once more at its time: the worker does it."""
        view, _ = await ground.write(request, "reports:write")
        async with ground.reading.changing(view.account) as conn:
            found = await _locked(conn, view, schedule)
            await store.ask_for(conn, found)
            await audit.record(conn, found.account, view.caller, "report.change", found.name, sent=True)
        return view.go(f"{HERE}/{schedule}", note="asked")

    @post(f"{HERE}/test", request_max_body_size=FORM_LIMIT)
    async def test(request: AnyRequest) -> Response[bytes]:
        """A mail to whoever asks, and to nobody else."""
        view, _ = await ground.write(request, "reports:write")
        trouble = await _tested(view, outlet)
        if trouble:
            return await _list(ground, view, outlet, trouble=trouble, status=422)
        return view.go(HERE, note="tested")

    return [send, test]


async def _locked(conn: Connection, view: View, schedule: int) -> Schedule:
    return await store.schedule_numbered(conn, asked_account(view.caller, None), schedule, lock=True)


async def _tested(view: View, outlet: Outlet) -> str:
    """What went wrong, or nothing."""
    if outlet.mail is None:
        return view.translated(N_("This server sends no mail: the operator sets [mail] in its configuration."))
    said = templates(view.locale).get_template("letter_test.html").render(name=view.person.shown_name)
    text = view.translated(N_("This server can send you scheduled reports."))
    written = Written(
        subject=view.translated(N_("A test mail of callrouter")), text=text, html=said, attached=False, rows=0,
        file=File(name="", media_type="", content=b""), since=datetime.now(UTC), until=datetime.now(UTC),
    )  # fmt: skip
    key = f"test {view.person.user} {datetime.now(UTC).isoformat()}"
    try:
        message = letter(
            written, sender=outlet.mail.sender, recipient=view.person.email, key=key, at=datetime.now(UTC)
        )  # fmt: skip
        await asyncio.to_thread(post_mail, outlet.mail, message, seconds=TEST_SECONDS)
    except (NotSent, MessageError, ValueError) as error:
        return view.translated(N_("The mail server did not take it: {why}")).format(why=error)
    return ""


async def _list(
    ground: Ground, view: View, outlet: Outlet, *, trouble: str = "", status: int = 200
) -> Response[bytes]:  # fmt: skip
    async with ground.reading.as_account(view.account, snapshot=True) as conn:
        found = await store.list_schedules(conn, view.whose)
        latest = await store.latest_sendings(conn, view.whose)
        sites = await _sites(conn, view.whose)
    now = datetime.now(UTC)
    due = {each.id: next_due(each, view.formats.zone, max(now, each.done_until)) for each in found}
    return view.render(
        "schedules.html", status=status, schedules=found, latest=latest, due=due, sites=sites, trouble=trouble,
        words=report_words, mail=outlet.mail, folder=outlet.folder, may_write=view.may("reports:write"),
    )  # fmt: skip


async def _form(
    ground: Ground, view: View, outlet: Outlet, form: Form, *, trouble: str = "", status: int = 200
) -> Response[bytes]:  # fmt: skip
    async with ground.reading.as_account(view.account) as conn:
        sites, people = await _sites(conn, view.whose), await store.people_of(conn, view.whose)
    return view.render(
        "schedule_new.html", status=status, form=form, sites=sites, people=people, trouble=trouble, words=report_words,
        mail=outlet.mail, folder=outlet.folder, allowed=outlet.allowed, models=MODELS,
    )  # fmt: skip


async def _shown(
    ground: Ground, view: View, outlet: Outlet, number: int, *, form: Form | None = None, trouble: str = "",
    meanwhile: bool = False, status: int = 200,
) -> Response[bytes]:  # fmt: skip
    async with ground.reading.as_account(view.account, snapshot=True) as conn:
        schedule = await store.schedule_numbered(conn, asked_account(view.caller, None), number)
        sendings = await store.sendings_of(conn, schedule)
        sites, people = await _sites(conn, schedule.account), await store.people_of(conn, schedule.account)
    due = next_due(schedule, view.formats.zone, max(datetime.now(UTC), schedule.done_until))
    return view.render(
        "schedule.html", status=status, schedule=schedule, sendings=sendings, form=form or _texts(schedule),
        due=due, sites=sites, people=people, trouble=trouble, meanwhile=meanwhile, read=tag(schedule.version),
        words=report_words, mail=outlet.mail, folder=outlet.folder, allowed=outlet.allowed, models=MODELS,
        may_write=view.may("reports:write"), said_note=lambda note: _note(view, note),
    )  # fmt: skip


def _note(view: View, note: str) -> str:
    """In the reader's words, but for what the mail server or the system said."""
    ours, sign, theirs = (note, "", "") if note in report_words.NOTES else note.partition(": ")
    return view.translated(ours) + sign + theirs if ours in report_words.NOTES else note


async def _sites(conn: Connection, account: int) -> dict[int, str]:
    return {row["id"]: row["name"] for row in await conn.fetch(SITES, account)}


def _texts(plan: Plan, *, recipients: tuple[str, ...] | None = None, locale: str = "") -> dict[str, str]:
    """A plan as its form has it."""
    told = {name: getattr(plan, name) for name in ("name", "report", "period", "format", "every", "model", "locale")}
    told |= {"weekday": plan.day if plan.every == "week" else 1, "monthday": plan.day if plan.every == "month" else 1}
    told |= {"at": f"{plan.minute // 60:02}:{plan.minute % 60:02}", "site": plan.site or ""}
    told |= {"recipients": "\n".join(plan.recipients if recipients is None else recipients)}
    told |= {"locale": locale or plan.locale}
    flags = {"to_folder": plan.to_folder, "enabled": plan.enabled}
    return {**{name: str(value) for name, value in told.items()}, **{name: "yes" for name, on in flags.items() if on}}


def _plan(form: Form) -> Plan:
    """Raises Refused."""
    clock = CLOCK.fullmatch(form.get("at", ""))
    report_format = next((each for each in FORMATS if each == form.get("format")), None)
    period = next((each for each in PERIODS if each == form.get("period")), None)
    every = next((each for each in EVERY if each == form.get("every")), None)
    model: Model = next((each for each in MODELS if each == form.get("model")), "last_click")
    if clock is None or report_format is None or period is None or every is None:
        raise Refused("choose a format and a time")
    day = form.get("weekday" if every == "week" else "monthday", "1")
    site = form.get("site", "")
    return Plan(
        name=form.get("name", ""), report=form.get("report", ""), period=period, format=report_format, every=every,
        day=int(day) if DAY.fullmatch(day) else 0, minute=int(clock[1]) * 60 + int(clock[2]), model=model,
        site=int(site) if site.isascii() and site.isdigit() and len(site) < 19 else None,  # noqa: PLR2004
        locale=known(form.get("locale", "")) or "ru", to_folder=bool(form.get("to_folder")),
        recipients=tuple(re.split(r"[\s,;]+", form.get("recipients", "").strip())) if form.get("recipients") else (),
        enabled=bool(form.get("enabled")),
    )  # fmt: skip
