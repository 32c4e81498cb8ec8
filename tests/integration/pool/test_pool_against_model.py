"""The pool against a plain model: under random histories, and in situations that decide."""

from __future__ import annotations

import pytest

from tests.integration.pool.close_quarters import SITUATIONS
from tests.integration.pool.trying import SITUATION_TRIED, profile, run_machine, run_situations


def test_no_history_of_requests_leases_a_number_twice_or_loses_one(valkey_url: str) -> None:
    run_machine(valkey_url, profile(60, shrink=False))


@pytest.mark.parametrize("situation", SITUATIONS)
def test_in_a_small_pool_it_is_as_the_model_says_when(valkey_url: str, situation: str) -> None:
    run_situations(valkey_url, profile(SITUATION_TRIED, shrink=False), situation)
