"""Faults that are put into the scripts are found: those here in every run, all of them by `python -m tests.mutants`."""

from __future__ import annotations

import pytest

from tests.integration.pool.mutants import BY_SITUATION, MUTANTS, QUICK, mutated
from tests.integration.pool.trying import SITUATION_TRIED, profile, run_machine, run_situations


@pytest.mark.parametrize("fault", QUICK)
def test_a_fault_put_in_on_purpose_is_found(valkey_url: str, fault: str) -> None:
    with mutated(fault), pytest.raises(AssertionError):
        run_machine(valkey_url, profile(150, shrink=False))


@pytest.mark.parametrize("fault", BY_SITUATION)
def test_a_fault_that_takes_a_certain_situation_is_found_there(valkey_url: str, fault: str) -> None:
    with mutated(fault), pytest.raises(AssertionError):
        run_situations(valkey_url, profile(SITUATION_TRIED, shrink=False), BY_SITUATION[fault])


@pytest.mark.parametrize("fault", MUTANTS)
def test_every_fault_still_has_its_line_in_the_scripts(fault: str) -> None:
    with mutated(fault):
        pass
