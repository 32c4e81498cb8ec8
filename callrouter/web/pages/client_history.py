"""What of a client's history is asked for on his card, and what its items are called there. Knows no SQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import cast
from urllib.parse import urlencode

import msgspec

from callrouter.journal.history import HistoryAsked, What
from callrouter.journal.keyset import Behind
from callrouter.journal.period import moment
from callrouter.web.pages.ground import View
from callrouter.web.pages.words import N_

ITEMS = 30
CHOICES: dict[str, str] = {
    "visit": N_("Visits"), "call_in": N_("Calls in"), "call_out": N_("Calls out"), "form": N_("Forms"),
    "callback": N_("Callback orders"), "chat": N_("Chats"), "email": N_("E-mails"), "deal": N_("Deals"),
}  # fmt: skip
"""Kinds of items to choose from."""
DIRECTIONS = {"call_in": "inbound", "call_out": "outbound"}
ORDERS = {"": N_("The latest first"), "earliest": N_("The earliest first")}


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The filter as it was written. `shown`: kinds; empty: all. `trouble`: what of it makes no sense."""

    shown: tuple[str, ...] = ()
    since: str = ""
    until: str = ""
    order: str = ""
    span: tuple[datetime | None, datetime | None] = (None, None)
    behind: Behind | None = None
    trouble: str = ""

    @property
    def narrowed(self) -> bool:
        return bool(self.shown or self.since or self.until)

    def query(self, **more: str) -> str:
        """The same filter, with more, for a link."""
        told = [*(("show", name) for name in self.shown), *self._texts(), *more.items()]
        return urlencode([(name, value) for name, value in told if value])

    def _texts(self) -> list[tuple[str, str]]:
        return [("since", self.since), ("until", self.until), ("order", self.order)]

    def history(self, account: int, client: int) -> HistoryAsked:
        wanted = self.shown or tuple(CHOICES)
        kinds = tuple(dict.fromkeys("call" if name in DIRECTIONS else name for name in wanted if name in APPEALS))
        whats = [name for name in ("visit", "deal") if name in wanted] + (["appeal"] if kinds else [])
        ways = [way for name, way in DIRECTIONS.items() if name in wanted]
        return HistoryAsked(
            account=account, client=client, what=cast("tuple[What, ...]", tuple(whats)),
            kinds=() if len(kinds) == len(APPEALS) - 1 else kinds, direction=ways[0] if len(ways) == 1 else None,
            since=self.span[0], until=self.span[1], ascends=bool(self.order), limit=ITEMS,
        )  # fmt: skip


APPEALS = ("call_in", "call_out", "form", "callback", "chat", "email")


def asked(view: View) -> Asked:
    """What is asked for; of what makes no sense nothing is."""
    given = view.request.query_params
    shown = tuple(name for name in CHOICES if name in given.getall("show", []))
    since, until = (given.get(name, "")[:10].replace("\0", "") for name in ("since", "until"))
    trouble = ""
    span: list[datetime | None] = []
    for text, ends in ((since, False), (until, True)):
        try:
            span.append(moment(text, view.formats.zone, ends=ends) if text else None)
        except ValueError:
            span.append(None)
            trouble = view.translated(N_("That is no day of the calendar: write it as 2026-03-01."))
    if span[0] and span[1] and span[0] >= span[1]:
        trouble = view.translated(N_("The first day lies behind the last: nothing can be between them."))
        span = [None, None]
    return Asked(
        shown=() if len(shown) == len(CHOICES) else shown, since=since, until=until, span=(span[0], span[1]),
        order="earliest" if given.get("order") == "earliest" else "", trouble=trouble,
        behind=behind(given.get("after", ""), Behind.of),
    )  # fmt: skip


def behind(text: str, read: Callable[[str], Behind]) -> Behind | None:
    """None: the first page; also for a cursor that was not given out, for somebody may have cut it off."""
    try:
        return read(text[:500]) if text else None
    except ValueError:
        return None
