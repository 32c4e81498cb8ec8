"""Values on their way into a dialplan. Pure. Visitors write utm parameters, callers write names: both are hostile."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

STATUS = "CALLROUTER_STATUS"
"""The decisive variable, set last: Asterisk reports SUCCESS for a script that was cut off."""
MAX_VALUE = 100
_MAX_COMMAND = 1800  # bytes; Asterisk reads AGI commands into 2048
_UNSAFE = re.compile(r"[^\w .\-:/+@]+")
_NAME = re.compile(r"_{0,2}[A-Z][A-Z0-9_]*")


@lru_cache(maxsize=4096)
def dialplan_safe(value: str) -> str:
    """The value without anything that means something to `Set`, to `$[…]` and `${…}`, to AGI or to a list of arguments.

    Letters and digits of any script stay, and space . _ - : / + @; the rest is dropped, and what is longer than 100.
    """
    return _UNSAFE.sub("", value[: MAX_VALUE * 4])[:MAX_VALUE].strip()


@lru_cache(maxsize=256)
def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(f"not a variable name: {name!r}")


def ordered(variables: Mapping[str, str], status: str) -> list[tuple[str, str]]:
    """Safe values in their order, the status last. The status in `variables`, if any, wins over the given one."""
    pairs = [(name, dialplan_safe(value)) for name, value in variables.items() if name != STATUS]
    for name, _ in pairs:
        _check_name(name)
    pairs.append((STATUS, dialplan_safe(variables.get(STATUS, status))))
    return pairs


@lru_cache(maxsize=4096)
def _assignment(name: str, value: str) -> bytes:
    """Kept: most variables have one of few values."""
    _check_name(name)
    return f"{name}={dialplan_safe(value)}".encode(errors="replace")


def agi_commands(variables: Mapping[str, str], status: str) -> tuple[list[bytes], str]:
    """What sets the variables in their order, the status last, and that status; one in `variables` wins over the given.

    One `EXEC MSet` that sets all: one round trip. More than one only if they are too long for Asterisk's buffer.
    """
    told = variables.get(STATUS, status)
    items = [_assignment(name, value) for name, value in variables.items() if name != STATUS]
    items.append(_assignment(STATUS, told))
    text = b",".join(items)
    if len(text) < _MAX_COMMAND:  # as nearly always
        return [b'EXEC MSet "%b"\n' % text], told
    return _parts(items), told


def _parts(items: list[bytes]) -> list[bytes]:
    commands: list[bytes] = []
    part: list[bytes] = []
    size = 0
    for item in items:
        if size + len(item) >= _MAX_COMMAND:
            commands.append(_mset(part))
            part, size = [], 0
        part.append(item)
        size += len(item) + 1
    commands.append(_mset(part))
    return commands


def _mset(items: list[bytes]) -> bytes:
    return b'EXEC MSet "' + b",".join(items) + b'"\n'
