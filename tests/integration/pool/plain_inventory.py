"""How numbers join, leave and change pools, in plain Python. Knows the plain pools; knows no store."""

from __future__ import annotations

from dataclasses import replace

from tests.integration.pool.model import MINUTE, Number, PlainPool

DAY = 24 * 60 * MINUTE


def load(pools: dict[str, PlainPool], wanted: dict[str, dict[str, bool]], now: int) -> None:
    """The inventory as it is now, of all pools (by a name that sorts as their slots do). False: set aside.

    What leaves a pool does so before anything comes; what comes from another pool brings what is known of it there.
    """
    everywhere = {number for share in wanted.values() for number in share}
    for name, pool in pools.items():
        pool.settle(now)
        pool.gone = {number: at for number, at in pool.gone.items() if at > now - DAY}
        for number in sorted(pool.members - wanted[name].keys()):
            pool.let_go(number, now, "moved" if number in everywhere else "disabled")
            pool.members.discard(number)
            if number in everywhere:
                pool.gone[number] = now
    for name, pool in pools.items():
        for number, used in wanted[name].items():
            if number not in pool.members:
                _join(pool, number, pools)
            pool.gone.pop(number, None)
            if used:
                pool.numbers[number].used = True
            else:
                pool.let_go(number, now, "disabled")


def _join(pool: PlainPool, number: str, pools: dict[str, PlainPool]) -> None:
    pool.members.add(number)
    own = pool.numbers.get(number)
    left = max(((other.gone[number], name) for name, other in pools.items() if number in other.gone), default=None)
    there = pools[left[1]] if left else pool
    known = there.numbers.get(number)
    if there is pool or known is None or _began(own) > _began(known):
        pool.numbers.setdefault(number, Number(used=False))
        return
    pool.numbers[number] = replace(known, used=False, ended=list(known.ended), calls=dict(known.calls))
    if known.last and known.last.session in there.visits:
        pool.visits.setdefault(known.last.session, replace(there.visits[known.last.session]))


def _began(number: Number | None) -> int:
    """When its latest lease began; 0: it was never leased there."""
    return number.last.began if number and number.last else 0
