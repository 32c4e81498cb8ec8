"""Each warning and error has an id, and the id a paragraph that says what it means and what to do."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ID = re.compile(r"[A-Z]+(-[A-Z]+)+")
PAGE = Path("docs/messages.md")
SOURCES = [path for path in Path("callrouter").rglob("*.py") if "lab" not in path.parts]
LOUD = {"warning", "error", "exception", "_log_rarely", "_say"}


def logged(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LOUD:
            for argument in node.args[:1]:
                chosen = [argument.body, argument.orelse] if isinstance(argument, ast.IfExp) else [argument]
                yield from (c.value for c in chosen if isinstance(c, ast.Constant) and isinstance(c.value, str))


def mentioned(path: Path) -> set[str]:
    return {
        node.value
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and ID.fullmatch(node.value)
    }


def explained() -> list[str]:
    return re.findall(r"^### (\S+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def test_each_warning_is_an_id_with_a_paragraph() -> None:
    told = {message for path in SOURCES for message in logged(path)}
    assert told, "the search finds nothing: has logging changed its form?"
    assert sorted(told - set(explained())) == []


def test_each_paragraph_explains_something_that_is_said() -> None:
    said = set().union(*map(mentioned, SOURCES))
    assert sorted(set(explained()) - said) == []


def test_no_id_is_explained_twice() -> None:
    assert len(explained()) == len(set(explained()))
