"""Deals as people look through them: by time, stage, state and employee, with the sums of all. Knows SQL."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Literal, get_args

import msgspec

from callrouter.db.connect import Connection
from callrouter.journal.columns import Column, Table
from callrouter.journal.conditions import Values
from callrouter.reports.deals import FACTS, READ, Deal, deal_of
from callrouter.reports.deals import LISTED as OWN

State = Literal["open", "won", "lost"]
STATES: tuple[State, ...] = get_args(State)
WON: dict[State, str] = {"open": "won IS NULL", "won": "won", "lost": "NOT won"}
CYCLE = "extract(epoch FROM closed_at - opened_at) / 86400.0"
NAMED = ("stage", "funnel", "employee", "crm")
MOST_NAMES = 200

TABLE = Table(
    fields=f"{OWN}, {', '.join(FACTS)}",
    tables="deals",
    key="id",
    columns={
        "id": Column("id", "whole"), "client": Column("client_id", "whole", gaps=True),
        "linked_by": Column("linked_by"),
        "appeal": Column("appeal_id::text", gaps=True), "crm": Column("crm"), "crm_id": Column("crm_id", gaps=True),
        "title": Column("title"), "stage": Column("stage"), "funnel": Column("funnel"), "url": Column("url"),
        "employee": Column("employee"), "revenue": Column("revenue", "number"), "currency": Column("currency"),
        "opened_at": Column("opened_at", "moment"), "closed_at": Column("closed_at", "moment", gaps=True),
        "won": Column("won", "flag", gaps=True), "cycle_days": Column(CYCLE, "number", gaps=True),
        "ga_client_id": Column("ga_client_id"), "ym_client_id": Column("ym_client_id"),
        "changed_at": Column("changed_at", "moment"),
    },
)  # fmt: skip
SUMS = """
SELECT currency, count(*) AS deals, count(*) FILTER (WHERE won) AS won, count(*) FILTER (WHERE NOT won) AS lost,
    coalesce(sum(revenue) FILTER (WHERE won), 0) AS won_revenue,
    coalesce(sum(revenue) FILTER (WHERE won IS NULL), 0) AS open_revenue,
    coalesce(sum(revenue) FILTER (WHERE NOT won), 0) AS lost_revenue,
    avg(extract(epoch FROM closed_at - opened_at) / 86400.0) FILTER (WHERE won AND closed_at >= opened_at) AS cycle_days
FROM deals WHERE {where} GROUP BY currency ORDER BY deals DESC, currency"""
NAMES = """
SELECT DISTINCT {name} AS name FROM deals WHERE account_id = $1 AND {name} <> '' ORDER BY name LIMIT $2"""


class DealsAsked(msgspec.Struct, frozen=True, kw_only=True):
    """What is empty asks for nothing."""

    since: datetime | None = None
    until: datetime | None = None
    client: int | None = None
    stage: str = ""
    funnel: str = ""
    employee: str = ""
    crm: str = ""
    outcome: State | None = None
    unlinked: bool = False
    """Only those without a client."""
    q: str = ""
    """A part of the title, or the CRM's id."""


class SumOfDeals(msgspec.Struct, frozen=True, kw_only=True):
    """Of one currency."""

    currency: str
    deals: int
    won: int
    lost: int
    won_revenue: Decimal
    open_revenue: Decimal
    lost_revenue: Decimal
    cycle_days: float | None


async def read_deals(
    connection: Connection, account: int, asked: DealsAsked, *, behind: tuple[datetime, int] | None = None,
    limit: int = 100,
) -> list[Deal]:  # fmt: skip
    """The latest opened first."""
    values = Values()
    where = _where(account, asked, values)
    if behind:
        where += f" AND (opened_at, id) < ({values.add(behind[0], 'timestamptz')}, {values.add(behind[1], 'bigint')})"
    page = f"{READ} WHERE {where} ORDER BY opened_at DESC, id DESC LIMIT {values.add(limit, 'bigint')}"
    return [deal_of(row) for row in await connection.fetch(page, *values.all)]


async def sums_of_deals(connection: Connection, account: int, asked: DealsAsked) -> list[SumOfDeals]:
    """Of all that pass, not of a page; currencies apart, the one with most deals first."""
    values = Values()
    rows = await connection.fetch(SUMS.format(where=_where(account, asked, values)), *values.all)
    return [
        SumOfDeals(**{**dict(row), "cycle_days": None if row["cycle_days"] is None else float(row["cycle_days"])})
        for row in rows
    ]


async def names_in_deals(connection: Connection, account: int) -> dict[str, list[str]]:
    """The stages, funnels, employees and CRMs that the account's deals have, to choose from."""
    return {
        name: [row["name"] for row in await connection.fetch(NAMES.format(name=name), account, MOST_NAMES)]
        for name in NAMED
    }


def asked_conditions(account: int, asked: DealsAsked, values: Values) -> list[str]:
    """The first is the account's."""
    told = [f"account_id = {values.add(account, 'bigint')}"]
    if asked.since:
        told.append(f"opened_at >= {values.add(asked.since, 'timestamptz')}")
    if asked.until:
        told.append(f"opened_at < {values.add(asked.until, 'timestamptz')}")
    if asked.client is not None:
        told.append(f"client_id = {values.add(asked.client, 'bigint')}")
    told += [f"{name} = {values.add(text, 'text')}" for name in NAMED if (text := getattr(asked, name))]
    if asked.outcome:
        told.append(WON[asked.outcome])
    if asked.unlinked:
        told.append("client_id IS NULL")
    if asked.q:
        part = values.add(asked.q, "text")
        told.append(f"(strpos(lower(title), lower({part})) > 0 OR crm_id = {part})")
    return told


def _where(account: int, asked: DealsAsked, values: Values) -> str:
    return " AND ".join(asked_conditions(account, asked, values))
