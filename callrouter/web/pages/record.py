"""/settings/record: who saw or changed what."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from litestar import Response, get

from callrouter.people import audit, users
from callrouter.people.audit import Action
from callrouter.web.api.audit_route import cursor_in, cursor_of
from callrouter.web.api.changes import asked_account
from callrouter.web.cookies import AnyRequest
from callrouter.web.pages.ground import Entry, Ground, Page, View
from callrouter.web.pages.words import N_

HERE = "/settings/record"
ENTRY = Entry(HERE, N_("Who did what"), "audit:read", "settings")
ROWS = 50
FIRST_YEAR, LAST_YEAR = 2000, 2200
ACTIONS: dict[Action, str] = {
    "sign_in": N_("signed in"),
    "sign_in.refused": N_("was not let in"),
    "sign_out": N_("signed out"),
    "session.end": N_("signed out another browser"),
    "session.stolen": N_("a copied cookie was shown: signed out"),
    "password.change": N_("changed the own password"),
    "user.add": N_("added a user"),
    "user.change": N_("changed a user"),
    "user.disable": N_("disabled a user"),
    "user.enable": N_("enabled a user"),
    "user.password": N_("gave a user another password"),
    "user.bind": N_("was bound to an OpenID identity"),
    "user.unbind": N_("made a user's OpenID identity forgotten"),
    "token.add": N_("made a token"),
    "token.revoke": N_("revoked a token"),
    "account.add": N_("added an account"),
    "account.change": N_("changed the account's settings"),
    "site.add": N_("added a site"),
    "site.change": N_("changed a site"),
    "pool.add": N_("added a pool"),
    "pool.remove": N_("removed a pool"),
    "numbers.import": N_("imported numbers"),
    "numbers.move": N_("moved numbers"),
    "numbers.disable": N_("set numbers aside"),
    "numbers.enable": N_("put numbers back"),
    "static.bind": N_("bound a static number"),
    "static.end": N_("ended a static number's binding"),
    "appeal.change": N_("changed an appeal"),
    "recording.hear": N_("heard a recording"),
    "client.see": N_("saw a client card"),
    "client.change": N_("changed a client"),
    "client.merge": N_("merged clients"),
    "client.split": N_("split a client"),
    "client.erase": N_("erased a client"),
    "client.export": N_("exported a client's data"),
    "export": N_("exported"),
    "deal.change": N_("changed a deal"),
    "cost.change": N_("changed costs"),
    "report.change": N_("changed a report"),
    "view.change": N_("changed a shared view of the journal"),
}
DETAILS = {
    "role": N_("role"), "name": N_("name"), "locale": N_("language"), "address": N_("network"),
    "browser": N_("browser"), "scopes": N_("scopes"), "token": N_("token"), "others": N_("browsers"),
    "way": N_("signing in by"), "why": N_("why"), "issuer": N_("issuer"), "instead_of": N_("instead of"),
    "time_zone": N_("time zone"), "currency": N_("currency"), "multichannel": N_("multichannel"),
    "multichannel_touches": N_("touches"), "multichannel_days": N_("days"),
}  # fmt: skip


def record_page(ground: Ground) -> Page:
    @get(HERE)
    async def record(request: AnyRequest) -> Response[bytes]:
        view = await ground.open(request, "audit:read")
        asked = request.query_params
        action = next((action for action in ACTIONS if action == asked.get("action")), None)
        user, before = asked.get("user", ""), asked.get("before", "")
        whose = asked_account(view.caller, None)
        async with ground.reading.as_account(view.account) as conn:
            found = await audit.entries(
                conn, whose, since=_start(view, asked.get("since", "")), until=_end(view, asked.get("until", "")),
                action=action, user=int(user) if user.isascii() and user.isdigit() and len(user) < 19 else None,  # noqa: PLR2004
                before=cursor_in(before) if before else None, limit=ROWS,
            )  # fmt: skip
            people = await users.list_users(conn, whose)
        older = cursor_of(found[-1]) if len(found) == ROWS else ""
        kept = {name: asked.get(name, "") for name in ("action", "user", "since", "until")}
        return view.render(
            "record.html", entries=found, people=people, actions=ACTIONS, details=DETAILS, asked=kept, older=older
        )

    return Page([record], ENTRY)


def _start(view: View, text: str) -> datetime | None:
    """The midnight with which the day begins by the account's clock; None: no day was given, or none that is."""
    try:
        day: date | None = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or not FIRST_YEAR <= day.year <= LAST_YEAR:
        return None
    return datetime.combine(day, time(), view.formats.zone).astimezone(UTC)


def _end(view: View, text: str) -> datetime | None:
    start = _start(view, text)
    return start + timedelta(days=1) if start else None
