"""The delay model's default mixture, found anew: when the default world's visits are followed by calls, truth known.

`python -m bench.delays` prints, for the scales of `callrouter/pool/delay.py`, how many calls a visit brings on each and
what share of the late ones a friend places. Knows the world and the model's clocks; no pool, no store, no attribution.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from bisect import bisect_right
from collections.abc import Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from callrouter.pool.branching import Clocks
from callrouter.pool.delay import DEFAULT_MODEL, DELAY_SCALES, HOUR, LATE
from callrouter.pool.simulation.runner import APART, MONDAY
from callrouter.pool.simulation.visitors import PlannedVisit, might_call, visits
from callrouter.pool.simulation.world import World
from callrouter.pool.simulation.worlds import WORLDS

HOLD = 1800.0
EDGES = np.array([0, .02, .05, .1, .2, .35, .5, .75, 1, 1.5, 2, 3, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 27, 30, 36,
                  42, 48, 60, 72, 96, 120, 180, 240, 400]) * HOUR  # fmt: skip
ROUNDS = 20_000
Array = NDArray[np.float64]


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.delays", description=__doc__.splitlines()[0])
    parser.add_argument("--world", default="default", choices=WORLDS)
    parser.add_argument("--seed", type=int, default=101)
    parser.add_argument("--days", type=float, default=14.0)
    parser.add_argument("--sets", type=int, default=10, help="sets of calls on the same visits")
    options = parser.parse_args(argv)
    world = msgspec.structs.replace(WORLDS[options.world](), days=options.days)
    print(json.dumps(measured(world, options.seed, options.sets)))


def measured(world: World, seed: int, sets: int) -> dict[str, object]:
    calls: list[tuple[float, float, float, bool]] = []
    spans: list[tuple[float, float, float]] = []
    begin, end = MONDAY.timestamp(), MONDAY.timestamp() + world.length
    for visit in visits(world, seed, hold=HOLD):
        if visit.bot or not visit.wants_number:
            continue
        signs = [begin + visit.at, *(begin + sign.at for sign in visit.signs)]
        spans += [(sign, sign, until) for sign, until in zip(signs, (*signs[1:], end), strict=True) if until > sign]
        for at, weight, friend in _calls(world, seed, visit, sets):
            calls.append((signs[max(0, bisect_right(signs, begin + at) - 1)], begin + at, weight, friend))
    found = np.array(calls)
    passed, weights = found[:, 1] - found[:, 0], found[:, 2]
    rates = _rates(np.histogram(passed, EDGES, weights=weights)[0], sets * _exposures(np.array(spans)))
    late = passed > LATE
    return {
        "scales_s": DELAY_SCALES,
        "calls_per_visit": [round(float(rate), 6) for rate in rates],
        "call_share": round(float(rates.sum()), 5),
        "shares": [round(float(rate / rates.sum()), 4) for rate in rates],
        "passed_on": round(float(weights[late & (found[:, 3] > 0)].sum() / weights[late].sum()), 3),
    }


def _calls(world: World, seed: int, visit: PlannedVisit, sets: int) -> Iterator[tuple[float, float, bool]]:
    """First calls and friends' as (when, weight, friend's). Who calls in the visit makes it longer, so that only those
    who did count, and for all sets."""
    for place in range(sets):
        for call in visit.calls if place == 0 else might_call(world, seed + APART * place, visit):
            in_visit = call.kind == "first" and call.delay == "in_visit"
            if call.kind in ("first", "friend") and not (in_visit and place):
                yield call.at, float(sets if in_visit else 1), call.kind == "friend"


def _exposures(spans: Array) -> Array:
    """Calls of each scale's exponential, with weight 1, in each span of delay."""
    clocks, rows = Clocks(DEFAULT_MODEL), []
    for least, most in itertools.pairwise(EDGES):
        clipped = spans.copy()
        clipped[:, 1:] = np.clip(spans[:, 1:], spans[:, :1] + least, spans[:, :1] + most)
        rows.append(clocks.brought(np.array(DELAY_SCALES), clipped[clipped[:, 2] > clipped[:, 1]]))
    return np.array(rows)


def _rates(seen: Array, exposures: Array) -> Array:
    """The likeliest, if the calls of each span are Poisson's."""
    rates = np.full(exposures.shape[1], 1e-3)
    for _ in range(ROUNDS):
        rates *= ((seen / np.maximum(exposures @ rates, 1e-9)) @ exposures) / exposures.sum(axis=0)
    return rates


if __name__ == "__main__":
    main(sys.argv[1:])
