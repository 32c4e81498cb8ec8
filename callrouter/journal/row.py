"""A row of the journal as it is told: each field by its name in the filter language. Knows which SQL tells it.

What belongs to others is left out here: a pool may be shared, and then the other candidates for a call are visitors of
other companies, of whom nothing is told but that there is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from msgspec import UNSET, UnsetType

from callrouter.appeals.model import AppealKind
from callrouter.calls.record import Step
from callrouter.journal.conditions import RENAMED

Text = str | None | UnsetType
Number = float | None | UnsetType
Moment = datetime | None | UnsetType
Flag = bool | None | UnsetType
Id = int | None | UnsetType


class Rival(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Who may have placed the call. Of another account's visitor only that there is one, and how likely he is."""

    method: str
    weight: float
    site: int | None = None
    session: str | None = None
    since: float | None = None
    another_account: bool = False


class AppealTold(msgspec.Struct, kw_only=True):
    """The fields of an appeal that were asked for. `client_name`, `first_touch_at` (the client's), `tags`, `comment`,
    `spam`: what is said now."""

    id: UUID
    started_at: datetime
    account: Id = UNSET
    kind: AppealKind | UnsetType = UNSET
    direction: Text = UNSET
    status: Text = UNSET
    lost_reason: Text = UNSET
    site: Id = UNSET
    client: Id = UNSET
    client_name: Text = UNSET
    first_touch_at: Moment = UNSET
    customer: Text = UNSET
    caller: Text = UNSET
    called: Text = UNSET
    email: Text = UNSET
    person: Text = UNSET
    group: Text = UNSET
    employee: Text = UNSET
    answered_at: Moment = UNSET
    ended_at: Moment = UNSET
    wait_s: Number = UNSET
    talk_s: Number = UNSET
    hangup_cause: Id = UNSET
    hangup_by: Text = UNSET
    recording: Text = UNSET
    pbx: Text = UNSET
    linkedid: Text = UNSET
    caller_raw: Text = UNSET
    called_raw: Text = UNSET
    agi_ms: Number = UNSET
    complete: Flag = UNSET
    method: Text = UNSET
    confidence: Number = UNSET
    late: Flag = UNSET
    pending: Flag = UNSET
    resolution_ms: Number = UNSET
    route: Text = UNSET
    overflow: Flag = UNSET
    session: Text = UNSET
    visitor: Text = UNSET
    visit_started_at: Moment = UNSET
    time_on_site_s: Number = UNSET
    pages: Id = UNSET
    channel: Text = UNSET
    source: Text = UNSET
    medium: Text = UNSET
    campaign: Text = UNSET
    keyword: Text = UNSET
    content: Text = UNSET
    click_id: Text = UNSET
    landing_page: Text = UNSET
    referrer: Text = UNSET
    page: Text = UNSET
    title: Text = UNSET
    hash: Text = UNSET
    """What stands behind # in the page's address."""
    device: Text = UNSET
    os: Text = UNSET
    browser: Text = UNSET
    location: Text = UNSET
    ga_client_id: Text = UNSET
    ga_session_id: Text = UNSET
    ym_client_id: Text = UNSET
    ym_counter: Text = UNSET
    unique: Flag = UNSET
    quality: Flag = UNSET
    multichannel: Flag = UNSET
    spam: Flag = UNSET
    tags: list[str] | UnsetType = UNSET
    comment: Text = UNSET
    steps: list[Step] | UnsetType = UNSET
    candidates: list[Rival] | UnsetType = UNSET
    touches: list[dict[str, Any]] | UnsetType = UNSET
    """What led to a multichannel appeal, the earliest first."""
    details: dict[str, Any] | UnsetType | None = UNSET
    revision: Id = UNSET
    published_at: Moment = UNSET


FIELDS: tuple[str, ...] = AppealTold.__struct_fields__
LONG = frozenset({"account", "steps", "candidates", "touches", "details"})
"""Fields that a list does not have unless they are asked for."""
LISTED = tuple(name for name in FIELDS if name not in LONG)

_APART = {
    "client_name": "c.name",
    "first_touch_at": "c.first_touch_at",
    "hash": "substring(a.page FROM '#(.*)$')",
    "spam": "coalesce(n.spam, false)",
    "tags": "coalesce(n.tags, '{}')",
    "comment": "coalesce(n.comment, '')",
}
_CLIENT = " LEFT JOIN clients c ON (c.account_id, c.id) = (a.account_id, a.client_id)"
_NOTE = " LEFT JOIN appeal_notes n ON (n.account_id, n.appeal_id) = (a.account_id, a.id)"


def selected(fields: Iterable[str]) -> str:
    """What stands behind SELECT, of `appeals a` with the joins of `joined`."""
    names = dict.fromkeys(("id", "started_at", *fields))
    return ", ".join(f'{_APART.get(name, f"a.{RENAMED.get(name, name)}")} AS "{name}"' for name in names)


def joined(fields: Iterable[str]) -> str:
    names = set(fields)
    client = _CLIENT if names & {"client_name", "first_touch_at"} else ""
    note = _NOTE if names & {"spam", "tags", "comment"} else ""
    return client + note


def told(row: Mapping[str, Any] | asyncpg.Record, account: int) -> AppealTold:
    """The row as `account` may see it."""
    values = dict(row.items())
    if "candidates" in values:
        values["candidates"] = rivals(values["candidates"], account)
    if "steps" in values:
        values["steps"] = msgspec.convert(values["steps"] or [], list[Step])
    if "touches" in values:
        values["touches"] = values["touches"] if isinstance(values["touches"], list) else []
    if "details" in values and not isinstance(values["details"], dict):
        values["details"] = None
    return AppealTold(**values)


def rivals(stored: object, account: int) -> list[Rival]:
    """The candidates for a call, heaviest first."""
    candidates = [each for each in stored if isinstance(each, dict)] if isinstance(stored, list) else []
    return [_rival(each, account) for each in sorted(candidates, key=lambda each: -float(each.get("weight", 0)))]


def _rival(candidate: dict[str, Any], account: int) -> Rival:
    method, weight = str(candidate.get("method", "")), float(candidate.get("weight", 0))
    if candidate.get("account") != account:
        return Rival(method=method, weight=weight, another_account=True)
    return Rival(
        method=method, weight=weight, site=candidate.get("site"), session=candidate.get("session"),
        since=candidate.get("since"),
    )  # fmt: skip


def fields_in(names: Sequence[str]) -> tuple[str, ...]:
    """The fields of a list, in the order of the row. Raises ValueError naming one that there is not."""
    unknown = sorted(set(names) - set(FIELDS))
    if unknown:
        raise ValueError(f"there is no field {unknown[0][:40]!r}; there are {', '.join(FIELDS)}")
    wanted = {"id", "started_at", *names} if names else set(LISTED)
    return tuple(name for name in FIELDS if name in wanted)
