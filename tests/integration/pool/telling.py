"""What a pool tells of its leases, in its log and when asked, as the plain model has them (`model.Told`)."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import datetime

from callrouter.numbers import Number
from callrouter.pool.coalesce import RedisClient
from callrouter.pool.entries import parse_entries
from callrouter.pool.keys import Slot, log_key
from callrouter.pool.live import Live, milliseconds
from callrouter.pool.store import Ask, LeaseStore
from tests.integration.pool.model import LEASES_KEPT, PlainPool, Told


async def ended_leases(client: RedisClient, slot: Slot) -> dict[str, list[Told]]:
    """The leases that a log tells of, by number, in the log's order; each began before it ended."""
    ended: dict[str, list[Told]] = defaultdict(list)
    running: dict[str, str] = {}
    told = await client.execute_command("XRANGE", log_key(slot), "-", "+")
    for entry in (entry for name, fields in told for entry in parse_entries(name, fields)):
        assert entry.kind != "unknown"
        if entry.kind == "lease_started":
            assert entry["n"] not in running, "a number was leased twice at once"
            running[entry["n"]] = entry["l"]
        elif entry.kind == "lease_ended":
            assert running.pop(entry["n"]) == entry["l"], "an end without its begin"
            times = (milliseconds(entry.moment_of("b")), milliseconds(entry.moment_of("x")))
            ended[entry["n"]].append(Told(entry["s"], entry["v"], entry.number_of("w"), *times, entry["r"]))
    assert not running
    return dict(ended)


async def asked_about(
    store: LeaseStore, slot: Slot, pool: int, numbers: list[Number], now: datetime
) -> dict[Number, Live]:
    """What is known of each number; they are asked about together, so that it costs one command."""
    found = await asyncio.gather(*(store.resolve(Ask(slot, pool, number, None), now=now) for number in numbers))
    return dict(zip(numbers, found, strict=True))


def agree(live: Live, model: PlainPool, number: Number) -> None:
    """Who has and who had the number, as the pool says, is what the model says. It is settled."""
    holders = [lease for lease in live.leases if lease.ended_at is None and lease.expires_at > live.at]
    ended = [(lease.session, lease.end) for lease in live.leases if lease not in holders]
    if ended and ended[0][1] is None:  # it has run out, and nobody has noticed yet
        ended[0] = (ended[0][0], "expired")
    assert ended[:LEASES_KEPT] == model.past(number)
    term = model.leased().get(number)
    assert [lease.session for lease in holders] == ([term.session] if term else [])
    if term:
        assert (holders[0].visitor, holders[0].closed) == (term.visitor, term.closed)
        assert (milliseconds(holders[0].started_at), list(holders[0].signs)) == (term.began, term.signs)
