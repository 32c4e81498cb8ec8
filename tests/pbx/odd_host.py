"""A host whose resolver can be made silent and whose clock can be stepped, for one process, without being root.

Both are what the C library answers: a small library that is preloaded answers instead, as the test says.
"""

from __future__ import annotations

import mmap
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Literal

SOURCE = Path(__file__).with_name("odd_host.c")
NEEDED = "hosts with a dead resolver or another clock need a C compiler: apt-get install gcc"
NAMES = {"known": 0, "refused": 1, "silent": 2}
DOMAIN = "odd.test"
"""Names under it lead to this machine."""


class OddHost:
    """What a process with `environ` sees; anew whenever it is set."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        library, state = folder / "odd_host.so", folder / "odd"
        compiler = shutil.which("cc")
        assert compiler, NEEDED
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-Wall", "-Werror", "-O1", "-o", library, SOURCE, "-ldl"], check=True
        )
        state.write_bytes(bytes(16))
        with state.open("r+b") as file:
            self._odd = mmap.mmap(file.fileno(), 16)
        self.environ = {"LD_PRELOAD": str(library), "ODD_HOST": str(state)}

    def step(self, seconds: int) -> None:
        """The clock is off by so much from now on."""
        self._odd[:8] = struct.pack("=q", seconds)

    def names(self, how: Literal["known", "refused", "silent"]) -> None:
        self._odd[8:] = struct.pack("=q", NAMES[how])
