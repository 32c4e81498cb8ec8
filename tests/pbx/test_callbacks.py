"""Callback orders on a real Asterisk: from the page's call to ringing phones to the one appeal that tells it all."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import signal
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from callrouter.callbacks.line import Attempt, linkedid_of, originate
from callrouter.callbacks.settings import CallbackSettings
from callrouter.lab import company
from callrouter.lab.phones import Manner
from callrouter.lab.visitors import Visitor
from callrouter.numbers import Number
from tests.captures.make import Tap
from tests.pbx.poll import until
from tests.pbx.scene import Play, Scene, several

Row = Mapping[str, Any]
BUSY, SILENT, SOON = Manner(refuses=486), Manner(answers=False), Manner(talk_s=0.7)
SALES = company.QUEUES["sales"]
SHOWN = "74952220999"
"""The site's own number: what a called client sees."""
_clients = itertools.count(1)


def a_client() -> str:
    return f"7916558{next(_clients):04}"


async def order(scene: Scene, visitor: Visitor, phone: str, **said: Any) -> Any:
    page = {"url": f"{visitor.origin}/order", "title": "Заказ", "token": visitor.token, "phone": phone, **said}
    answer = await scene.browser.post(
        f"/v/{visitor.site}/callback", json=page, headers={"origin": visitor.origin, "content-type": "text/plain"}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["order"]


async def told(scene: Scene, phone: str, *, seconds: float = 30.0) -> Row:
    """The client's one appeal, once it says how the order ended."""
    found: list[Any] = []

    async def ended() -> bool:
        found[:] = await scene.conn.fetch("SELECT * FROM appeals WHERE customer = $1", phone)
        return bool(found) and found[0]["details"].get("outcome") is not None

    await until(ended, seconds)
    assert len(found) == 1
    return dict(found[0])


async def state(scene: Scene, phone: str) -> Any:
    row = await scene.conn.fetchrow("SELECT * FROM callback_orders WHERE phone = $1", phone)
    assert row is not None
    return row


async def set_for_all(scene: Scene, **settings: Any) -> None:
    usual = {"enabled": True, "pause_s": 1, "ring_s": 5, "attempts": 2, "per_visitor": 50, "per_site": 500}
    await scene.conn.execute("UPDATE sites SET callback = $1", {**usual, **settings})
    await asyncio.sleep(1.0)  # the directory settles; orders look up settings that are in force when they are dialled


def manners(scene: Scene, **by_phone: Manner) -> list[tuple[str, str]]:
    scene.pbx.phones.manners = {name.lstrip("_"): manner for name, manner in by_phone.items()}
    scene.pbx.phones.rung = []
    return scene.pbx.phones.rung


def test_an_employee_is_rung_then_the_client_and_both_legs_are_one_appeal_of_the_visit(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        await set_for_all(scene, route="sales")
        visitor, client = await scene.visitor(), a_client()
        rung = manners(scene, **{f"_{each}": Manner() for each in SALES}, **{f"_{client}": SOON})
        first = await order(scene, visitor, f"+{client}", name="Анна", request="r1")
        assert await order(scene, visitor, f"+{client}", name="Анна", request="r1") == first
        await order(scene, visitor, f"8{client[1:]}", request="r2")  # a double: he is to be called already
        row = await told(scene, client)
        employee = rung[0][0]
        assert rung == [(employee, client), (client, SHOWN)]
        assert (str(row["id"]), row["kind"], row["direction"], row["status"]) == (
            first, "callback", "outbound", "answered",
        )  # fmt: skip
        assert (row["final_group"], row["employee"], row["caller"], row["called"]) == (
            "sales",
            employee,
            employee,
            client,
        )
        assert row["talk_s"] == pytest.approx(0.7, abs=0.5)
        assert 0 < row["wait_s"] < 15
        assert (row["session"], row["source"], row["method"], row["person"]) == (
            visitor.session, visitor.arrival.source, "page", "Анна",
        )  # fmt: skip
        assert row["page"] == f"{visitor.origin}/order"
        assert row["client_id"] is not None
        assert row["details"]["outcome"] == "called"
        assert ((await state(scene, client))["state"], (await state(scene, client))["outcome"]) == (
            "called",
            "answered",
        )

    play(scenario)


def test_the_connection_that_places_calls_rests_while_no_order_is_due(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        await until(lambda: rests(scene), 20)
        before = await heard(scene, "pbx1"), await heard(scene, "pbx1 callbacks")
        calls = await (await several(scene, [0.5] * 5))
        await scene.appeals(*calls)
        assert await heard(scene, "pbx1") - before[0] > 20_000
        assert await heard(scene, "pbx1 callbacks") == before[1], "Asterisk wakes it for nothing"
        assert await rests(scene)
        assert "callbacks pbx1" in await scene.health()

    play(scenario)


async def rests(scene: Scene) -> bool:
    """The connection for callbacks: neither up nor down."""
    _, text = await scene.stack.fetch(f"{scene.stack.ops('router')}/metrics")
    return 'callrouter_ami_up{pbx="pbx1"}' in text and 'callrouter_ami_up{pbx="pbx1 callbacks"}' not in text


async def heard(scene: Scene, connection: str) -> float:
    """Bytes so far."""
    return await scene.metric("router", f'callrouter_ami_received_bytes_total{{pbx="{connection}"}}')


def test_a_client_who_is_busy_or_does_not_answer_is_a_lost_call_with_its_group(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        await set_for_all(scene, route="shop")
        visitor, busy, silent = await scene.visitor(), a_client(), a_client()
        employees = {f"_{each}": Manner() for each in company.RING_GROUPS["shop"]}
        manners(scene, **employees, **{f"_{busy}": BUSY, f"_{silent}": SILENT})
        await order(scene, visitor, busy)
        row = await told(scene, busy)
        assert (row["status"], row["lost_reason"], row["final_group"], row["employee"]) == (
            "lost",
            "busy",
            "shop",
            None,
        )
        assert row["caller"] in company.RING_GROUPS["shop"]
        await order(scene, visitor, silent)
        row = await told(scene, silent)
        assert (row["status"], row["lost_reason"], row["talk_s"]) == ("lost", "no_answer", 0.0)

    play(scenario)


def test_employees_are_rung_again_and_when_nobody_answers_the_order_is_missed_and_seen(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        await set_for_all(scene, route="direct", attempts=2)
        visitor, client = await scene.visitor(), a_client()
        rung = manners(scene, _241=BUSY)
        await order(scene, visitor, client)
        row = await told(scene, client)
        assert [who for who, _ in rung] == ["241", "241"]
        assert (row["kind"], row["status"], row["lost_reason"]) == ("callback", "lost", "no_answer")
        assert (row["details"]["outcome"], row["details"]["attempts"]) == ("no_employee", 2)
        assert (await state(scene, client))["state"] == "missed"

    play(scenario)


def test_of_orders_that_ring_at_once_each_is_told_how_it_ended(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        await set_for_all(scene, route="direct", attempts=1)
        clients = [a_client(), a_client()]
        rung = manners(scene, _241=SILENT)
        await order(scene, await scene.visitor(), clients[0])
        await until(lambda: len(rung) == 1, 20)
        await order(scene, await scene.visitor(), clients[1])
        await until(lambda: len(rung) == 2, 20)
        for client in clients:  # the first ended while the second rang
            row = await told(scene, client)
            assert (row["details"]["outcome"], row["lost_reason"]) == ("no_employee", "no_answer")

    play(scenario)


def test_the_second_attempt_reaches_the_client_and_is_the_same_appeal(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        await set_for_all(scene, route="direct", attempts=3)
        visitor, client = await scene.visitor(), a_client()
        manners(scene, _241=BUSY, **{f"_{client}": SOON})
        await order(scene, visitor, client)
        await until(lambda: bool(scene.pbx.phones.rung), 20)
        scene.pbx.phones.manners["241"] = Manner()
        row = await told(scene, client)
        assert (row["status"], row["employee"], row["details"]["attempts"]) == ("answered", "241", 2)

    play(scenario)


def test_an_order_for_later_waits_and_one_that_is_too_old_is_not_dialled(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        await set_for_all(scene, route="direct")
        visitor, later, old = await scene.visitor(), a_client(), a_client()
        rung = manners(scene, _241=Manner(), **{f"_{later}": SOON, f"_{old}": SOON})
        at = datetime.now(UTC) + timedelta(seconds=4)
        await order(scene, visitor, later, at=at.isoformat())
        await order(scene, visitor, old, at=(datetime.now(UTC) + timedelta(hours=1)).isoformat())

        async def stands() -> bool:
            changed = await scene.conn.execute(
                "UPDATE callback_orders SET due_at = now() - interval '9 h', next_at = now(), "
                "latest_at = now() - interval '8 h' WHERE phone = $1", old,
            )  # fmt: skip
            return bool(changed == "UPDATE 1")

        await until(stands)
        row = await told(scene, old)
        assert (row["status"], row["lost_reason"], row["details"]["outcome"]) == ("lost", "failed", "too_late")
        assert old not in {who for who, _ in rung}
        row = await told(scene, later)
        assert row["answered_at"] > at
        assert row["wait_s"] < 10

    play(scenario)


def test_an_order_left_by_a_killed_router_is_taken_up_and_its_client_is_called_once(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        await set_for_all(scene, route="direct")
        visitor, unbegun, begun = await scene.visitor(), a_client(), a_client()
        rung = manners(scene, _241=Manner(ring_s=0.3), **{f"_{unbegun}": SOON, f"_{begun}": Manner(talk_s=3.0)})
        await order(scene, visitor, begun)
        await until(lambda: begun in {who for who, _ in rung}, 20)
        await scene.stack.stop("router", by=signal.SIGKILL)
        await order(scene, visitor, unbegun)
        # As if it had been killed between its claim and Originate.
        claimed = "UPDATE callback_orders SET state = 'dialling', attempts = 1, claimed_until = now() WHERE phone = $1"

        async def left() -> bool:
            return bool(await scene.conn.execute(claimed, unbegun) == "UPDATE 1")

        await until(left)
        await scene.conn.execute("UPDATE callback_orders SET claimed_until = now() WHERE phone = $1", begun)
        await asyncio.sleep(4.0)  # the call of the first order is over before anybody looks
        await scene.stack.start("router")
        assert (await told(scene, unbegun, seconds=40))["status"] == "answered"
        row = await told(scene, begun, seconds=40)
        assert (row["status"], row["details"]["outcome"]) == (None, "unseen")
        assert [who for who, _ in rung].count(begun) == 1
        assert [who for who, _ in rung].count(unbegun) == 1

    play(scenario)


def test_the_pbx_itself_dials_a_client_once_for_an_order_even_if_two_routers_place_its_call(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        client, serial = Number(a_client()), 4000
        rung = manners(scene, _241=Manner(talk_s=2.0), **{f"_{client}": SOON})
        said = []
        for attempt in (1, 2):  # as by a router that was frozen between its claim and the call, and was overtaken
            tap = Tap(scene.pbx.ami_port, scene.pbx.observer_user, scene.pbx.observer_secret)
            await tap.open()
            action = originate(
                Attempt(serial, attempt), linkedid_of("pbx1", Attempt(serial, attempt), datetime.now(UTC)), client,
                route="direct", context=company.CALLBACK_CONTEXT, shown=SHOWN, site="x", settings=CallbackSettings(),
            )  # fmt: skip
            del action["ActionID"]
            said.append(await tap.ask("\r\n".join(f"{name}: {value}" for name, value in action.items())))
        assert all(b"Response: Success" in each for each in said)
        await until(lambda: [who for who, _ in rung].count("241") == 2 and client in {who for who, _ in rung})
        await until(lambda: _idle(scene), 20)
        assert [who for who, _ in rung].count(client) == 1

    play(scenario)


async def _idle(scene: Scene) -> bool:
    return "0 active channels" in await scene.pbx.rx("core show channels count")


def test_orders_wait_while_asterisk_or_postgres_is_away(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        await set_for_all(scene, route="direct")
        visitor, one, two = await scene.visitor(), a_client(), a_client()
        rung = manners(scene, _241=Manner(), **{f"_{one}": SOON, f"_{two}": SOON})
        with scene.frozen("postgres"):
            await order(scene, visitor, one)
            await asyncio.sleep(2.0)
            assert rung == []
        assert (await told(scene, one))["status"] == "answered"
        await scene.pbx.kill()
        await order(scene, visitor, two)
        await asyncio.sleep(2.0)
        assert (await state(scene, two))["attempts"] == 0
        await scene.pbx.restart()
        assert (await told(scene, two, seconds=60))["status"] == "answered"

    play(scenario)


async def reconciled(scene: Scene) -> tuple[int, dict[str, Any]]:
    """What `callrouter reconcile --dry-run` says of all that this PBX recorded since the module's first call."""
    command = ("reconcile", "--dry-run", "--since=2020-01-01", f"--config={scene.stack.config}")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "callrouter", *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    answer, _ = await process.communicate()
    return process.returncode or 0, json.loads(answer or b"{}")


def test_each_call_that_carried_out_an_order_is_proven_by_the_pbxs_own_record(play: Play) -> None:
    """Those of the tests above too: killed routers and a killed PBX among them."""

    async def scenario(scene: Scene) -> None:
        await set_for_all(scene, route="direct")
        visitor, client = await scene.visitor(), a_client()
        manners(scene, _241=Manner(), **{f"_{client}": SOON})
        # Ordered days before it is due: the appeal's time is the order's.
        await order(scene, visitor, client, at=(datetime.now(UTC) + timedelta(seconds=6)).isoformat())
        moved = """WITH o AS (UPDATE callback_orders SET ordered_at = ordered_at - interval '9 days' WHERE phone = $1
                              RETURNING id)
                   UPDATE appeals a SET started_at = started_at - interval '9 days' FROM o WHERE a.id = o.id"""

        async def stands() -> bool:
            return bool(await scene.conn.execute(moved, client) == "UPDATE 1")

        await until(stands)
        row = await told(scene, client)
        assert row["answered_at"] - row["started_at"] > timedelta(days=8)
        found: dict[str, Any] = {}

        async def all_judged() -> bool:  # calls that ended less than ten seconds ago are not
            status, answer = await reconciled(scene)
            found.update(answer, status=status)
            return bool(answer["appeals"] == await of_calls(scene))

        with contextlib.suppress(TimeoutError, AssertionError):
            await until(all_judged, 40)
        [pbx] = found["pbx"]
        assert (found["status"], pbx["missing_calls"], pbx["extra_calls"], found["incomplete"]) == (0, [], [], 0)
        assert found["appeals"] == await of_calls(scene)
        assert found["pbx_calls"] >= found["appeals"] - 1, "a killed Asterisk may not have written a call's last rows"
        assert row["linkedid"] in scene.pbx.cel_file.read_text()

    play(scenario)


async def of_calls(scene: Scene) -> int:
    count: int = await scene.conn.fetchval("SELECT count(*) FROM appeals WHERE linkedid IS NOT NULL")
    return count
