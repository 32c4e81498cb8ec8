"""Values that visitors wrote reach the dialplan of a real Asterisk whole and harmless, also when they fill the line."""

from __future__ import annotations

import asyncio

import pytest

from callrouter.ami.dialplan import agi_commands, dialplan_safe
from callrouter.lab.obtain import PbxSoftware
from tests.pbx.conftest import SharedPbx
from tests.pbx.stub_agi import Behaviour, StubAgi
from tests.pbx.test_dialplan_fail_open import direct_call

HOSTILE = [
    "Осень 2026, окна",
    'a"b',
    "a\\",
    "a,CALLROUTER_ROUTE=stolen",
    "a(b",
    "a[b",
    "${SHELL(id)}",
    "$[1+1]",
    "a;b|c&d",
    "a\r\nHANGUP\n",
    "a\x00b",
    "'`\"",
    "😀 emoji",
    "=",
]
NAMES = ["ROUTE", "SOURCE", "MEDIUM", "CAMPAIGN", "KEYWORD", "SITE", "SESSION", "CLIENT", "UNIQUE", "CONFIDENCE"]


async def set_and_read(shared_pbx: SharedPbx, software: PbxSoftware, rounds: list[dict[str, str]]) -> list[list[str]]:
    """What Asterisk then says of each variable, in the order of the names, the status last; one list for each round."""
    stub = StubAgi(Behaviour.ANSWER)
    read = []
    async with stub, shared_pbx(software, mode="agi", agi=stub.address) as pbx:
        for n, variables in enumerate(rounds):
            sets = [command.decode().rstrip("\n") for command in agi_commands(variables, "ok")[0]]
            gets = [f"GET VARIABLE {name}" for name in (*variables, "CALLROUTER_STATUS")]
            stub.commands = (*sets, *gets)
            stub.replies.clear()
            truth = await pbx.place(direct_call(n))
            assert truth.status == "answered"
            values = [reply.removeprefix("200 result=1 (").removesuffix(")") for reply in stub.replies[len(sets) :]]
            read.append(values)
    return read


@pytest.mark.parametrize("version", [22, 16])
def test_hostile_values_arrive_as_their_safe_form_and_nothing_else_changes(
    shared_pbx: SharedPbx, runner: asyncio.Runner, asterisk_22: PbxSoftware, asterisk_16: PbxSoftware, version: int
) -> None:
    software = asterisk_22 if version == 22 else asterisk_16
    rounds = [
        {f"CALLROUTER_{name}": value if name == "KEYWORD" else f"plain {name}" for name in NAMES} for value in HOSTILE
    ]
    longest = {f"CALLROUTER_{name}": "щ" * 500 for name in NAMES}
    read = runner.run(set_and_read(shared_pbx, software, [*rounds, longest]))
    for variables, values in zip([*rounds, longest], read, strict=True):
        assert values == [*(dialplan_safe(value) for value in variables.values()), "ok"]
