"""Rows → facts: SELECTs that give each row of a table its dimensions and its measures. Pure.

The same SELECTs are counted when a report is asked for and when a day is added up beforehand, so the two cannot differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from callrouter.appeals.credit import WHOLE, Model
from callrouter.journal.conditions import Values, appeal_conditions, column_conditions, local_time, visit_conditions
from callrouter.journal.filters import NOTHING_ASKED, Filters
from callrouter.journal.period import day_start
from callrouter.reports.figures import FACT_DIMENSIONS, MEASURES, TRAFFIC

NUMERIC = frozenset({"wait_ms", "talk_ms", "revenue", "cost"})
WHERE_FROM: Final = {name: f"c.{name}" for name in TRAFFIC}
COST_FIELDS = frozenset({"since", "until", "site", "channel", "source", "medium", "campaign", "keyword", "content"})
COST_COLUMNS: Final = {name: f"k.{name}" for name in COST_FIELDS - {"since", "until", "site"}} | {"site": "k.site_id"}
DEAL_FIELDS = frozenset({"since", "until"})
"""What can be asked of a deal that is owed to no appeal."""

_OK = "n.spam IS NOT TRUE"
_CALL = f"a.kind = 'call' AND a.direction = 'inbound' AND {_OK}"
APPEAL_CASES: Final = {
    "appeals": _OK,
    "calls": _CALL,
    "outgoing": f"a.kind = 'call' AND a.direction = 'outbound' AND {_OK}",
    "forms": f"a.kind = 'form' AND {_OK}",
    "callbacks": f"a.kind = 'callback' AND {_OK}",
    "chats": f"a.kind = 'chat' AND {_OK}",
    "emails": f"a.kind = 'email' AND {_OK}",
    "visit_calls": f"{_CALL} AND a.session <> ''",
    "answered": f"{_CALL} AND a.status = 'answered'",
    "lost": f"{_CALL} AND a.status = 'lost'",
    "unique_calls": f"{_CALL} AND a.is_unique",
    "quality": f"{_CALL} AND a.quality",
    "unique_quality": f"{_CALL} AND a.quality AND a.is_unique",
    "multichannel": f"a.multichannel AND {_OK}",
    "spam": "n.spam",
    "waits": f"{_CALL} AND a.wait_s IS NOT NULL",
    "talks": f"{_CALL} AND a.status = 'answered' AND a.talk_s IS NOT NULL",
}

FEW_DAYS = timedelta(days=3)
LONGEST_DAY_H = 26
"""Clocks that go back make a day longer."""

NOTHING = "''"
OWN = ", ".join(f"coalesce(a.{name}, '') AS {name}" for name in TRAFFIC)
"""The appeal's own source: what the journal shows."""
NOTES = "LEFT JOIN appeal_notes n ON n.account_id = a.account_id AND n.appeal_id = a.id"


class Scope(msgspec.Struct, frozen=True):
    """Whose rows, on whose clock."""

    account: int
    zone: ZoneInfo


def appeal_facts(scope: Scope, filters: Filters, model: Model, values: Values) -> str:
    rest, traffic = _apart(filters, model)
    measures = {name: f"CASE WHEN {case} THEN c.w ELSE 0 END" for name, case in APPEAL_CASES.items()}
    measures["wait_ms"] = _spent("a.wait_s", APPEAL_CASES["waits"])
    measures["talk_ms"] = _spent("a.talk_s", APPEAL_CASES["talks"])
    where = " AND ".join(
        [appeal_conditions(rest, scope.account, scope.zone, values), *column_conditions(traffic, WHERE_FROM, values)]
    )
    dims = {**WHERE_FROM, **_of_appeal(scope, values)}
    return _select(dims, measures, f"appeals a {NOTES} CROSS JOIN LATERAL ({_shares(model)}) c", where)


def deal_facts(scope: Scope, filters: Filters, model: Model, values: Values) -> str:
    """Deals by the appeals that they are owed to; each counts on the day of its appeal."""
    rest, traffic = _apart(filters, model)
    where = " AND ".join(
        [appeal_conditions(rest, scope.account, scope.zone, values), *column_conditions(traffic, WHERE_FROM, values)]
    )
    where += f" AND d.account_id = {values.add(scope.account, 'bigint')}"
    where += _within("d.appeal_at", filters.since, filters.until, values)
    dims = {**WHERE_FROM, **_of_appeal(scope, values), "currency": "d.currency"}
    source = f"""appeals a
    JOIN deals d ON d.account_id = a.account_id AND d.appeal_at = a.started_at AND d.appeal_id = a.id
    CROSS JOIN LATERAL ({_shares(model)}) c"""
    return _select(dims, _deal_measures("c.w"), source, where)


def owed_to_nobody(scope: Scope, filters: Filters, values: Values) -> str:
    """Deals whose client has no appeal: on the day they were opened, from nowhere."""
    opened = f"d.opened_at AT TIME ZONE {values.add(scope.zone.key, 'text')}"
    where = f"d.account_id = {values.add(scope.account, 'bigint')} AND d.appeal_at IS NULL"
    where += _within("d.opened_at", filters.since, filters.until, values)
    dims = {"day": f"({opened})::date", "hour": f"extract(hour FROM {opened})::int", "currency": "d.currency"}
    return _select(dims, _deal_measures(str(WHOLE)), "deals d", where)


def visit_facts(scope: Scope, filters: Filters, values: Values) -> str:
    local = local_time("v", scope.zone, values)
    source, first = _first_of_day(scope, filters, values)
    measures = {
        "visits": "1", "visitors": f"({first})::int", "shown": "(v.number IS NOT NULL)::int",
        "overflow": "v.overflow::int",
    }  # fmt: skip
    dims = {
        **{name: f"v.{name}" for name in (*TRAFFIC, "content")}, "site": "v.site_id", "day": f"({local})::date",
        "hour": f"extract(hour FROM {local})::int",
    }  # fmt: skip
    where = visit_conditions(filters, scope.account, scope.zone, values)
    return _select(dims, measures, source, where)


def _first_of_day(scope: Scope, filters: Filters, values: Values) -> tuple[str, str]:
    """Where visits come from, and the condition that one is its visitor's first at the site on that day.

    Days that are counted whole are put in order at once; of a few visits, be it of a long time or of a stretch of a
    day, each is looked up.
    """
    day = f"({local_time('v', scope.zone, values)})::date"
    since, until = filters.since, filters.until
    midnight = day_start(since.astimezone(scope.zone).date(), scope.zone) if since is not None else None
    if not _in_order(since, until, midnight, is_filtered=bool(filters.asked - {"since", "until"})):
        within = _within("e.started_at", midnight, until, values)
        looked_up = f"""NOT EXISTS (
            SELECT FROM visits e WHERE e.account_id = v.account_id AND e.visitor = v.visitor AND e.site_id = v.site_id
                AND e.started_at > v.started_at - interval '{LONGEST_DAY_H} hours' AND e.started_at <= v.started_at
                AND ({local_time("e", scope.zone, values)})::date = {day}
                AND (e.started_at, e.session) < (v.started_at, v.session){within})"""
        return "visits v", looked_up
    where = f"v.account_id = {values.add(scope.account, 'bigint')}"
    where += _within("v.started_at", midnight, until, values)
    ordered = f"""(
        SELECT v.*, row_number() OVER (
            PARTITION BY {day}, v.site_id, v.visitor ORDER BY v.started_at, v.session) = 1 AS is_first
        FROM visits v WHERE {where}) v"""  # noqa: S608 - values are parameters
    return ordered, "v.is_first"


def _in_order(since: datetime | None, until: datetime | None, midnight: datetime | None, *, is_filtered: bool) -> bool:
    if since is None or until is None:
        return False
    if since != midnight and until - since < timedelta(days=1):
        return False
    return until - since <= FEW_DAYS or not is_filtered


def cost_facts(scope: Scope, filters: Filters, values: Values) -> str:
    """Costs have a day, no hour: those of days that begin within the period."""
    where = [f"k.account_id = {values.add(scope.account, 'bigint')}"]
    begins = f"(k.day::timestamp AT TIME ZONE {values.add(scope.zone.key, 'text')})"
    if filters.since is not None:
        where.append(f"k.day >= ({values.add(filters.since, 'timestamptz')} AT TIME ZONE 'UTC')::date - 1")
        where.append(f"{begins} >= {values.add(filters.since, 'timestamptz')}")
    if filters.until is not None:
        where.append(f"k.day <= ({values.add(filters.until, 'timestamptz')} AT TIME ZONE 'UTC')::date + 1")
        where.append(f"{begins} < {values.add(filters.until, 'timestamptz')}")
    where += column_conditions(filters, COST_COLUMNS, values)
    dims = {
        **{name: f"k.{name}" for name in ("channel", "source", "medium", "campaign", "keyword", "content")},
        "site": "k.site_id", "day": "k.day", "currency": "k.currency",
    }  # fmt: skip
    measures = {
        "cost": "k.amount", "clicks": "coalesce(k.clicks, 0)", "impressions": "coalesce(k.impressions, 0)",
    }  # fmt: skip
    return _select(dims, measures, "costs k", " AND ".join(where))


def _within(column: str, since: datetime | None, until: datetime | None, values: Values) -> str:
    """The period, of a column that the planner cannot follow to `started_at`."""
    bounds = ((">=", since), ("<", until))
    return "".join(f" AND {column} {sign} {values.add(at, 'timestamptz')}" for sign, at in bounds if at is not None)


def _apart(filters: Filters, model: Model) -> tuple[Filters, Filters]:
    """What is asked of the appeal, and what of the visit that has a share in it. By last click the two are one."""
    if model == "last_click":
        return filters, NOTHING_ASKED
    blank = {name: getattr(NOTHING_ASKED, name) for name in TRAFFIC}
    only = {name: getattr(filters, name) for name in TRAFFIC}
    return msgspec.structs.replace(filters, **blank), msgspec.structs.replace(NOTHING_ASKED, **only)


def _shares(model: Model) -> str:
    """The sources that have a share in appeal `a`, with their millionths `w`. A static number's call is its own."""
    if model == "last_click":
        return f"SELECT {OWN}, {WHOLE}::bigint AS w"
    column = {name: "region" if name == "location" else name for name in TRAFFIC}
    names = ", ".join(f"coalesce({column[name]}, '') AS {name}" for name in TRAFFIC)
    typed = ", ".join(f"{column[name]} text" for name in TRAFFIC)
    return f"""
        SELECT {names}, "{model}" AS w
        FROM jsonb_to_recordset(a.credits) AS t ({typed}, "{model}" bigint)
        WHERE "{model}" > 0 AND a.method <> 'static'
        UNION ALL SELECT {OWN}, {WHOLE} WHERE a.credits IS NULL OR a.method = 'static'"""  # noqa: S608 - constants


def _of_appeal(scope: Scope, values: Values) -> dict[str, str]:
    local = local_time("a", scope.zone, values)
    return {
        "site": "a.site_id", "day": f"({local})::date", "hour": f"extract(hour FROM {local})::int",
        "group": "coalesce(a.final_group, '')", "employee": "coalesce(a.employee, '')",
        "content": "coalesce(a.content, '')",
    }  # fmt: skip


def _deal_measures(w: str) -> dict[str, str]:
    return {
        "deals": w,
        "won": f"CASE WHEN d.won THEN {w} ELSE 0 END",
        "revenue": f"CASE WHEN d.won IS NOT FALSE THEN d.revenue * {w} * 0.000001 ELSE 0 END",
    }


def _spent(seconds: str, case: str) -> str:
    return f"CASE WHEN {case} THEN round({seconds} * 1000)::numeric * c.w ELSE 0 END"


def _select(dims: Mapping[str, str], measures: Mapping[str, str], source: str, where: str) -> str:
    """All columns of a fact, always in the same order; those not given are empty."""
    told = [f"{dims['day']} AS day", f"{dims.get('currency', NOTHING)} AS currency"]
    for name in FACT_DIMENSIONS:
        nothing = "NULL::int" if name == "hour" else "NULL::bigint" if name == "site" else NOTHING
        told.append(f'{dims.get(name, nothing)} AS "{name}"')
    told += [
        f"({measures.get(name, '0')})::{'numeric' if name in NUMERIC else 'bigint'} AS {name}" for name in MEASURES
    ]
    return f"SELECT {', '.join(told)} FROM {source} WHERE {where}"  # noqa: S608 - values are parameters
