"""Sites, pools, numbers and static bindings by the API: the operator changes them, an account sees its own."""

from __future__ import annotations

from typing import Any

import pytest
from argon2 import PasswordHasher

from callrouter.people import passwords
from callrouter.people.roles import SCOPES
from tests.integration.web.people import House, living

PUT = {"pool": "Moscow", "numbers": [{"number": "+7 (495) 223-27-25"}, {"number": "74952232726", "note": "spare"}]}
WRITES: tuple[tuple[str, str, Any], ...] = (
    ("POST", "/pools", {"name": "Moscow"}), ("POST", "/numbers", PUT),
    ("POST", "/numbers/changes", {"numbers": ["74952232725"], "disabled": True}),
    ("POST", "/static-bindings", {"number": "74952220300", "site": "a.example", "channel": "newspaper"}),
    ("DELETE", "/pools/1", None), ("DELETE", "/static-bindings/1", None),
)  # fmt: skip


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


def test_the_operator_fills_pools_and_binds_numbers_and_each_change_is_written_down(people_database: str) -> None:
    async def scene(here: House) -> None:
        await here.postgres.execute("INSERT INTO sites (account_id, name) VALUES (2, 'a.example'), (3, 'b.example')")
        op, key = await here.signed_in("op"), {"idempotency-key": "one"}
        pool = (await op.api("POST", "/pools", {"name": "Moscow"}, **key)).json()["id"]
        assert (await op.api("POST", "/pools", {"name": "Moscow"}, **key)).json()["id"] == pool
        assert (await op.api("POST", "/pools", {"name": "Moscow"})).status_code == 422
        assert (await op.api("POST", "/numbers", PUT)).json() == {"changed": 2, "unchanged": 0}
        assert (await op.api("POST", "/numbers", PUT)).json() == {"changed": 0, "unchanged": 2}
        keyed = [(await op.api("POST", "/numbers", PUT, **{"idempotency-key": "n"})).json() for _ in range(2)]
        assert keyed == [{"changed": 0, "unchanged": 2}] * 2
        listed = (await op.api("GET", "/numbers?limit=1")).json()
        assert (listed["items"][0]["number"], bool(listed["next"])) == ("74952232725", True)
        rest = (await op.api("GET", f"/numbers?cursor={listed['next']}&pool=Moscow")).json()
        assert [each["note"] for each in rest["items"]] == ["spare"]
        changes = "/numbers/changes"
        off = {"numbers": ["74952232725"], "disabled": True}
        for _ in range(2):
            assert (await op.api("POST", changes, off, **{"idempotency-key": "off"})).json()["changed"] == 1
        assert (await op.api("POST", changes, {"numbers": ["74952232725"], "disabled": True})).status_code == 422
        assert (await op.api("POST", changes, {"numbers": ["74952232725"]})).status_code == 422
        await op.api("POST", "/pools", {"name": "Spare"})
        moved = await op.api("POST", changes, {"numbers": ["74952232726"], "pool": "Spare"})
        assert moved.json() == {"changed": 1, "unchanged": 0}
        pools = (await op.api("GET", "/pools")).json()["items"]
        assert [(each["name"], each["active"], each["disabled"]) for each in pools] == [
            ("Moscow", 0, 1),
            ("Spare", 1, 0),
        ]
        assert (await op.api("DELETE", f"/pools/{pool}")).status_code == 422, "it has numbers"
        bound = await op.api(
            "POST", "/static-bindings", {"number": "74952220300", "site": "a.example", "channel": "paper"}
        )
        assert bound.status_code == 201
        assert (await op.api("DELETE", f"/static-bindings/{bound.json()['id']}")).status_code == 204
        assert (await op.api("DELETE", f"/static-bindings/{bound.json()['id']}")).status_code == 404
        assert [a for a in await here.actions() if a.startswith("static")] == ["static.bind", "static.end"]
        told = await here.actions(1)
        assert told.count("pool.add") == 2
        assert told.count("numbers.import") == 3

    living(people_database, scene)


def test_an_account_sees_its_own_inventory_and_changes_none_of_it(people_database: str) -> None:
    async def scene(here: House) -> None:
        await here.postgres.execute(
            """INSERT INTO sites (account_id, name) VALUES (2, 'a.example'), (3, 'b.example');
               INSERT INTO pools (account_id, id, name) VALUES (1, 1, 'Shared'), (3, 2, 'Doors alone');
               INSERT INTO numbers (account_id, number, pool_id) VALUES (1, '74950000001', 1), (3, '74950000002', 2);
               INSERT INTO numbers (account_id, number) VALUES (3, '74950000003');
               INSERT INTO static_bindings (account_id, site_id, number, channel)
               SELECT 3, id, '74950000003', 'paper' FROM sites WHERE account_id = 3"""
        )
        ann, dan, op = [await here.signed_in(who) for who in ("ann", "dan", "op")]
        for path, of_doors, of_all in (
            ("/sites", 1, 2),
            ("/pools", 1, 2),
            ("/numbers", 2, 3),
            ("/static-bindings", 1, 1),
        ):
            assert len((await dan.api("GET", path)).json()["items"]) == of_doors
            assert len((await op.api("GET", path)).json()["items"]) == of_all
            ours = await ann.api("GET", path)
            assert "b.example" not in ours.text
            assert "7495000" not in ours.text
            assert "Doors" not in ours.text
            assert (await ann.api("GET", f"{path}?account=3")).status_code == 404
        program = await here.token(2, *SCOPES)
        before = await here.postgres.fetch("SELECT * FROM numbers ORDER BY number")
        for method, path, body in WRITES:
            assert (await ann.api(method, path, body)).status_code == 403
            assert (await here.browser().api(method, path, body, **program)).status_code == 403
        assert await here.postgres.fetch("SELECT * FROM numbers ORDER BY number") == before
        values: tuple[Any, ...] = ("", "\x00", "x" * 3000, 7, None, [], "\u202e")
        for value in values:
            for body in ({"name": value}, {"pool": value, "numbers": [{"number": value}]}, {"numbers": [value]},
                         {"number": value, "site": value, "channel": value}, {"numbers": value, "pool": value},
                         {"number": "74950000009", "site": "a.example", "channel": "x", "source": value}):  # fmt: skip
                for path in ("/pools", "/numbers", "/numbers/changes", "/static-bindings"):
                    assert (await op.api("POST", path, body)).status_code < 500, (path, body)

    living(people_database, scene)
