"""What is refused is told in the reader's language: all that the package says to people, found where it is said."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from callrouter.journal.query import BadFilter, parse
from callrouter.pool.inventory import Refused, hint
from callrouter.pool.number_ranges import read_numbers
from callrouter.web.pages.words import refusal_in, told_in
from callrouter.wording import Lines

TEMPLATES = {
    "Refused": 0, "WeakPassword": 0, "NotHis": 0, "NoSense": 0, "NotANumber": 0, "Worded": 0, "Wording": 0,
    "Fault": 1, "BadFilter": 1,
}  # fmt: skip
"""Which argument of these is what is said."""
TERMINAL = {"chaos", "commands", "lab", "soak"}


def said() -> Iterator[tuple[str, ast.expr]]:
    for path in sorted(Path("callrouter").rglob("*.py")):
        if path.parts[1] in TERMINAL:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if name in TEMPLATES and len(node.args) > TEMPLATES[name]:
                    yield f"{path}:{node.lineno}", node.args[TEMPLATES[name]]


def test_no_text_is_put_together_before_it_can_be_translated() -> None:
    """Literals are found and held complete by `test_people`; what is handed on is another's literal."""
    places = list(said())
    assert len(places) > 150, "the search finds nothing"
    for place, template in places:
        is_literal = isinstance(template, ast.Constant)
        is_anothers = ast.unparse(template).rpartition(".")[2] in {"template", "reason", "why"}
        is_listed = isinstance(template, ast.Subscript)  # of a table of N_()
        assert is_literal or is_anothers or is_listed, place


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("84951110009 – 84951110000", "Строка 1: 74951110009 – 74951110000"), ("", "Номеров нет"),
        ("number;colour\n84951110000;red", "Строка 1: неизвестн"), ("84951110000\n84951110000", "Строка 2: "),
    ],
)  # fmt: skip
def test_faults_of_a_list_of_numbers_are_told_in_russian(text: str, told: str) -> None:
    faults = read_numbers(text, "RU").faults
    assert refusal_in("ru", faults[0].placed()).startswith(told)
    whole = refusal_in("ru", Refused("nothing was imported, for{faults}", faults=Lines(x.placed() for x in faults)))
    assert "line" not in whole


def test_what_stands_in_a_text_is_translated_too() -> None:
    error = Refused("there is no {name!r} among the pools; {hint}", name="moskow", hint=hint("moskow", ["moscow"]))
    assert str(error) == "there is no 'moskow' among the pools; did you mean moscow?"
    assert refusal_in("ru", error) == "Среди пулов нет 'moskow'; может быть, moscow?"


@pytest.mark.parametrize(
    "item",
    [
        ("talk_s.min", "x"), ("unique", "perhaps"), ("kind", "cal"), ("since", "soon"), ("since", "0001-01-01"),
        ("called", "1"), ("nonsense", "1"), ("period", "aeon"), ("q", "a " * 99), ("source", "x" * 9999),
        ("site", "-1"), ("source", "\0"),
    ],
)  # fmt: skip
def test_why_a_filter_does_not_fit_is_told_in_russian(item: tuple[str, str]) -> None:
    with pytest.raises(BadFilter) as refused:
        parse([item], zone=ZoneInfo("UTC"), now=datetime(2026, 1, 1, tzinfo=UTC))
    told = str(told_in("ru", refused.value.reason))
    assert any("а" <= sign <= "я" for sign in told), told
