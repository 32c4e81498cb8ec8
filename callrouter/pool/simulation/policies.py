"""Which free number a visitor gets: callrouter's way, and others for comparison. Knows the scripts' seam, not the rules.

A choice replaces one piece of the shipped allocation script; everything around it stays what production runs.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from callrouter.pool.coalesce import RedisClient
from callrouter.pool.keys import Slot
from callrouter.pool.scripts import Script, script
from callrouter.pool.store import LeaseStore, Lifetimes


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    lua: str | None = None
    """In place of the shipped chooser."""


OURS = Choice(name="ours")


class ChoosingStore(LeaseStore):
    """A lease store whose allocation chooses numbers in another way."""

    def __init__(self, client: RedisClient, *, lifetimes: Lifetimes, choice: Choice) -> None:
        super().__init__(client, lifetimes=lifetimes)
        self._allocate = _with_choice(choice)

    async def _run(self, which: Script, slot: Slot, now: Any, *arguments: object) -> Any:
        return await super()._run(self._allocate if which.name == "allocate" else which, slot, now, *arguments)


def _with_choice(choice: Choice) -> Script:
    shipped = script("allocate")
    if choice.lua is None:
        return shipped
    text = shipped.text
    return Script(shipped.name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())
