"""The journal table's columns: which fields of an appeal each shows, and in what form. Pure; templates draw them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from callrouter.journal.listing import SORTS
from callrouter.web.pages.appeal_words import FIELD_NAMES, VALUES
from callrouter.web.pages.words import N_

Form = Literal["together", "text", "named", "number", "seconds", "flag", "moment", "phone", "link", "site", "client"]
SECONDS = frozenset({"wait_s", "talk_s", "time_on_site_s"})
NUMBERS = frozenset({"pages", "hangup_cause", "agi_ms", "resolution_ms", "confidence"})
FLAGS = frozenset({"complete", "late", "pending", "overflow", "unique", "quality", "multichannel", "spam"})
MOMENTS = frozenset({"answered_at", "ended_at", "visit_started_at", "first_touch_at", "published_at"})
LINKS = frozenset({"landing_page", "referrer", "page"})
PHONES = frozenset({"customer", "called", "caller"})


class Column(NamedTuple):
    """`sort`: by which field rows can be sorted there."""

    key: str
    title: str
    form: Form
    fields: tuple[str, ...]
    sort: str = ""

    @property
    def right(self) -> bool:
        """Figures stand under each other."""
        return self.form in {"number", "seconds"}


def _form(field: str) -> Form:
    forms: dict[Form, frozenset[str]] = {
        "seconds": SECONDS, "number": NUMBERS, "flag": FLAGS, "moment": MOMENTS, "link": LINKS, "phone": PHONES,
        "named": frozenset(VALUES), "site": frozenset({"site"}), "client": frozenset({"client"}),
    }  # fmt: skip
    return next((form for form, fields in forms.items() if field in fields), "text")


def _single(field: str) -> Column:
    return Column(field, FIELD_NAMES[field], _form(field), (field,), field if field in SORTS else "")


TOGETHER = (
    Column("when", FIELD_NAMES["started_at"], "together", ("started_at",), "started_at"),
    Column("what", FIELD_NAMES["status"], "together", ("kind", "direction", "status", "lost_reason")),
    Column(
        "who", N_("Who"), "together", ("client", "client_name", "person", "customer", "email", "location", "unique")
    ),
    Column("whence", N_("Where from"), "together", ("channel", "source", "medium", "campaign", "keyword")),
    Column(
        "outcome", N_("What happened"), "together", ("group", "employee", "wait_s", "talk_s", "quality", "recording")
    ),
    Column(
        "credit", FIELD_NAMES["confidence"], "together",
        ("method", "confidence", "candidates", "pending", "late", "overflow"), "confidence",
    ),
    Column("notes", N_("Notes"), "together", ("spam", "tags", "comment")),
)  # fmt: skip
"""What tells several fields at once."""
GROUPS: tuple[tuple[str, tuple[Column, ...]], ...] = (
    (N_("Together"), (*TOGETHER[:4], TOGETHER[4], _single("site"), *TOGETHER[5:])),
    (
        N_("Client"),
        tuple(map(_single, ("customer", "client_name", "person", "email", "first_touch_at", "location", "client"))),
    ),
    (
        N_("Appeal"),
        tuple(map(_single, (
            "kind", "direction", "status", "lost_reason", "called", "caller", "group", "employee", "wait_s", "talk_s",
            "answered_at", "ended_at", "unique", "quality", "multichannel", "hangup_by", "hangup_cause", "recording",
        ))),
    ),
    (
        N_("Advertising"),
        tuple(map(_single, (
            "channel", "source", "medium", "campaign", "keyword", "content", "click_id", "landing_page", "referrer",
        ))),
    ),
    (
        N_("On the site"),
        tuple(map(_single, (
            "page", "title", "hash", "time_on_site_s", "pages", "device", "os", "browser", "visit_started_at",
            "session", "visitor", "ga_client_id", "ga_session_id", "ym_client_id", "ym_counter",
        ))),
    ),
    (
        N_("Crediting and the PBX"),
        tuple(map(_single, (
            "method", "confidence", "late", "pending", "overflow", "route", "pbx", "linkedid", "caller_raw",
            "called_raw", "complete", "agi_ms", "resolution_ms", "published_at",
        ))),
    ),
)  # fmt: skip
COLUMNS: dict[str, Column] = {column.key: column for _, columns in GROUPS for column in columns}
USUAL = ("when", "what", "who", "whence", "outcome", "site", "credit", "notes")
ALWAYS = ("spam", "tags", "comment")
"""Fields that each row is read with: spam is greyed whatever is shown."""


def columns_of(keys: Iterable[str]) -> list[Column]:
    """Those there are of the keys, in the order of the catalogue; the usual ones if there is none. Rows are opened by
    their time, so it is always there."""
    wanted = set(keys) & set(COLUMNS) or set(USUAL)
    return [column for key, column in COLUMNS.items() if key in wanted | {"when"}]


def fields_of(columns: Iterable[Column], *more: str) -> tuple[str, ...]:
    """What must be read to show them."""
    return tuple(dict.fromkeys((*(field for column in columns for field in column.fields), *ALWAYS, *more)))
