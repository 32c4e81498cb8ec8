"""The inventory by the command line, on a real Postgres: what an operator types, and what he is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from callrouter.cli import main
from tests.integration.conftest import administer

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
        (
            ("static", "bind", "84952220010", "--site", "shop.example", "--channel", "x", "--from", "0001-01-01"),
            "no time",
        ),
        (("static", "end", "84952220010", "--at", "9999-12-31T23:59:59-12:00"), "no time"),
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
        ("static", "bind", "84952220010", "--site", "shop.example", "--channel", " "),
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


def two_pools(shop: Cli, tmp_path: Path) -> Cli:
    """84952220001 and -02 in pool moscow, -03 in pool spb."""
    rows(shop("pool", "add", "spb"))
    rows(shop("numbers", "import", numbers_file(tmp_path, "84952220001\n84952220002\n"), "--pool", "moscow"))
    rows(shop("numbers", "import", numbers_file(tmp_path, "84952220003\n"), "--pool", "spb"))
    return shop


def pools_of_numbers(cli: Cli) -> dict[str, str]:
    return {row["number"][-2:]: row["pool"] for row in rows(cli("numbers", "list"))}


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_every_fault_of_a_file_is_told_in_the_order_of_its_lines_also_those_that_only_the_inventory_knows(
    shop: Cli, tmp_path: Path, dry: tuple[str, ...]
) -> None:
    two_pools(shop, tmp_path)
    rows(shop("static", "bind", "84952220010", "--site", "shop.example", "--channel", "radio"))
    before = rows(shop("numbers", "list"))
    text = (
        "number,route,note\n84952220003,,\n12,,\n84952220010,,\n84952220004,sales\n84952220000,,\n84952220005,a,b,c\n"
    )
    told = refusal(shop("numbers", "import", numbers_file(tmp_path, text), "--pool", "moscow", *dry))
    assert [line.partition(":")[0] for line in told.splitlines()[1:]] == [f"line {n}" for n in (2, 3, 4, 6, 7)]
    assert "line 2: 74952220003 is in pool spb" in told
    assert "line 4: 74952220010 is a static number (channel radio)" in told
    assert "line 6: 74952220000 is the own number of site shop.example" in told
    assert "line 7: 4 cells, where 3 are known" in told
    assert rows(shop("numbers", "list")) == before


def test_a_dry_run_of_a_good_file_changes_nothing(shop: Cli, tmp_path: Path) -> None:
    file = numbers_file(tmp_path, "84952220001\n")
    assert rows(shop("numbers", "import", file, "--pool", "moscow", "--dry-run")) == [{"numbers": 1, "imported": False}]
    assert rows(shop("numbers", "list")) == []
    assert "did you mean moscow?" in refusal(shop("numbers", "import", file, "--pool", "moskow", "--dry-run"))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("номер\n8495".encode("cp1251"), "line 1: is not UTF-8 text"),
        ("84952220001\nтелефон".encode("cp1251"), "line 2: is not UTF-8 text"),
        ("84952220001\nтелефон\nabc".encode("cp1251"), "line 3: 'abc' is not a telephone number"),
        (b"", "the file has no numbers"),
        (b"number\n", "the file has no numbers"),
        (b"number;number\n84952220001;84952220002\n", "the column 'number' stands there twice"),
        (b"number;phone\n84952220001;1\n", "line 1: unknown column 'phone'"),
        (b'number,note\n84952220001,"' + b"x" * 200_000 + b'"\n', "line 2: is no CSV"),
        (b'number,note\n84952220001,"two\nlines"\n', "signs that cannot be printed"),
    ],
)
def test_a_file_that_is_none_is_refused_with_the_line(shop: Cli, tmp_path: Path, content: bytes, told: str) -> None:
    file = tmp_path / "numbers.csv"
    file.write_bytes(content)
    assert told in refusal(shop("numbers", "import", str(file), "--pool", "moscow"))
    assert rows(shop("numbers", "list")) == []


def test_a_number_of_another_pool_is_taken_only_on_purpose(shop: Cli, tmp_path: Path) -> None:
    two_pools(shop, tmp_path)
    file = numbers_file(tmp_path, "84952220003\n84952220004\n")
    assert "74952220003 is in pool spb" in refusal(shop("numbers", "import", file, "--pool", "moscow"))
    assert rows(shop("numbers", "import", file, "--pool", "moscow", "--move")) == [
        {"added": 1, "changed": 1, "unchanged": 0}
    ]
    assert set(pools_of_numbers(shop).values()) == {"moscow"}


def test_numbers_move_between_pools_all_or_none(shop: Cli, tmp_path: Path) -> None:
    two_pools(shop, tmp_path)
    move = ("numbers", "move", "84952220001", "8 495 222-00-03")
    assert "74952229999 is not in the inventory" in refusal(shop(*move, "84952229999", "--pool", "spb"))
    assert pools_of_numbers(shop) == {"01": "moscow", "02": "moscow", "03": "spb"}
    assert rows(shop(*move, "--pool", "spb")) == [{"numbers": 2, "moved": 1, "pool": "spb"}]
    assert pools_of_numbers(shop) == {"01": "spb", "02": "moscow", "03": "spb"}
    assert "did you mean moscow?" in refusal(shop(*move, "--pool", "Moscow"))


def test_a_static_number_enters_a_pool_only_after_its_binding_has_ended(shop: Cli) -> None:
    rows(shop("static", "bind", "84952220010", "--site", "shop.example", "--channel", "radio"))
    move = ("numbers", "move", "84952220010", "--pool", "moscow")
    assert "is a static number (channel radio)" in refusal(shop(*move))
    assert rows(shop("static", "end", "84952220010"))[0]["channel"] == "radio"
    assert "is bound to no channel at that time" in refusal(shop("static", "end", "84952220010"))
    assert rows(shop(*move))[0]["moved"] == 1
    assert rows(shop("static", "list"))[0]["valid_to"] is not None


def test_numbers_set_aside_come_back(shop: Cli, tmp_path: Path) -> None:
    two_pools(shop, tmp_path)
    assert "74952220001 is active already" in refusal(shop("numbers", "enable", "84952220001"))
    rows(shop("numbers", "disable", "84952220001", "84952220002"))
    assert [row["state"] for row in rows(shop("numbers", "list"))] == ["disabled", "disabled", "active"]
    assert "74952220001 is disabled already" in refusal(shop("numbers", "disable", "84952220003", "84952220001"))
    rows(shop("numbers", "enable", "84952220001", "84952220002"))
    assert [row["state"] for row in rows(shop("numbers", "list"))] == ["active", "active", "active"]


def test_a_pool_is_removed_only_when_nothing_depends_on_it(shop: Cli, tmp_path: Path) -> None:
    two_pools(shop, tmp_path)
    assert "pool spb has 1 numbers" in refusal(shop("pool", "remove", "spb"))
    rows(shop("numbers", "move", "84952220003", "--pool", "moscow"))
    rows(shop("site", "change", "shop.example", "--pool", "moscow", "--pool", "spb"))
    assert "pool spb serves shop.example" in refusal(shop("pool", "remove", "spb"))
    rows(shop("site", "change", "shop.example", "--pool", "moscow"))
    assert rows(shop("pool", "remove", "spb"))[0]["removed"] is True
    assert [row["name"] for row in rows(shop("pool", "list"))] == ["moscow"]


def test_a_sites_limits_are_set_and_taken_back(shop: Cli) -> None:
    names = ("retention_days", "leases_per_address", "leases_per_site", "requests_per_second")
    options = [f"--{name.replace('_', '-')}" for name in names]
    for words, wanted in ((("90", "0", "7", "20"), [90, 0, 7, 20]), (("default",) * 4, [None] * 4)):
        given = [word for pair in zip(options, words, strict=True) for word in pair]
        rows(shop("site", "change", "shop.example", *given))
        [listed] = rows(shop("site", "list"))
        assert [listed[name] for name in names] == wanted
    for wrong in ("0", "-1", "soon", "1.5"):
        assert "neither a whole number" in refusal(shop("site", "change", "shop.example", "--retention-days", wrong))


def test_a_site_changes_what_is_given_and_keeps_the_rest(shop: Cli, tmp_path: Path) -> None:
    two_pools(shop, tmp_path)
    rows(
        shop(
            "site", "change", "shop.example", "--hold", "45", "--rest", "10", "--overflow", "nearest_end",
            "--fallback", "8 (495) 222-05-05", "--domain", "shop.example", "--domain", "магазин.рф", "--disabled",
            "--pool", "spb:regions=RU-SPE,RU-LEN:sources=yandex", "--pool", "moscow",
        )
    )  # fmt: skip
    listed = rows(shop("site", "list"))[0]
    assert listed | {"site": 0} == {
        "site": 0, "domain": "shop.example", "account": "Acme", "pools": ["spb", "moscow"], "route": "",
        "fallback": "74952220505", "hold_minutes": 45.0, "rest_minutes": 10.0, "overflow": "nearest_end",
        "domains": ["shop.example", "xn--80aairftm.xn--p1ai"], "enabled": False, "consent": "full", "select": None,
        "shadow": None, "callback": {}, "own_numbers": listed["own_numbers"], "retention_days": None,
        "leases_per_address": None, "leases_per_site": None, "requests_per_second": None,
    }  # fmt: skip
    rows(shop("site", "change", "shop.example", "--no-fallback", "--no-pool", "--enabled"))
    changed = rows(shop("site", "list"))[0]
    assert changed == listed | {"fallback": None, "pools": [], "enabled": True}


def test_a_site_sets_what_its_script_does(shop: Cli) -> None:
    numbers = ("--own-number", "8 (495) 222-22-22", "--own-number", "8 800 555-35-35")
    rows(shop("site", "change", "shop.example", *numbers, "--consent", "ask", "--select", ".phone"))
    rows(shop("site", "change", "shop.example", "--shadow", "shop-header"))
    site = rows(shop("site", "list"))[0]
    assert site["own_numbers"] == ["74952222222", "78005553535"]
    assert (site["consent"], site["select"], site["shadow"]) == ("ask", ".phone", "shop-header")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("shop.example",), "nothing to change was given"),
        (("shop.example", "--hold", "4.9"), "hold is 0:04:54"),
        (("shop.example", "--hold", "nan"), "no number of minutes"),
        (("shop.example", "--hold", "-5"), "no number of minutes"),
        (("shop.example", "--hold", "1e99"), "no number of minutes"),
        (("shop.example", "--quality", "inf"), "no number of seconds"),
        (("shop.exmaple", "--hold", "30"), "there is no site 'shop.exmaple'; did you mean shop.example?"),
        (("shop.example", "--account", "Other", "--hold", "30"), "belongs to another account than 'Other'"),
        (("shop.example", "--hold", "30", "--pool", "spd"), "there is no 'spd' among the pools; did you mean spb?"),
        (("shop.example", "--hold", "30", "--pool", "foreign"), "pool 'foreign' belongs to another account"),
        (("shop.example", "--pool", "moscow", "--pool", "moscow:regions=X"), "a pool is named twice"),
        (("shop.example", "--pool", "moscow:priority=first"), "a priority is a whole number"),
        (("shop.example", "--pool", ":regions=X"), "names no pool"),
        (("shop.example", "--pool", "moscow", "--no-pool"), "exclude each other"),
        (("shop.example", "--fallback", "84952220001"), "74952220001 is in pool moscow"),
        (("shop.example", "--fallback", "12"), "'12' is not a telephone number"),
        (("shop.example", "--route", "a\nb"), "a route is a name"),
        (("https://shop.example", "--hold", "30"), "is no domain"),
    ],
)
def test_a_change_of_a_site_that_makes_no_sense_leaves_it_as_it_was(
    shop: Cli, database: str, tmp_path: Path, words: tuple[str, ...], told: str
) -> None:
    two_pools(shop, tmp_path)
    other = rows(shop("account", "add", "Other"))[0]["account"]
    foreign = f"INSERT INTO pools (account_id, name) VALUES ({other}, 'foreign')"
    administer(database, foreign)
    before = rows(shop("site", "list"))
    assert told in refusal(shop("site", "change", *words))
    assert rows(shop("site", "list")) == before


def test_who_gives_a_site_a_pool_without_numbers_is_told_what_its_visitors_will_see(shop: Cli) -> None:
    rows(shop("pool", "add", "empty"))
    result = shop("site", "change", "shop.example", "--pool", "empty")
    assert result.exit_code == 0
    assert "pool empty has no numbers: visitors see the fallback number" in result.stderr


def test_callback_orders_are_off_until_they_are_asked_for_and_can_work(shop: Cli) -> None:
    (before,) = rows(shop("site", "list"))
    assert before["callback"] == {}
    assert "ring a route first" in refusal(shop("site", "change", "shop.example", "--callback"))
    assert "mo-fr 09:00-18:00" in refusal(shop("site", "change", "shop.example", "--callback-hours", "daily"))
    assert "ring_s must lie" in refusal(shop("site", "change", "shop.example", "--callback-ring", "1"))
    assert "no time zone" in refusal(shop("site", "change", "shop.example", "--callback-time-zone", "Mars"))
    rows(shop(
        "site", "change", "shop.example", "--callback", "--callback-route", "sales",
        "--callback-shown", "8 495 222-00-00",
        "--callback-country", "RU", "--callback-country", "KZ", "--callback-hours", "mo-fr 09:00-18:00",
    ))  # fmt: skip
    rows(shop("site", "change", "shop.example", "--callback-attempts", "5"))
    (after,) = rows(shop("site", "list"))
    assert after["callback"] == {
        "enabled": True, "route": "sales", "shown": "74952220000", "countries": ["RU", "KZ"],
        "hours": "mo-fr 09:00-18:00", "attempts": 5,
    }  # fmt: skip
    rows(shop("site", "change", "shop.example", "--no-callback", "--callback-country", ""))
    (off,) = rows(shop("site", "list"))
    assert not {"enabled", "countries"} & off["callback"].keys()


def test_who_keeps_leases_shorter_than_calls_are_credited_to_them_is_told_so(shop: Cli, database: str) -> None:
    short = shop("site", "change", "shop.example", "--retention-days", "2")
    assert "credited to them for 3 days: later callers will be nobody's. Set --retention-days 3" in short.stderr
    assert "credited to them for 3 days" in shop("config", "check").stderr
    assert "credited" not in shop("site", "change", "shop.example", "--retention-days", "3").stderr
    administer(database, "UPDATE accounts SET attribution_window = '100 hours' WHERE name = 'Acme'")
    assert "Set --retention-days 5" in shop("site", "change", "shop.example", "--route", "sales").stderr
    assert "credited" not in shop("site", "change", "shop.example", "--retention-days", "default").stderr
