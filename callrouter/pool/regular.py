"""What a pool remembers of a caller, out of his record as scripts/remember.lua keeps it. Pure: bytes in, types out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from callrouter.numbers import Number
from callrouter.pool.model import CallerMemory

_memory_of = msgspec.json.Decoder(CallerMemory).decode


class Regular(NamedTuple):
    """`clients` and `managers` by account: the client's id or '', and the employee who talked with him last."""

    same_number: CallerMemory | None
    newest: CallerMemory | None
    clients: dict[int, str]
    managers: dict[int, str]


def read_regular(packed: bytes, number: Number) -> Regular:
    """`number`: the one that he dials now."""
    fields = dict(_fields(packed))
    same, last = fields.get(f"n:{number}"), fields.get("last")
    return Regular(
        _memory_of(same) if same else None, _memory_of(last) if last else None, _by_account(fields, "a:"),
        _by_account(fields, "e:"),
    )  # fmt: skip


def _by_account(fields: Mapping[str, bytes], kind: str) -> dict[int, str]:
    return {int(name[2:]): value.decode() for name, value in fields.items() if name.startswith(kind)}


def _fields(packed: bytes) -> Iterator[tuple[str, bytes]]:
    at = packed.index(b"\x00") + 9
    while at < len(packed):
        name_ends = at + 4 + int.from_bytes(packed[at : at + 4], "little")
        ends = name_ends + 4 + int.from_bytes(packed[name_ends : name_ends + 4], "little")
        yield packed[at + 4 : name_ends].decode(), packed[name_ends + 4 : ends]
        at = ends
