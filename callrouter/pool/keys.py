"""Where a pool lives in Redis: one pool, one hash slot. Knows names only, no server."""

from __future__ import annotations

from typing import NewType

Slot = NewType("Slot", str)
"""Prefix of all keys of a pool, its hash tag included; the scripts append what is listed in scripts/prelude.lua."""

NAMESPACE = "cr"


def pool_slot(pool: int, namespace: str = NAMESPACE) -> Slot:
    """Leases, live visits, caller memory and outgoing log of a pool."""
    return Slot(f"{namespace}:{{p{pool}}}:")


def site_slot(site: int, namespace: str = NAMESPACE) -> Slot:
    """Visits and caller memory of a site that has no pool."""
    return Slot(f"{namespace}:{{s{site}}}:")


def log_key(slot: Slot) -> str:
    return slot + "log"


def pool_of(slot: Slot) -> int:
    """The pool whose slot it is; 0 for a site without a pool."""
    tag = slot[slot.index("{") + 1 : slot.index("}")]
    return int(tag[1:]) if tag.startswith("p") else 0
