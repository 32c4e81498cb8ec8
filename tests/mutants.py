"""`python -m tests.mutants [--histories N] [--seeds N] [FAULT…]`: is every fault found that is put into the pool?

Prints a line for each fault, of docs/concepts/guarantees.md's table: with how many of the seeds random histories found
it and after how many of them (median, most), and the same of the one situation that is meant to find it, if there is
one. Exits 1 if a seed of a fault was not found by either. Minutes for all faults and a few seeds.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from callrouter.lab.servers import EmbeddedValkey
from tests.integration.pool.mutants import BY_SITUATION, MUTANTS, mutated
from tests.integration.pool.trying import SITUATION_TRIED, profile, run_machine, run_situations
from tests.integration.pool.witness import Witness

Needed = list[int | None]
"""Histories until it was found, for each seed; None: it was not."""


def needed(fault: str, trial: Callable[[], None]) -> int | None:
    before = Witness.tried
    with mutated(fault):
        try:
            trial()
        except Exception:  # noqa: BLE001 - whatever it is, it was noticed
            return Witness.tried - before
    return None


def by_histories(url: str, fault: str, most: int, seeds: range) -> Needed:
    how = profile(most, shrink=False)
    return [needed(fault, lambda seed=seed: run_machine(url, how, seeded=seed)) for seed in seeds]  # type: ignore[misc]


def by_situation(url: str, fault: str, seeds: range) -> Needed:
    how, name = profile(SITUATION_TRIED, shrink=False), BY_SITUATION[fault]
    return [needed(fault, lambda seed=seed: run_situations(url, how, name, seeded=seed)) for seed in seeds]  # type: ignore[misc]


def told(counts: Needed) -> str:
    found = [count for count in counts if count is not None]
    often = f": {statistics.median(found):g}, {max(found)}" if found else ""
    return f"{len(found)} of {len(counts)}{often}" if counts else ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("faults", nargs="*", default=list(MUTANTS), metavar="FAULT")
    parser.add_argument("--histories", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    seeds, survivors = range(1, options.seeds + 1), 0
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedValkey(Path(folder))
        url = server.start()
        try:
            for fault in options.faults:
                wide = by_histories(url, fault, options.histories, seeds)
                close = by_situation(url, fault, seeds) if fault in BY_SITUATION else []
                survivors += None in wide and (not close or None in close)
                sys.stdout.write(f"| {fault} | {told(wide)} | {told(close)} |\n")
                sys.stdout.flush()
        finally:
            server.stop()
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
