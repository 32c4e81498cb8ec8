"""What an import would do, before it does: what is new, changed, replaced. Knows SQL; changes nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal

import msgspec

from callrouter.db.connect import Connection
from callrouter.reports.costs import FOREIGN, Cost
from callrouter.reports.deals import FACTS, Told
from callrouter.reports.owner import Who
from callrouter.reports.table_file import Fault, Table

KNOWN = f"""
SELECT d.crm, d.crm_id, {", ".join(f"d.{name}" for name in FACTS if name not in {"crm", "crm_id"})}
FROM deals d JOIN unnest($2::text[], $3::text[]) AS told (crm, crm_id) ON d.crm = told.crm AND d.crm_id = told.crm_id
WHERE d.account_id = $1"""  # noqa: S608 - names of columns
NO_CLIENT = """
SELECT told FROM unnest($2::bigint[]) AS told
WHERE NOT EXISTS (SELECT FROM clients c WHERE c.account_id = $1 AND c.id = told)"""
REPLACED = """
SELECT currency, count(*) AS rows, sum(amount) AS amount FROM costs
WHERE account_id = $1 AND imported_from = $2 AND (day = ANY($3::date[]) OR day BETWEEN $4 AND $5)
GROUP BY currency ORDER BY currency"""
BASE = "SELECT currency FROM accounts WHERE id = $1"


class Sum(msgspec.Struct, frozen=True, kw_only=True):
    currency: str
    rows: int
    amount: Decimal


class DealsPreview(msgspec.Struct, frozen=True, kw_only=True):
    faults: tuple[Fault, ...]
    new: int
    changed: int
    same: int
    unlinked: int
    """Rows that do not say whose they are."""
    sums: tuple[Sum, ...]


class CostsPreview(msgspec.Struct, frozen=True, kw_only=True):
    faults: tuple[Fault, ...]
    rows: int
    days: int
    first: date | None
    last: date | None
    sums: tuple[Sum, ...]
    replaced: tuple[Sum, ...]
    """What this origin told before of the file's days, which the import removes."""
    between: tuple[Sum, ...]
    """Of these days and those between them."""


async def preview_deals(connection: Connection, account: int, table: Table[Told]) -> DealsPreview:
    """A row whose CRM's id is known, in Postgres or further up in the file, changes that deal."""
    base = await connection.fetchval(BASE, account)
    told = [deal for _, deal in table.rows]
    keys = {(deal.crm or "", deal.crm_id) for deal in told if deal.crm_id}
    rows = await connection.fetch(KNOWN, account, [crm for crm, _ in keys], [crm_id for _, crm_id in keys])
    known = {(row["crm"], row["crm_id"]): dict(row) for row in rows}
    counts = {"new": 0, "changed": 0, "same": 0}
    for deal in told:
        counts[_effect(known, deal, base)] += 1
    return DealsPreview(
        faults=(*table.faults, *await _strangers(connection, account, table)), **counts,
        unlinked=sum(deal.who == Who() and not (deal.ga_client_id or deal.ym_client_id) for deal in told),
        sums=_sums((deal.currency or base, deal.revenue or Decimal()) for deal in told),
    )  # fmt: skip


async def preview_costs(connection: Connection, account: int, origin: str, table: Table[Cost]) -> CostsPreview:
    base = await connection.fetchval(BASE, account)
    costs = [cost for _, cost in table.rows]
    days = sorted({cost.day for cost in costs})
    first, last = (days[0], days[-1]) if days else (None, None)
    sites = [cost.site for cost in costs if cost.site is not None]
    foreign = {row["site"] for row in await connection.fetch(FOREIGN, account, sites)}
    strangers = [
        Fault(line, "there is no site {site}", "site", {"site": cost.site})
        for line, cost in table.rows
        if cost.site in foreign
    ]
    return CostsPreview(
        faults=(*table.faults, *strangers), rows=len(costs), days=len(days), first=first, last=last,
        sums=_sums((cost.currency or base, cost.amount) for cost in costs),
        replaced=await _replaced(connection, account, origin, days),
        between=await _replaced(connection, account, origin, days, between=True),
    )  # fmt: skip


def _effect(known: dict[tuple[str, str], dict[str, object]], deal: Told, base: str) -> str:
    """And what is known afterwards."""
    given = {name: value for name in FACTS if (value := getattr(deal, name)) is not None}
    if not deal.crm_id:
        return "new"
    before = known.setdefault((deal.crm or "", deal.crm_id), {})
    changes = any(before.get(name) != value for name, value in given.items() if name != "crm")
    effect = "new" if not before else "changed" if changes else "same"
    before.update({"currency": base, **given} if not before else given)
    return effect


async def _strangers(connection: Connection, account: int, table: Table[Told]) -> list[Fault]:
    asked = {deal.who.client for _, deal in table.rows if deal.who.client is not None}
    missing = {row["told"] for row in await connection.fetch(NO_CLIENT, account, sorted(asked))}
    return [
        Fault(line, "there is no client {client}", "client", {"client": deal.who.client})
        for line, deal in table.rows
        if deal.who.client in missing
    ]


async def _replaced(
    connection: Connection, account: int, origin: str, days: Sequence[date], *, between: bool = False
) -> tuple[Sum, ...]:
    first, last = (days[0], days[-1]) if between and days else (None, None)
    rows = await connection.fetch(REPLACED, account, origin, days, first, last)
    return tuple(Sum(**dict(row)) for row in rows)


def _sums(amounts: Iterable[tuple[str, Decimal]]) -> tuple[Sum, ...]:
    sums: dict[str, list[Decimal]] = defaultdict(list)
    for currency, amount in amounts:
        sums[currency].append(amount)
    return tuple(
        Sum(currency=currency, rows=len(each), amount=sum(each, Decimal())) for currency, each in sorted(sums.items())
    )
