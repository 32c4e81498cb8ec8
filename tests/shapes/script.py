"""The list of shapes: each a script with a name, a lane of its own, and the Asterisk versions that it is played on."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import NamedTuple

from tests.shapes.stage import Stage

Script = Callable[[Stage], Coroutine[None, None, None]]


class Shape(NamedTuple):
    name: str
    play: Script
    lane: int
    versions: tuple[int, ...]
    pbxs: int


SHAPES: dict[str, Shape] = {}


def shape(*, versions: tuple[int, ...] = (22, 16), pbxs: int = 1) -> Callable[[Script], Script]:
    """Enter a script into the list, under the name of the function."""

    def enter(script: Script) -> Script:
        name = script.__name__
        SHAPES[name] = Shape(name, script, len(SHAPES) + 1, versions, pbxs)
        return script

    return enter
