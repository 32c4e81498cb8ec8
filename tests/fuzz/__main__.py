"""`make fuzz ARGS="--seconds 600 [--reader ami]"`: new inputs for the readers, for longer than `make test`.

With atheris (`pip install atheris`; no part of the locked dependencies, for it has no wheels for every machine) inputs
are led by what code they reach; else by chance. An input that finds a fault is kept in tests/fuzz/corpus. Exits 1 then.
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ATHERIS = """
import atheris, sys
with atheris.instrument_imports(include=["callrouter", "tests.fuzz.readers"]):
    from tests.fuzz.readers import READERS
from tests.fuzz.inputs import keep

def check(data):
    try:
        READERS[sys.argv[1]](data)
    except Exception:
        print("kept as", keep(sys.argv[1], data), file=sys.stderr)
        raise

atheris.Setup([sys.argv[0], *sys.argv[2:]], check)
atheris.Fuzz()
"""


def main() -> int:
    from tests.fuzz.readers import READERS  # noqa: PLC0415 - atheris wants the first import in its own process

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="for all readers together")
    parser.add_argument("--reader", choices=list(READERS), help="only this one")
    given = parser.parse_args()
    chosen = [given.reader] if given.reader else list(READERS)
    led = importlib.util.find_spec("atheris") is not None
    faults = 0
    for reader in chosen:
        began = time.monotonic()
        fault = (_led if led else _by_chance)(reader, given.seconds / len(chosen))
        faults += bool(fault)
        print(f"{reader}: {fault or 'no fault'}, {time.monotonic() - began:.0f} s", flush=True)  # noqa: T201 - its output
    return 1 if faults else 0


def _by_chance(reader: str, seconds: float) -> str:
    from tests.fuzz.inputs import tried  # noqa: PLC0415

    seed = random.SystemRandom().getrandbits(32)
    try:
        tried(reader, seconds, random.Random(seed))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the fault
        return f"{type(error).__name__}: {error}"
    return ""


def _led(reader: str, seconds: float) -> str:
    from tests.fuzz.inputs import TOKENS, seeds  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        words = Path(folder, "words")
        words.write_text("".join('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in TOKENS[reader]))
        corpus = Path(folder, "corpus")
        corpus.mkdir()
        for number, seed in enumerate(seeds(reader)):
            (corpus / str(number)).write_bytes(seed)
        options = [f"-max_total_time={int(seconds)}", f"-dict={words}", "-max_len=20000", "-verbosity=0"]
        options += [f"-artifact_prefix={folder}/", str(corpus)]
        done = subprocess.run([sys.executable, "-c", ATHERIS, reader, *options], check=False)
    return f"exit status {done.returncode}" if done.returncode else ""


if __name__ == "__main__":
    sys.exit(main())
