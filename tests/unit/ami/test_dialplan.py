"""Whatever a visitor or a caller writes, the dialplan gets letters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callrouter.ami.dialplan import agi_commands, dialplan_safe, ordered


@pytest.mark.parametrize(
    ("hostile", "safe"),
    [
        ("spring sale", "spring sale"),
        ("купить окна москва", "купить окна москва"),
        ("a+b@c.ru:80/x-y_z", "a+b@c.ru:80/x-y_z"),
        ("${SHELL(rm -rf /)}", "SHELLrm -rf /"),
        ('",System(reboot)', "Systemreboot"),
        ("a,b&c|d;e\\f'g\"h[i](j){k}$l=m", "abcdefghijklm"),
        ("line\r\nSET VARIABLE X 1\n", "lineSET VARIABLE X 1"),
        ("x" * 500, "x" * 100),
        ("  ", ""),
        ("\u202eevil\u0000", "evil"),
    ],
)
def test_only_what_means_nothing_to_asterisk_remains(hostile: str, safe: str) -> None:
    assert dialplan_safe(hostile) == safe


@given(st.text(max_size=600))
def test_nothing_that_ends_a_value_survives(text: str) -> None:
    safe = dialplan_safe(text)
    assert len(safe) <= 100
    assert not set(safe) & set("\"',\\${}[]()&|;=\r\n\0`<>")
    assert dialplan_safe(safe) == safe


def test_the_decisive_variable_comes_last() -> None:
    variables = {"CALLROUTER_STATUS": "unattributed", "CALLROUTER_ROUTE": "sales"}
    pairs = ordered(variables, "ok")
    assert pairs == [("CALLROUTER_ROUTE", "sales"), ("CALLROUTER_STATUS", "unattributed")]
    commands, status = agi_commands(variables, "ok")
    assert commands == [b'EXEC MSet "CALLROUTER_ROUTE=sales,CALLROUTER_STATUS=unattributed"\n']
    assert status == "unattributed"


def test_a_name_that_is_no_variable_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="not a variable name"):
        ordered({"SHELL(x)": "1"}, "ok")


@given(st.lists(st.text(min_size=80, max_size=200), min_size=1, max_size=20))
def test_no_command_exceeds_what_asterisk_reads_and_the_status_is_in_the_last(values: list[str]) -> None:
    commands = agi_commands({f"CALLROUTER_V{i}": v for i, v in enumerate(values)}, "ok")[0]
    assert all(len(command) < 2048 and command.count(b"\n") == 1 for command in commands)
    assert commands[-1].endswith(b'CALLROUTER_STATUS=ok"\n')
