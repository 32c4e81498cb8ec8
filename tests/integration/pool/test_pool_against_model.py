"""The pool against a plain model, under random histories."""

from __future__ import annotations

from tests.integration.pool.trying import profile, run_machine


def test_no_history_of_requests_leases_a_number_twice_or_loses_one(valkey_url: str) -> None:
    run_machine(valkey_url, profile(60, shrink=False))
