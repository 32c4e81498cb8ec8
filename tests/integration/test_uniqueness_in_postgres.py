"""Uniqueness in Postgres is a function of the set of calls: over orders, batches, moves and late calls."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callrouter.appeals.directory import load_settings
from callrouter.appeals.row import AppealRow
from callrouter.appeals.store import write
from callrouter.db.connect import Connection, connect
from tests.call_samples import NOON
from tests.integration.publishing import shop
from tests.uniqueness_model import plainly_unique

calls = st.builds(
    AppealRow,
    account_id=st.sampled_from([7, 7, 1]),
    site_id=st.sampled_from([None, 70, 71, 72]),
    started_at=st.integers(0, 12).map(lambda steps: NOON + timedelta(hours=steps * 9)),
    id=st.integers(1, 8).map(lambda number: UUID(int=number)),
    revision=st.integers(0, 2),
    customer=st.sampled_from([None, "79160000001", "79160000001", "79160000002"]),
    direction=st.sampled_from(["inbound", "inbound", "inbound", "outbound"]),
    attribution_pending=st.sampled_from([False, False, False, True]),
    method=st.just("holder"),
)


def newest(told: Sequence[AppealRow]) -> list[AppealRow]:
    """What stands after these tellings, in this order: the highest revision; of the same one, what settles it."""
    standing: dict[UUID, AppealRow] = {}
    for row in told:
        old = standing.get(row.id)
        settles = old is not None and old.attribution_pending and not row.attribution_pending
        if old is None or row.revision > old.revision or (row.revision == old.revision and settles):
            new = standing[row.id] = copy.copy(row)
            if old is not None and not old.attribution_pending and row.attribution_pending:
                new.account_id, new.site_id, new.attribution_pending = old.account_id, old.site_id, False
    return list(standing.values())


def test_flags_are_right_whatever_the_order_and_the_batches(database: str) -> None:
    async def prepare() -> None:
        async with shop(database):
            pass

    asyncio.run(prepare())
    loop = asyncio.new_event_loop()
    connection = loop.run_until_complete(connect(database))

    @settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(calls, max_size=14), st.lists(st.integers(1, 4), min_size=14, max_size=14))
    def holds(told: list[AppealRow], sizes: list[int]) -> None:
        told = one_telling_a_day_apart_at_most(told)
        loop.run_until_complete(tell_and_compare(connection, told, sizes))

    try:
        holds()
    finally:
        loop.run_until_complete(connection.close())
        loop.close()


def one_telling_a_day_apart_at_most(told: list[AppealRow]) -> list[AppealRow]:
    """The tellings of a call agree on its caller, and on its start but for seconds."""
    first: dict[UUID, AppealRow] = {}
    for row in told:
        origin = first.setdefault(row.id, row)
        row.started_at = origin.started_at + timedelta(seconds=row.revision * 5)
        row.customer, row.direction = origin.customer, origin.direction
    return told


async def tell_and_compare(connection: Connection, told: list[AppealRow], sizes: list[int]) -> None:
    await connection.execute("TRUNCATE appeals, clients, client_identities")
    directory = await load_settings(connection)
    expected: list[AppealRow] = []
    at = 0
    for size in sizes:
        batch = told[at : at + size]
        at += size
        await write(connection, [copy.copy(row) for row in batch], directory)
        # Within a batch the highest revision counts, at once.
        latest: dict[UUID, AppealRow] = {}
        for row in sorted(batch, key=lambda row: row.revision):
            latest[row.id] = row
        expected = newest([*expected, *latest.values()])
    stored = await connection.fetch("SELECT id, account_id, is_unique FROM appeals")
    assert {row["id"]: row["account_id"] for row in stored} == {row.id: row.account_id for row in expected}
    assert len(stored) == len(expected)
    assert {row["id"]: row["is_unique"] for row in stored} == plainly_unique(expected)
