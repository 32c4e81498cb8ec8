"""The pool's operations as Lua, one script each, every one behind the same prelude. Knows no client."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources
from typing import NamedTuple


class Script(NamedTuple):
    name: str
    text: str
    sha: str


@cache
def script(name: str) -> Script:
    """The script `name`.lua, ready for EVALSHA."""
    folder = resources.files(__package__)
    text = (folder / "prelude.lua").read_text("utf-8") + (folder / f"{name}.lua").read_text("utf-8")
    return Script(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())
