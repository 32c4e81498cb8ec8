"""A client's multichannel appeals, each with the touches that led to it and their shares by each model (rules §7)."""

from __future__ import annotations

from typing import Any

import msgspec

from callrouter.appeals.credit import SHARED, WHOLE, Credit, Model
from callrouter.appeals.multichannel import Touch
from callrouter.db.connect import Connection
from callrouter.journal.keyset import Behind
from callrouter.journal.row import AppealTold, joined, selected, told

FIELDS = (
    "kind", "direction", "status", "lost_reason", "customer", "location", "session", "channel", "source", "medium",
    "campaign", "keyword", "landing_page", "touches", "talk_s", "group", "email", "method",
)  # fmt: skip


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A touch, and its share of the appeal by model, from 0 to 1. `of_chain`: false for one before the chain, which has
    a share all the same."""

    touch: Touch
    shares: dict[Model, float]
    of_chain: bool = True


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """`steps`: the earliest first; none if the account keeps no chains. `sources`: different ones, by channel."""

    appeal: AppealTold
    steps: tuple[Step, ...]
    sources: int


class Chains(msgspec.Struct, frozen=True, kw_only=True):
    items: tuple[Chain, ...]
    next: str | None


async def read_chains(
    conn: Connection, account: int, client: int, *, behind: Behind | None = None, limit: int = 10
) -> Chains:
    """The latest appeal first."""
    at, last = (behind.at, behind.id) if behind else (None, None)
    rows = await conn.fetch(CHAINS, account, client, at, last, limit + 1)
    items = tuple(_chain(dict(row), account) for row in rows[:limit])
    following = items[-1].appeal if len(rows) > limit else None
    return Chains(items=items, next=Behind(following.started_at, str(following.id)).text() if following else None)


def _chain(row: dict[str, Any], account: int) -> Chain:
    shares = {each.session: each for each in msgspec.convert(row.pop("credits") or [], list[Credit])}
    appeal = told(row, account)
    touches = msgspec.convert(appeal.touches or [], list[Touch])
    chain = {touch.session for touch in touches}
    before = [share for share in shares.values() if share.session not in chain] if chain else []
    steps = tuple(
        Step(touch=touch, shares=_shares(appeal, touch, shares.get(touch.session)), of_chain=touch.session in chain)
        for touch in sorted([*before, *touches], key=lambda touch: touch.at)
    )
    return Chain(appeal=appeal, steps=steps, sources=len({(touch.channel, touch.source) for touch in touches}))


def _shares(appeal: AppealTold, touch: Touch, share: Credit | None) -> dict[Model, float]:
    found: dict[Model, float] = {"last_click": float(touch.session == appeal.session)}
    return found | {model: getattr(share, model) / WHOLE if share else 0.0 for model in SHARED}


CHAINS = f"""
SELECT {selected(FIELDS)}, a.credits FROM appeals a{joined(FIELDS)}
WHERE a.account_id = $1 AND a.client_id = $2 AND a.multichannel
    AND ($3::timestamptz IS NULL OR (a.started_at, a.id) < ($3, $4::text::uuid))
ORDER BY a.started_at DESC, a.id DESC LIMIT $5"""  # noqa: S608 - made of constants; values are parameters
