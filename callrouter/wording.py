"""What people are told by a text that pages translate before its values are put into it. Pure: knows no language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import msgspec


def N_(template: str) -> str:  # noqa: N802 - gettext's own name
    """Marks a text that is translated where it is shown."""
    return template


@runtime_checkable
class Templated(Protocol):
    """Has a text with places, in English, and what stands in them: also what is itself templated."""

    @property
    def template(self) -> str: ...

    @property
    def values(self) -> Mapping[str, object]: ...


class Worded(ValueError):
    """An error that is told so."""

    def __init__(self, template: str, /, **values: object) -> None:
        super().__init__(template.format(**values) if values else template)
        self.template = template
        self.values = values


class Wording(msgspec.Struct, frozen=True):
    """A part of what is told."""

    template: str
    values: Mapping[str, object] = {}

    def __str__(self) -> str:
        return self.template.format(**self.values) if self.values else self.template


class Lines(tuple[Templated, ...]):
    """Several of them, each on a line of its own."""

    __slots__ = ()

    def __str__(self) -> str:
        return "".join(f"\n{each}" for each in self)
