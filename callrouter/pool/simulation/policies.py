"""Which free number a visitor gets: callrouter's way, and others for comparison. Knows the scripts' seam, not the rules.

A choice replaces one piece of the shipped allocation script; everything around it stays what production runs.
"""

from __future__ import annotations

import hashlib
import msgspec

from callrouter.pool.scripts import Script, script


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    lua: str | None = None
    """In place of the shipped chooser."""


OURS = Choice(name="ours")


def allocation(choice: Choice) -> Script:
    """The allocation script that chooses so."""
    shipped = script("allocate")
    if choice.lua is None:
        return shipped
    text = shipped.text
    return Script(shipped.name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())
