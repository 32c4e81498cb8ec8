"""`python -m bench [NAME…]`: runs the benchmarks (all, or those named), prints a table, writes bench/results.json."""

from __future__ import annotations

import importlib
import json
import pkgutil
import sys
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

import bench
from bench.row import Row

FRAME = {"__main__", "row"}


def main(names: list[str]) -> int:
    known = [m.name for m in pkgutil.iter_modules(bench.__path__) if m.name not in FRAME]
    rows: list[Row] = []
    for name in known:
        module = importlib.import_module(f"bench.{name}")
        if hasattr(module, "run") and (not names or name in names):
            print(f"bench: {name} …", file=sys.stderr)
            rows += module.run()
    table = Table("what", "ours", "peer", "unit", "ratio", "target", "")
    for row in rows:
        peer = "" if row.peer is None else f"{row.peer:,.4g}"
        target = f"{'≤' if row.at_most else '≥'} {row.target:g}"
        verdict = "[green]reached[/]" if row.reached else "[red]missed[/]"
        table.add_row(row.name, f"{row.ours:,.4g}", peer, row.unit, f"{row.ratio:.2f}", target, verdict)
    Console(width=140).print(table)
    results = [asdict(row) | {"reached": row.reached} for row in rows]
    (Path(bench.__file__).parent / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    return 0 if all(row.reached for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
