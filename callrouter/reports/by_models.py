"""Appeals of each channel by each attribution model. Knows `asking` only."""

from __future__ import annotations

from callrouter.appeals.credit import MODELS
from callrouter.db.connect import Connection
from callrouter.journal.filters import Filters
from callrouter.reports.asking import Question, answer
from callrouter.reports.facts import Scope

MOST_CHANNELS = 100


async def appeals_by_model(connection: Connection, scope: Scope, filters: Filters) -> dict[str, list[float]]:
    """By channel, in the order of MODELS; the most of any model first. Each model's add up to the same."""
    by_channel: dict[str, list[float]] = {}
    for index, model in enumerate(MODELS):
        question = Question(filters=filters, by=("channel",), model=model, limit=MOST_CHANNELS)
        for row in (await answer(connection, scope, question)).rows:
            channel = str(row.key["channel"] or "")
            by_channel.setdefault(channel, [0.0] * len(MODELS))[index] = row.figures.appeals
    return dict(sorted(by_channel.items(), key=lambda item: (-max(item[1]), item[0])))
