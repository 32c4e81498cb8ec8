"""`python -m bench [NAME…]`: runs the benchmarks (all, or those named), prints a table, writes bench/results.json."""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

import bench
from bench.row import Row

FRAME = {"__main__", "row", "histories"}
RESULTS = Path(bench.__file__).parent / "results.json"


def main(arguments: Sequence[str] | None = None) -> int:
    modules = [
        importlib.import_module(f"bench.{m.name}") for m in pkgutil.iter_modules(bench.__path__) if m.name not in FRAME
    ]
    runs = {module.__name__.removeprefix("bench."): module.run for module in modules if hasattr(module, "run")}
    names = asked(arguments, sorted(runs))
    rows: list[Row] = []
    for name in names:
        print(f"bench: {name} …", end="", flush=True, file=sys.stderr)
        began = time.monotonic()
        rows += runs[name]()
        print(f" {time.monotonic() - began:.0f} s", file=sys.stderr)
    Console(width=140).print(as_table(rows))
    RESULTS.write_text(json.dumps([asdict(row) | {"reached": row.reached} for row in rows], indent=1) + "\n")
    return 0 if all(row.reached for row in rows) else 1


def asked(arguments: Sequence[str] | None, known: list[str]) -> list[str]:
    """The benchmarks named on the command line, or all."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measures ours against a peer in the same run: the ratios hold on other machines too. "
        "The table goes to stdout and to bench/results.json; exit code 1 when a target was missed.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"what to measure (all): {', '.join(known)}")
    names: list[str] = parser.parse_args(arguments).names
    if unknown := sorted(set(names) - set(known)):
        parser.error(f"no benchmark {', '.join(unknown)}: there are {', '.join(known)}")
    return names or known


def as_table(rows: Sequence[Row]) -> Table:
    table = Table("what", "ours", "peer", "unit", "ratio", "target", "")
    for row in rows:
        peer = "" if row.peer is None else f"{row.peer:,.4g}"
        target = "" if row.target is None else f"{'≤' if row.at_most else '≥'} {row.target:g}"
        verdict = "" if row.target is None else "[green]reached[/]" if row.reached else "[red]missed[/]"
        table.add_row(row.name, f"{row.ours:,.4g}", peer, row.unit, f"{row.ratio:.2f}", target, verdict)
    return table


if __name__ == "__main__":
    sys.exit(main())
