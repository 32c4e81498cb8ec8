"""The pool's operations as Lua, one script each, behind the parts that it needs. Knows no client."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources
from typing import NamedTuple

from callrouter.pool.scripts.layout import laid_out

PARTS = {
    "allocate": ("allocate_new", "visits", "numbers", "choose"),
    "renew": ("renew_live", "visits", "numbers"),
    "release": ("visits", "numbers"),
    "hangup": ("visits", "numbers"),
    "sweep": ("visits", "numbers"),
    "load": ("visits", "numbers"),
    "forget": ("visits", "numbers"),
}
"""What stands before a script, after the prelude: what a script does not use is not set up on each call."""


UNHURRIED = """
local vkey = P .. 'v:' .. ARGV[5] .. ':' .. ARGV[7]
local known, taken = unpack(call('MGET', vkey, P .. 's:' .. ARGV[4]))
"""
"""Stands for allocate_new.lua, which has the choice built in, where another choice is made."""


class Script(NamedTuple):
    name: str
    text: str
    sha: str


@cache
def script(name: str, *, chooser: str | None = None) -> Script:
    """The script `name`.lua, ready for EVALSHA. `chooser` is Lua to stand in the place of choose.lua."""
    parts = ("prelude", *PARTS.get(name, ()), name)
    replaced = {"choose": chooser, "allocate_new": UNHURRIED} if chooser is not None else {}
    text = laid_out("\n".join(replaced.get(part) or _text(part) for part in parts))
    return Script(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def _text(name: str) -> str:
    return (resources.files(__package__) / f"{name}.lua").read_text("utf-8")
