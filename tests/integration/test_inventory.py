"""The inventory by the command line, on a real Postgres: what an operator types, and what he is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from callrouter.cli import main

Cli = Callable[..., Result]


@pytest.fixture
def cli(database: str) -> Cli:
    def run(*words: str) -> Result:
        return CliRunner().invoke(main, words, env={"CALLROUTER_POSTGRES_URL": database})

    return run


@pytest.fixture
def shop(cli: Cli) -> Cli:
    for words in (
        ("account", "add", "Acme"),
        ("pool", "add", "moscow"),
        ("site", "add", "shop.example", "--account", "Acme", "--pool", "moscow", "--fallback", "84952220000"),
    ):
        assert cli(*words).exit_code == 0
    return cli


def rows(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def refusal(result: Result) -> str:
    assert result.exit_code != 0
    assert "Traceback" not in result.output
    return result.stderr


def numbers_file(tmp_path: Path, text: str) -> str:
    file = tmp_path / "numbers.csv"
    file.write_text(text, encoding="utf-8")
    return str(file)


def test_numbers_of_any_spelling_enter_a_pool_and_importing_again_changes_nothing(shop: Cli, tmp_path: Path) -> None:
    file = numbers_file(tmp_path, "Number;Route\n8 (495) 222-00-01;sales\n+7 495 222 00 02;\n")
    assert rows(shop("numbers", "import", file, "--pool", "moscow")) == [{"added": 2, "changed": 0, "unchanged": 0}]
    assert rows(shop("numbers", "import", file, "--pool", "moscow")) == [{"added": 0, "changed": 0, "unchanged": 2}]
    listed = {row["number"]: row["route"] for row in rows(shop("numbers", "list"))}
    assert listed == {"74952220001": "sales", "74952220002": ""}


def test_all_wrong_lines_are_told_and_nothing_is_half_imported(shop: Cli, tmp_path: Path) -> None:
    file = numbers_file(tmp_path, "84952220001\nnonsense\n84952220002\n123\n84952220001\n")
    told = refusal(shop("numbers", "import", file, "--pool", "moscow"))
    assert "line 2:" in told
    assert "line 4:" in told
    assert "line 5: 84952220001 stands on line 1 already" in told
    assert rows(shop("numbers", "list")) == []


def test_a_number_is_in_one_pool_only(shop: Cli, tmp_path: Path) -> None:
    file = numbers_file(tmp_path, "84952220001\n")
    rows(shop("numbers", "import", file, "--pool", "moscow"))
    rows(shop("pool", "add", "other"))
    assert "74952220001 is in pool moscow" in refusal(shop("numbers", "import", file, "--pool", "other"))


def test_a_static_number_is_bound_to_one_channel_at_a_time_and_never_leased(shop: Cli, tmp_path: Path) -> None:
    bind = ("static", "bind", "84952220010", "--site", "shop.example", "--channel")
    rows(shop(*bind, "newspaper", "--until", "2026-01-01", "--from", "2025-01-01"))
    rows(shop(*bind, "radio", "--from", "2026-01-01"))
    assert "bound to a channel in that time already" in refusal(shop(*bind, "banner", "--from", "2026-02-01"))
    assert [row["channel"] for row in rows(shop("static", "list"))] == ["newspaper", "radio"]
    told = refusal(shop("numbers", "import", numbers_file(tmp_path, "84952220010\n"), "--pool", "moscow"))
    assert "74952220010 is a static number (channel radio)" in told


def test_a_leased_number_cannot_become_static(shop: Cli, tmp_path: Path) -> None:
    rows(shop("numbers", "import", numbers_file(tmp_path, "84952220001\n"), "--pool", "moscow"))
    told = refusal(shop("static", "bind", "84952220001", "--site", "shop.example", "--channel", "radio"))
    assert "is in a pool" in told


def test_a_broken_number_is_set_aside_once(shop: Cli, tmp_path: Path) -> None:
    rows(shop("numbers", "import", numbers_file(tmp_path, "84952220001\n"), "--pool", "moscow"))
    rows(shop("numbers", "disable", "84952220001"))
    assert "disabled already" in refusal(shop("numbers", "disable", "84952220001"))
    assert "not in the inventory" in refusal(shop("numbers", "disable", "84952229999"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("site", "add", "x.example", "--account", "Nobody"), "there is no 'Nobody' among the accounts"),
        (("site", "add", "x.example", "--account", "Acme", "--pool", "none"), "there is no 'none' among the pools"),
        (("site", "add", "x.example", "--account", "Acme", "--hold", "4"), "hold is 0:04:00"),
        (("site", "add", "shop.example", "--account", "Acme"), "has a site 'shop.example' already"),
        (("account", "add", "Acme"), "there is an account named 'Acme' already"),
        (("pool", "add", "moscow"), "there is a pool named 'moscow' already"),
        (("static", "bind", "12", "--site", "shop.example", "--channel", "x"), "'12' is not a telephone number"),
        (("static", "bind", "84952220010", "--site", "no.example", "--channel", "x"), "there is no site 'no.example'"),
        (("static", "bind", "84952220010", "--site", "shop.example", "--channel", "x", "--until", "soon"), "no time"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(shop: Cli, words: tuple[str, ...], told: str) -> None:
    assert told in refusal(shop(*words))


def test_a_database_without_tables_is_told(postgres_url: str) -> None:
    result = CliRunner().invoke(main, ["account", "list"], env={"CALLROUTER_POSTGRES_URL": postgres_url})
    assert "callrouter db migrate" in refusal(result)


@pytest.mark.parametrize(
    "words",
    [
        ("account", "add", " "),
        ("pool", "add", ""),
        ("site", "add", "https://shop.example/", "--account", "Acme"),
        ("site", "add", "b.example", "--account", "Acme", "--display", "8 (###"),
        ("site", "add", "b.example", "--account", "Acme", "--quality", "-5"),
        ("site", "add", "b.example", "--account", "Acme", "--country", "XX"),
        ("lease", "show", "84952220001", "--country", "XX"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line_and_names_the_argument(shop: Cli, words: tuple[str, ...]) -> None:
    assert "Invalid value for" in refusal(shop(*words))


def test_a_domain_is_kept_as_browsers_name_it_in_the_origin(shop: Cli) -> None:
    assert rows(shop("site", "add", "Пример.рф", "--account", "Acme")) == [
        {"site": 2, "domain": "xn--e1afmkfd.xn--p1ai"}
    ]
    assert rows(shop("site", "list"))[1]["pools"] == []
    bound = shop("static", "bind", "84952220010", "--site", "пример.рф", "--channel", "newspaper")
    assert rows(bound)[0]["number"] == "74952220010"
