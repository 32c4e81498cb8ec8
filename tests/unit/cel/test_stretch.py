"""The rows since a time: found in any of the files without reading all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from callrouter.cel.files import family
from callrouter.cel.stretch import NEAR, Stretch
from tests.unit.cel.test_rows import line

FIRST = 1795297343
ROWS = 4000


@pytest.fixture
def cel(tmp_path: Path) -> Path:
    """Rows a second apart; every hundredth caller has a line break in his name."""
    path = tmp_path / "callrouter.csv"
    rows = []
    for n in range(ROWS):
        ids = {"uniqueid": f"pbx1-{FIRST + n}.{n}", "linkedid": f"pbx1-{FIRST + n}.{n}"}
        name = 'two\n"lines"' if n % 100 == 0 else ""
        rows.append(line(eventtime=f"{FIRST + n}.000000", num=str(n), name=name, **ids) + "\n")
    path.write_text("".join(rows))
    assert path.stat().st_size > 8 * NEAR
    return path


@pytest.mark.parametrize("since", [0, 1, 1999, 2000, 2001, ROWS - 1, ROWS])
def test_the_rows_since_a_time_are_found_by_halves(cel: Path, since: int) -> None:
    stretch = Stretch(cel, FIRST + since)
    assert [row.number for row in stretch] == [str(n) for n in range(since, ROWS)]
    assert stretch.refused == 0
    assert stretch.rows <= ROWS - since + 2 * NEAR // 200, "the rest was not read"


def test_names_that_rotation_gives_are_known_and_others_are_not(tmp_path: Path) -> None:
    given = [
        "callrouter.csv",
        "callrouter.csv.1",
        "callrouter.csv.2.gz",
        "callrouter.csv-20261122",
        "callrouter.csv.old",
    ]
    given += ["callrouter.csv-20261122-1795297343.gz"]
    for name in [*given, "callrouter.csv.save", "callrouter.csv~", "callrouter.csv.swp", "other.csv"]:
        (tmp_path / name).touch()
    assert {path.name for path in family(tmp_path / "callrouter.csv")} == set(given)


def test_a_damaged_line_is_skipped_and_counted(cel: Path) -> None:
    lines = cel.read_bytes().splitlines(keepends=True)
    lines[ROWS // 2] = b"\0" * 300 + b"\n"
    cel.write_bytes(b"".join(lines))
    stretch = Stretch(cel, 0)
    assert ROWS - 2 <= len(list(stretch)) < ROWS
    assert stretch.refused >= 1
