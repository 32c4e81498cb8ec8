"""`callrouter client` on a real Postgres: clients are made one and taken apart by hand."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from callrouter.cli import main
from callrouter.db.connect import connect
from tests.integration.conftest import administer

PEOPLE = """
INSERT INTO accounts (id, name) VALUES (2, 'Acme'), (3, 'Other');
INSERT INTO clients (account_id, id, name, first_touch_at) VALUES
    (2, 11, 'Anna', '2026-01-01'), (2, 12, 'A. Ivanova', '2026-01-02'), (2, 13, NULL, '2026-01-03'),
    (3, 14, 'Oleg', '2026-01-04');
INSERT INTO client_identities VALUES
    (2, 'email', 'anna@example.com', 11, now(), now()), (2, 'phone', '79161234567', 12, now(), now()),
    (2, 'phone', '79167654321', 13, now(), now());
SELECT ensure_partitions();
INSERT INTO appeals (account_id, started_at, id, kind, client_id)
    SELECT 2, now(), gen_random_uuid(), 'form', client FROM unnest(ARRAY[11, 12, 12, 13]) client
"""


class Clients:
    def __init__(self, database: str) -> None:
        self._database = database

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(main, ("client", *words), env={"CALLROUTER_POSTGRES_URL": self._database})

    def told(self, *words: str) -> list[dict[str, Any]]:
        result = self.run(*words)
        assert result.exit_code == 0, result.output
        return [json.loads(line) for line in result.stdout.splitlines()]

    def refusal(self, *words: str) -> str:
        result = self.run(*words)
        assert result.exit_code != 0
        assert "Traceback" not in result.output
        return result.stderr

    def owners(self) -> list[tuple[str, int, int]]:
        """Each identity, whose it is, and how many appeals he has."""

        async def fetch() -> list[tuple[str, int, int]]:
            connection = await connect(self._database)
            rows = await connection.fetch(
                """SELECT i.value, c.id, (SELECT count(*) FROM appeals WHERE account_id = 2 AND client_id = c.id)
                   FROM client_identities i JOIN clients c ON (c.account_id, c.id) = (i.account_id, i.client_id)
                   ORDER BY 1"""
            )
            await connection.close()
            return [tuple(row) for row in rows]

        return asyncio.run(fetch())


@pytest.fixture
def clients(database: str) -> Clients:
    administer(database, PEOPLE)
    return Clients(database)


def test_clients_are_made_one_by_hand_and_taken_apart_again(clients: Clients) -> None:
    apart = clients.owners()
    (would,) = clients.told("merge", "12", "11", "--account", "Acme", "--dry-run")
    assert would | {"merge": 0} == {"merge": 0, "survivor": 11, "merged": 12, "appeals": 2, "dry_run": True}
    assert (clients.owners(), clients.told("merges")) == (apart, [])
    (done,) = clients.told("merge", "12", "11", "--account", "Acme")
    assert clients.owners() == [("79161234567", 11, 3), ("79167654321", 13, 1), ("anna@example.com", 11, 3)]
    (listed,) = clients.told("merges", "--account", "Acme", "--client", "12")
    assert (listed["merge"], listed["kind"], listed["undone_at"]) == (done["merge"], "by_hand", None)
    number = str(done["merge"])
    (tried,) = clients.told("unmerge", number, "--account", "Acme", "--dry-run")
    assert tried == {"merge": done["merge"], "identities": 1, "appeals": 2, "deals": 0, "dry_run": True}
    assert clients.owners() != apart
    assert clients.told("unmerge", number, "--account", "Acme") == [{**tried, "dry_run": False}]
    assert clients.owners() == apart
    assert "or it was undone before" in clients.refusal("unmerge", number, "--account", "Acme")
    assert clients.told("merges")[0]["undone_at"]


def test_merges_on_top_of_each_other_are_undone_from_the_top(clients: Clients) -> None:
    apart = clients.owners()
    (first,) = clients.told("merge", "12", "13", "--account", "Acme")
    (second,) = clients.told("merge", "11", "12", "--account", "Acme")
    below, above = str(first["merge"]), str(second["merge"])
    assert f"undo merge {above} first" in clients.refusal("unmerge", below, "--account", "Acme")
    clients.told("unmerge", above, "--account", "Acme")
    clients.told("unmerge", below, "--account", "Acme")
    assert clients.owners() == apart


def test_another_accounts_clients_are_no_clients_of_this_one(clients: Clients) -> None:
    assert "has no client 14" in clients.refusal("merge", "11", "14", "--account", "Acme")
    assert "has no client 11" in clients.refusal("merge", "11", "14", "--account", "Other")
    assert "one with himself" in clients.refusal("merge", "11", "11", "--account", "Acme")
    clients.told("merge", "11", "12", "--account", "Acme")
    assert "has no merge" in clients.refusal("unmerge", "1", "--account", "Other")
    assert clients.told("merges", "--account", "Other") == []
