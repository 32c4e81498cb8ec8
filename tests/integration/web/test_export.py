"""Exports are the journal, whole and in its words; what strangers wrote stays text in every program that opens it."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from callrouter.cli import main
from callrouter.db.connect import open_pool
from callrouter.journal import exporting
from callrouter.journal.formats import FORMULA_SIGNS, Csv, Xlsx
from callrouter.journal.listing import UTC_ZONE
from callrouter.journal.row import FIELDS
from tests.integration.web.journal import INVENTORY, START, Journal, an_appeal, play, put, refused

HOSTILE = (
    "=cmd|'/c calc'!A1", "+1+1", "-2+3", "@SUM(A1)", "\tx", "\r=1", "'=1", "＝1+1", '"quoted", and\nmore', "<b>&amp;",
    "=HYPERLINK(\"http://evil\")", "\x07bell", "x" * 40_000, "\u202eabc", "🙂", "a;b,c\td",
)  # fmt: skip


def rows_of(text: str, separator: str = ",") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=separator))


def as_sent(cell: str) -> str:
    """What a cell was before it was defused."""
    return re.sub(r"([,;\t\r\n])'", r"\1", cell.removeprefix("'"))


def cells_of(workbook: bytes) -> list[list[tuple[str, str]]]:
    """Each row's cells as (type, text), whatever sheet they are on."""
    space = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    rows = []
    with zipfile.ZipFile(io.BytesIO(workbook)) as book:
        for name in sorted(each for each in book.namelist() if each.startswith("xl/worksheets/sheet")):
            for row in ElementTree.fromstring(book.read(name)).iter(f"{space}row"):
                assert not list(row.iter(f"{space}f")), "a formula"
                cells = row.iter(f"{space}c")
                rows.append([(cell.get("t", "n"), "".join(cell.itertext())) for cell in cells])
    return rows


def test_an_export_is_the_journal_in_every_format(
    valkey_url: str, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "ROWS_AT_ONCE", 7)

    async def scene(here: Journal) -> None:
        rows = [
            an_appeal(n, person=HOSTILE[n % len(HOSTILE)], campaign=HOSTILE[-n % len(HOSTILE)], kind="form",
                      details={"text": HOSTILE[n % len(HOSTILE)]}, at=START + timedelta(minutes=n // 3))
            for n in range(40)
        ]  # fmt: skip
        await put(here.postgres, *rows, *(an_appeal(n, account=3) for n in range(3)))
        listed = (await here.told(f"/appeals?limit=500&sort=started_at&fields={','.join(FIELDS)}"))["items"]
        assert len(listed) == len(rows)
        lines = (await here.ask("/appeals/export?format=jsonl")).text.splitlines()
        assert [json.loads(line) for line in lines] == listed
        answer = await here.ask("/appeals/export?format=csv&bom=true&separator=semicolon&quality=true")
        assert answer.headers["content-disposition"].startswith('attachment; filename="appeals-')
        assert answer.content[:3] == b"\xef\xbb\xbf"
        table = rows_of(answer.content.decode("utf-8-sig"), ";")
        assert list(table[0]) == list(FIELDS)
        assert [row["id"] for row in table] == [row["id"] for row in listed]
        for cell, row in zip(table, listed, strict=True):
            assert as_sent(cell["person"]) == row["person"]
            assert as_sent(cell["campaign"]) == row["campaign"]
            assert json.loads(cell["details"]) == row["details"]
            assert not any(value.startswith(tuple(FORMULA_SIGNS.replace("'", ""))) for value in cell.values())
        assert table[0]["started_at"] == "2026-03-02T12:00:00.000+03:00"
        book = cells_of((await here.ask("/appeals/export?format=xlsx&fields=person,talk_s,quality")).content)
        assert [text for _, text in book[0]] == ["id", "started_at", "person", "talk_s", "quality"] or len(book[0]) == 5
        assert len(book) == len(rows) + 1
        persons = [cells[-3] for cells in book[1:] if len(cells) == 5]
        assert {kind for kind, _ in persons} == {"inlineStr"}
        assert {text[:20] for _, text in persons} >= {"=cmd|'/c calc'!A1", "@SUM(A1)", "<b>&amp;"}
        refused(await here.ask("/appeals/export?chanel=x"), 400, "bad-filter")
        assert (await here.ask("/appeals/export?format=doc")).status_code == 400
        assert len((await here.ask("/appeals/export?format=jsonl", account=3)).text.splitlines()) == 3
        assert await here.postgres.fetchval("SELECT count(*) FROM audit WHERE action = 'export'") == 4

    play(valkey_url, database, scene)


@pytest.mark.parametrize(
    "text",
    [
        "a;=1+1", "a,\t=1+1", "a; +1", "a\t@SUM(A1)", "a\n=1+1", "a\r\n-2+3", 'a;"=1+1;b', "a;\uff1d1+1", ";=1+1",
        "=1;=1",
    ],
)  # fmt: skip
@pytest.mark.parametrize("separator", ["comma", "semicolon", "tab"])
def test_no_cell_begins_with_a_formula_by_whatever_sign_and_line_a_program_splits(text: str, separator: Any) -> None:
    line = Csv(("a", "b"), UTC_ZONE, separator=separator).values([["x", text], [text, [text]], ["x", {text: text}]])
    for sign in ",;\t":
        for row in line.decode().splitlines():  # as a program that takes a quote for one only where a cell begins
            for cell in row.split(sign):
                assert cell.lstrip(' "\t')[:1] not in {*"=+-@\uff1d\uff0b\uff0d\uff20"}, (row, sign)


def test_a_client_gets_all_that_is_known_of_him(valkey_url: str, database: str) -> None:
    async def scene(here: Journal) -> None:
        await put(here.postgres, *(an_appeal(n, client_id=7) for n in range(250)))
        answer = await here.ask("/clients/7/export")
        first, *rest = [json.loads(line) for line in answer.text.splitlines()]
        assert first["client"]["appeals"] == 250
        assert [each["item"]["n"] for each in rest] == list(range(1, 251))
        refused(await here.ask("/clients/7/export", account=3), 404, "unknown-client")

    play(valkey_url, database, scene)


def test_a_full_sheet_is_followed_by_another(tmp_path: Path) -> None:
    from callrouter.journal.row import AppealTold  # noqa: PLC0415

    rows = [AppealTold(id=an_appeal(n).id, started_at=START, talk_s=float(n)) for n in range(25)]
    path = tmp_path / "x.xlsx"
    book = Xlsx(path, ("started_at", "talk_s"), UTC_ZONE, rows_of_a_sheet=10)
    book.rows(rows)
    book.close()
    cells = cells_of(path.read_bytes())
    assert len(cells) == 25 + 3
    talked = [float(row[1][1]) for row in cells if row[1][0] == "n"]
    assert talked == [float(n) for n in range(25)]
    table = Csv(("talk_s",), UTC_ZONE)
    assert table.rows(rows[:2]) == b"0.0\r\n1.0\r\n"


def test_the_command_writes_what_the_journal_has(database: str, tmp_path: Path) -> None:
    async def fill() -> None:
        postgres = await open_pool(database)
        await postgres.execute(INVENTORY)
        await put(postgres, *(an_appeal(n) for n in range(5)), *(an_appeal(n, account=3) for n in range(3)))
        await postgres.close()

    def run(*words: str) -> Any:
        return CliRunner().invoke(main, ["export", "appeals", *words], env={"CALLROUTER_POSTGRES_URL": database})

    asyncio.run(fill())
    everything = run()
    assert everything.exit_code == 0, everything.output
    told = [json.loads(line) for line in everything.stdout.splitlines()]
    assert [(row["account"], row["customer"]) for row in told][4:6] == [(2, "79160000004"), (3, "79160000000")]
    assert len(told) == 8
    assert set(told[0]) == set(FIELDS)
    some = run("--account", "Окна", "--format", "csv", "customer=00-03", "--period", "year")
    assert len(rows_of(some.stdout)) <= 1
    out = tmp_path / "appeals.xlsx"
    assert run("--format", "xlsx", "--out", str(out), "--field", "customer").exit_code == 0
    assert len(cells_of(out.read_bytes())) == 9
    assert list(tmp_path.iterdir()) == [out]
    for words in (("chanel=x",), ("nonsense",), ("--field", "secret"), ("--format", "xlsx"), ("--account", "никто"),
                  ("--period", "month", "--since", "2026-01-01")):  # fmt: skip
        result = run(*words)
        assert result.exit_code == 1, words
        assert "Traceback" not in result.output
