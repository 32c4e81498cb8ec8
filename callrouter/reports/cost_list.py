"""Costs as programs look through them: by each level of source, by day, origin and amount. Knows SQL."""

from __future__ import annotations

from datetime import date

from callrouter.journal.columns import Column, Table
from callrouter.journal.conditions import Values

TABLE = Table(
    fields="""id, day, site_id AS site, channel, source, medium, campaign, keyword, content, amount, currency, clicks,
            impressions, imported_from AS origin""",
    tables="costs",
    key="id",
    columns={
        "id": Column("id", "whole"), "day": Column("day", "day"), "site": Column("site_id", "whole", gaps=True),
        "channel": Column("channel"), "source": Column("source"), "medium": Column("medium"),
        "campaign": Column("campaign"), "keyword": Column("keyword"), "content": Column("content"),
        "amount": Column("amount", "number"), "currency": Column("currency"),
        "clicks": Column("clicks", "whole", gaps=True), "impressions": Column("impressions", "whole", gaps=True),
        "origin": Column("imported_from"),
    },
)  # fmt: skip


def conditions_of(account: int, since: date | None, until: date | None, values: Values) -> list[str]:
    """Of these days, both included."""
    told = [f"account_id = {values.add(account, 'bigint')}"]
    if since:
        told.append(f"day >= {values.add(since, 'date')}")
    if until:
        told.append(f"day <= {values.add(until, 'date')}")
    return told
