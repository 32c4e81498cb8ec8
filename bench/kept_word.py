"""Does the planner keep its word? `python -m bench.kept_word [--only TEXT] [--calls N] [--results FILE]`

A size is planned for each cell of a matrix (what people are like, how many come, how long numbers are held); then whole
worlds of other people, two for each cell, are simulated with as many numbers. The table says whether the target was
reached in each. Takes an hour and more: cells that FILE has already are not run again. `--rules` simulates what rules
of thumb come to in the same worlds instead. Exit code 1 when a plan was broken.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from callrouter.commands.options import stop_as_by_hand
from callrouter.lab.servers import embedded_valkey
from callrouter.pool.planning.demand import Demand, Target
from callrouter.pool.planning.erlang import per_day_rule, per_hour_rule
from callrouter.pool.planning.kept import kept, other_seeds
from callrouter.pool.planning.plan import Planner
from callrouter.pool.simulation.worlds import WORLDS

CALLS = 2000
FEW, CALL_SHARE = 60.0, 0.25
WINDOW = 72
RESULTS = Path("kept_word.jsonl")
Entry = dict[str, Any]
Maker = Callable[[str, "Cell", float], AsyncIterator[Entry]]
"""Told a server, a cell and how many calls."""


@dataclass(frozen=True)
class Cell:
    """What is planned for. In the worlds that check the plan, where few visit, one in four who want a number calls: so
    some thousand calls come within weeks. They pin more numbers, which makes it no easier."""

    world: str
    visits_per_hour: float
    hold: int
    """Minutes."""
    right: float = 0.97
    window: int = WINDOW
    """Hours."""
    seeds: int = 2

    @property
    def name(self) -> str:
        return f"{self.world} {self.visits_per_hour:g}/h hold {self.hold} window {self.window} target {self.right:g}"

    @property
    def demand(self) -> Demand:
        world = msgspec.structs.replace(WORLDS[self.world](), visits_per_hour=self.visits_per_hour)
        return Demand(
            world=world, hold=timedelta(minutes=self.hold), window=timedelta(hours=self.window),
            target=Target(right=self.right),
        )  # fmt: skip

    @property
    def talkative(self) -> Demand:
        demand = self.demand
        share = CALL_SHARE if self.visits_per_hour <= FEW else demand.world.calling.share
        calling = msgspec.structs.replace(demand.world.calling, share=share)
        return msgspec.structs.replace(demand, world=msgspec.structs.replace(demand.world, calling=calling))


MATRIX = (
    Cell("default", 60, 30),
    Cell("impulse", 60, 10),
    Cell("slow-deciders", 60, 60, right=0.85),
    Cell("default", 60, 10),
    Cell("default", 60, 30, window=24),
    Cell("default", 400, 30),
    Cell("busy-day", 60, 30),
    Cell("slow-deciders", 60, 30),
    Cell("default", 60, 60),
    Cell("impulse", 400, 30),
    Cell("slow-deciders", 60, 10, right=0.85),
    Cell("impulse", 60, 60),
    Cell("round-the-clock", 60, 10),
    Cell("many-accounts", 400, 30),
    Cell("slow-deciders", 400, 30, right=0.85),
    Cell("default", 2000, 30),
)
"""Also a target that slow deciders leave within reach, and two cases that are out of any pool's."""
RULES = tuple(Cell(world, 60, 30, seeds=1) for world in ("default", "impulse", "slow-deciders"))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.kept_word", description=__doc__)
    parser.add_argument("--only", default="", help="cells whose name has this text")
    parser.add_argument("--calls", type=float, default=CALLS, help="attributable calls in each world, about")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where results are kept, one a line")
    parser.add_argument("--rules", action="store_true", help="rules of thumb instead of plans")
    given = parser.parse_args(arguments)
    stop_as_by_hand()
    known = list(_known(given.results))
    cells = [cell for cell in (RULES if given.rules else MATRIX) if given.only in cell.name]
    made = _ruled if given.rules else _planned
    told = asyncio.run(_all(cells, known, made, given.calls, given.results))
    for line in _table(told):
        print(line)
    return 0 if given.rules or all(entry["holds"] is not False for entry in told) else 1


def _known(results: Path) -> Iterator[Entry]:
    if results.exists():
        yield from map(json.loads, results.read_text("utf-8").splitlines())


async def _all(cells: Sequence[Cell], known: list[Entry], made: Maker, calls: float, results: Path) -> list[Entry]:
    told: list[Entry] = []
    with tempfile.TemporaryDirectory(prefix="callrouter-kept-") as folder:
        async with embedded_valkey(Path(folder)) as url:
            for cell in cells:
                entries = [entry for entry in known if entry["cell"] == cell.name and entry["by"] == made.__name__]
                if not entries:
                    async for entry in made(url, cell, calls):
                        entries.append(entry)
                        print(json.dumps(entry), file=sys.stderr, flush=True)
                    with results.open("a", encoding="utf-8") as file:
                        file.writelines(json.dumps(entry) + "\n" for entry in entries)
                told += entries
    return told


async def _planned(url: str, cell: Cell, calls: float) -> AsyncIterator[Entry]:
    plan = await Planner(url, cell.demand, tell=_tell).plan(curve=False)
    common = {"by": "_planned", "cell": cell.name, "world": cell.world, "visits_per_hour": cell.visits_per_hour,
              "hold": cell.hold, "window": cell.window, "target": cell.right, "formula": plan.formula,
              "limit": plan.limit, "runs": len(plan.curve)}  # fmt: skip
    if plan.numbers is None:
        yield {**common, "numbers": None, "holds": None}
        return
    point = next(point for point in plan.curve if point.numbers == plan.numbers)
    expected = {"expected": point.right, "expected_low": point.right_low, "expected_high": point.right_high}
    for seed in other_seeds(1, cell.seeds):
        found = await kept(url, cell.talkative, plan.numbers, seed=seed, calls=calls)
        yield {**common, **expected, **msgspec.to_builtins(found)}


async def _ruled(url: str, cell: Cell, calls: float) -> AsyncIterator[Entry]:
    formula = cell.demand.formula
    for rule, numbers in (
        ("visitors per hour ÷ 4", per_hour_rule(max(formula.leases))),
        ("1 per 20 daily visitors", per_day_rule(formula.leases_per_day)),
    ):
        found = msgspec.to_builtins(await kept(url, cell.talkative, numbers, seed=other_seeds(1, 1)[0], calls=calls))
        yield {"by": "_ruled", "cell": cell.name, "world": cell.world, "rule": rule, **found, "holds": None}


def _tell(name: str, over: float, _expected: int) -> None:
    if over == int(over):
        print(f"{name}: simulated, run {over:g}", file=sys.stderr, flush=True)


def _table(told: Sequence[Entry]) -> Iterator[str]:
    """Markdown."""
    if told and told[0]["by"] == "_ruled":
        yield "| world | rule | numbers | overflow | right | calls |"
        yield "|---|---|---|---|---|---|"
        for entry in told:
            numbers, calls, overflow = f"{entry['numbers']:,}", f"{entry['calls']:,}", _percent(entry["overflow"])
            yield f"| {entry['world']} | {entry['rule']} | {numbers} | {overflow} | {_right(entry)} | {calls} |"
        return
    yield (
        "| world | visits/h | hold | target | numbers | expected | seed | calls that came, right | calls "
        "| calls tried, right | overflow | |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|---|---|"
    for entry in told:
        window = "" if entry["window"] == WINDOW else f", window {entry['window']} h"
        target = f"{entry['target'] * 100:g} %"
        cell = f"| {entry['world']}{window} | {entry['visits_per_hour']:,g} | {entry['hold']} | {target} "
        if entry["numbers"] is None:
            yield f"{cell}| none | at most {_percent(entry['limit'])} | | | | | | says so |"
        else:
            verdict = "holds" if entry["holds"] else "**broken**"
            yield (
                f"{cell}| {entry['numbers']:,} | {_percent(entry['expected'])} | {entry['seed']} | {_right(entry)} "
                f"| {entry['calls']:,} | {_tried(entry)} | {_percent(entry['overflow'])} | {verdict} |"
            )


def _right(entry: Entry) -> str:
    return f"{_percent(entry['right'])} ({entry['right_low'] * 100:.1f}…{entry['right_high'] * 100:.1f})"


def _tried(entry: Entry) -> str:
    return f"{_percent(entry['tried_right'])} ({entry['tried_low'] * 100:.1f}…{entry['tried_high'] * 100:.1f})"


def _percent(share: float) -> str:
    return f"{share * 100:.1f} %"


if __name__ == "__main__":
    sys.exit(main())
