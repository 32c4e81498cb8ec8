"""`python -m tests.mutants [--histories N] [--seeds N] [FAULT…]`: does the pool's machine find every fault put in?

Prints a line for each fault: with how many of the seeds it was found, and after how many histories (median, most).
`--table` writes the lines as a table of docs/concepts/guarantees.md. Exits 1 if a fault survives all histories of a
seed. Minutes for all faults and a few seeds.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from callrouter.lab.servers import EmbeddedValkey
from tests.integration.pool.mutants import MUTANTS, mutated
from tests.integration.pool.trying import profile, run_machine
from tests.integration.pool.witness import Witness


def histories_until_found(url: str, name: str, most: int, seed: int) -> int | None:
    """None: it was not found in as many."""
    before = Witness.tried
    with mutated(name):
        try:
            run_machine(url, profile(most, shrink=False), seeded=seed)
        except Exception:  # noqa: BLE001 - whatever it is, it was noticed
            return Witness.tried - before
    return None


def told(name: str, needed: list[int | None], *, table: bool) -> str:
    found = [count for count in needed if count is not None]
    share = f"{len(found)} of {len(needed)}"
    often = (f"{statistics.median(found):g}", f"{max(found)}") if found else ("–", "–")
    if table:
        return f"| {name} | {share} | {often[0]} | {often[1]} |"
    return f"{'found' if len(found) == len(needed) else 'SURVIVES':9}{share:>8} {often[0]:>6} {often[1]:>5}  {name}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("faults", nargs="*", default=list(MUTANTS), metavar="FAULT")
    parser.add_argument("--histories", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    survivors = 0
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedValkey(Path(folder))
        url = server.start()
        try:
            for name in options.faults:
                needed = [
                    histories_until_found(url, name, options.histories, seed) for seed in range(1, options.seeds + 1)
                ]
                survivors += None in needed
                sys.stdout.write(told(name, needed, table=options.table) + "\n")
                sys.stdout.flush()
        finally:
            server.stop()
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
