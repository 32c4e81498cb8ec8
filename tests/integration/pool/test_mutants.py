"""The machine finds faults that are put into the scripts: a few here, all of them by `python -m tests.mutants`."""

from __future__ import annotations

import pytest

from tests.integration.pool.mutants import MUTANTS, QUICK, mutated
from tests.integration.pool.trying import profile, run_machine


@pytest.mark.parametrize("fault", QUICK)
def test_a_fault_put_in_on_purpose_is_found(valkey_url: str, fault: str) -> None:
    with mutated(fault), pytest.raises(AssertionError):
        run_machine(valkey_url, profile(150, shrink=False))


@pytest.mark.parametrize("fault", MUTANTS)
def test_every_fault_still_has_its_line_in_the_scripts(fault: str) -> None:
    with mutated(fault):
        pass
