"""The rows since a time: found in any of the files without reading all of them."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from callrouter.cel.files import family
from callrouter.cel.rows import ForeignCel
from callrouter.cel.stretch import NEAR, CelUnreadable, Stretch
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
    assert stretch.complaint.startswith(f"{cel}, line ")
    late = Stretch(cel, FIRST + ROWS // 2 - 50)
    assert len(list(late)) < ROWS
    assert late.complaint == stretch.complaint, "lines are counted from the file's beginning, wherever reading began"


def test_a_file_of_another_dialect_from_some_line_on_proves_nothing(cel: Path) -> None:
    lines = cel.read_text().splitlines(keepends=True)
    at = len(lines) - 1000
    cel.write_text("".join(lines[:at]) + "".join(lines[at:]).replace('","', '";"'))
    for since in (0, FIRST + ROWS - 1500):
        with pytest.raises(ForeignCel, match=rf"callrouter\.csv, line {at + 1}: .*separated by semicolons"):
            list(Stretch(cel, since))


def test_a_packed_file_that_was_cut_gives_what_it_has_and_one_that_is_none_is_told(cel: Path) -> None:
    packed = gzip.compress(cel.read_bytes())
    elder = cel.with_name("callrouter.csv.1.gz")
    cel.write_text("")
    elder.write_bytes(packed[: len(packed) // 2])
    stretch = Stretch(cel, 0)
    assert ROWS // 4 < len(list(stretch)) < ROWS
    assert stretch.refused >= 1
    assert str(elder) in stretch.complaint
    for damaged in (b"not packed at all\n", b"\x1f\x8b\x08" + b"\xff" * 300):
        elder.write_bytes(damaged)
        with pytest.raises((CelUnreadable, ForeignCel)):
            list(Stretch(cel, 0))
