"""`python -m tests.mutants [--examples N] [FAULT…]`: does the pool's machine find every fault that is put in?

Prints a line for each fault; exits 1 if one survives. Some minutes for all.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from callrouter.lab.servers import EmbeddedValkey
from tests.integration.pool.machine import profile, run_machine
from tests.integration.pool.mutants import MUTANTS, mutated


def found(url: str, name: str, examples: int) -> str:
    """What gave the fault away, in a word; empty if nothing did."""
    with mutated(name):
        try:
            run_machine(url, profile(examples, shrink=False))
        except Exception as error:  # noqa: BLE001 - whatever it is, it was noticed
            return type(error).__name__
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("faults", nargs="*", default=list(MUTANTS), metavar="FAULT")
    parser.add_argument("--examples", type=int, default=300)
    options = parser.parse_args()
    survivors = 0
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedValkey(Path(folder))
        url = server.start()
        try:
            for name in options.faults:
                began = time.monotonic()
                how = found(url, name, options.examples)
                survivors += not how
                sys.stdout.write(
                    f"{'found' if how else 'SURVIVES':9}{time.monotonic() - began:6.1f} s  {name}  {how}\n"
                )
                sys.stdout.flush()
        finally:
            server.stop()
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
