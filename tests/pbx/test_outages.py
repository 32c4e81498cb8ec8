"""Any part away, slow, frozen or killed, with real calls under way: each rings, is answered, and has one right appeal.

One product serves most tests, one after another; each leaves it as it found it.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import resource
import signal
import socket
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from typing import Any

import pytest

from callrouter.demo import FALLBACK, section
from callrouter.lab.asterisk import Attachment
from callrouter.lab.calls import AsteriskLab
from callrouter.lab.stack import Stack, running
from callrouter.lab.verdict import Placed, is_credited_rightly
from tests.pbx.scene import Row, Scene, on_stage
from tests.waiting import until

USUAL = 1.0
"""Seconds in which an undisturbed lab call is answered, on a busy machine."""
DEADLINE = 0.15
WATCHDOG = 1.5
SETTLED = "NOT attribution_pending"
KNOWN = "callrouter_calls_resolved_in_hand"
"""A metric: of how many calls in progress (and of strangers' questions) the answer is kept."""

Play = Callable[[Callable[[Scene], Coroutine[Any, Any, None]]], None]


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    """Runs a scenario on the module's product."""
    with asyncio.Runner() as runner:
        stage = on_stage(tmp_path_factory.mktemp("outages"))
        scene = runner.run(stage.__aenter__())
        try:
            yield lambda scenario: runner.run(scenario(scene))
        finally:
            runner.run(stage.__aexit__(None, None, None))


def rang(calls: list[Placed], within: float) -> None:
    waits = [call.truth.wait_s for call in calls]
    assert max(waits) < within, waits
    assert {call.truth.status for call in calls} == {"answered"}


def told_right(calls: list[Placed], rows: list[Row], **fields: object) -> None:
    for call, row in zip(calls, rows, strict=True):
        assert is_credited_rightly(call, row), f"{row['method']} {row['session']} of {call.session}"
        assert (row["status"], row["employee"]) == ("answered", call.truth.employee)
        wanted = fields
        if row["agi_ms"] == DEADLINE * 1000 and not fields.get("late", True):  # the machine was busy: that is late
            wanted = fields | {"late": True}
        assert {name: row[name] for name in wanted} == wanted


async def several(scene: Scene, talks: list[float]) -> asyncio.Task[list[Placed]]:
    """Calls that begin now, each with a visitor who has the number already."""
    people = [await scene.visitor() for _ in talks]
    return asyncio.ensure_future(
        asyncio.gather(*(scene.call(one, talk_s=talk) for one, talk in zip(people, talks, strict=True)))
    )


def test_calls_whose_dialplan_cannot_ask_ring_at_once_and_are_attributed_late(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        usual = scene.pbx.attachment
        asking = await several(scene, [0.5])
        await scene.pbx.attach(replace(usual, agi="agi://127.0.0.1:9/resolve"))
        unasked = await several(scene, [0.3, 0.5, 2.5, 3.0])
        (asked,), calls = await asking, await unasked
        await scene.pbx.attach(usual)
        rang(calls, USUAL)
        told_right(calls, await scene.appeals(*calls, having=SETTLED), late=True, complete=True, agi_ms=None)
        told_right([asked], await scene.appeals(asked), late=False, complete=True)

    play(scenario)


def test_a_stopped_router_hands_its_calls_to_its_successor(play: Play) -> None:
    """Those that outlive it with all their times; one that ends in between is told as far as it was seen."""

    async def scenario(scene: Scene) -> None:
        going, ending = await several(scene, [0.2, 0.4, 5.5, 6.0]), await several(scene, [2.5])
        await until(lambda: in_hand(scene, 3))
        began = time.monotonic()
        await scene.stack.stop("router")
        assert time.monotonic() - began < 3
        unseen = await ending
        await scene.stack.start("router")
        calls = await going
        rang(calls + unseen, USUAL)
        rows = await scene.appeals(*calls, *unseen)
        told_right(calls[:2], rows[:2], late=False, complete=True)
        told_right(calls[2:] + unseen, rows[2:], late=False, complete=False)
        assert all(row["agi_ms"] <= DEADLINE * 1000 for row in rows)
        for call, row in zip(calls, rows[:4], strict=True):
            assert abs(row["talk_s"] - call.truth.talk_s) < 0.5
            assert abs(row["wait_s"] - call.truth.wait_s) < 0.5
        assert 0 < rows[4]["talk_s"] <= unseen[0].truth.talk_s + 0.2

    play(scenario)


async def in_hand(scene: Scene, calls: int) -> bool:
    """So many calls are under way, and all that ended are published."""
    return await scene.metric("router", "callrouter_calls_in_progress") == calls


def test_a_router_killed_again_and_again_loses_and_doubles_nothing(play: Play) -> None:
    """Calls that nobody saw end have no appeal (only the PBX's own CEL knows them); every other has one."""

    async def scenario(scene: Scene) -> None:
        chance = random.Random(5)
        before = await scene.conn.fetchval("SELECT count(*) FROM appeals")
        going = await several(scene, [round(chance.uniform(0.2, 9.0), 2) for _ in range(12)])
        down: list[tuple[float, float]] = []
        for _ in range(2):
            await asyncio.sleep(chance.uniform(0.3, 1.2))  # at any moment: not a wait for something
            began = time.time()
            await scene.stack.stop("router", by=signal.SIGKILL)
            await scene.stack.start("router")
            await until(lambda: connected(scene))
            down.append((began - 0.2, time.time() + 0.2))
        calls = await going
        rang(calls, USUAL + WATCHDOG)
        seen = [call for call in calls if not any(a < call.truth.ended_at.timestamp() < b for a, b in down)]
        assert len(seen) >= 6
        rows = await scene.appeals(*seen, having=SETTLED)
        told_right(seen, rows)
        for call, row in zip(seen, rows, strict=True):
            spans = any(call.truth.started_at.timestamp() < a and call.truth.ended_at.timestamp() > b for a, b in down)
            assert row["complete"] is not spans
        after = await scene.conn.fetchval("SELECT count(*) FROM appeals")
        assert len(seen) <= after - before <= len(calls)

    play(scenario)


async def connected(scene: Scene) -> bool:
    return await scene.metric("router", "callrouter_ami_up") == 1


def test_a_frozen_router_holds_calls_no_longer_than_the_watchdog(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        people = [await scene.visitor() for _ in range(4)]
        scene.stack.signal("router", signal.SIGSTOP)
        calls = [
            asyncio.ensure_future(scene.call(one, talk_s=talk))
            for one, talk in zip(people, (0.2, 0.4, 2.5, 3), strict=True)
        ]
        await asyncio.wait(calls[:2])
        scene.stack.signal("router", signal.SIGCONT)
        placed = await asyncio.gather(*calls)
        rang(placed, USUAL + WATCHDOG)
        assert min(call.truth.wait_s for call in placed) > WATCHDOG - 0.1
        told_right(placed, await scene.appeals(*placed, having=SETTLED), late=True, complete=True)
        assert await scene.metric("router", KNOWN) == 0

    play(scenario)


def test_a_frozen_lease_store_delays_no_call_beyond_the_deadline(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        going = await several(scene, [2.0, 2.5, 3.0, 3.5])
        with scene.frozen("valkey"):
            await until(lambda: answered_late(scene, 4))
        calls = await going
        rang(calls, USUAL + DEADLINE)
        told_right(calls, await scene.appeals(*calls, having=SETTLED), late=True, complete=True, agi_ms=150.0)

    play(scenario)


async def answered_late(scene: Scene, calls: int) -> bool:
    return await scene.metric("router", 'callrouter_agi_requests_total{status="late"}') >= calls


@pytest.mark.parametrize("how", ["frozen", "killed"])
def test_postgres_away_costs_nothing_but_delay(play: Play, how: str) -> None:
    async def scenario(scene: Scene) -> None:
        going = await several(scene, [0.3, 0.6, 0.9, 1.2])
        async with scene.without("postgres", how):
            calls = await going
            assert await scene.metric("router", "callrouter_journal_backlog_bytes") > 0
        rang(calls, USUAL)
        told_right(calls, await scene.appeals(*calls, seconds=20), late=False, complete=True)

    play(scenario)


def test_a_call_without_any_lease_store_rings_and_waits_for_its_attribution(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        going = await several(scene, [0.3, 0.6])
        async with scene.without("valkey", "killed"):
            calls = await going
            rang(calls, USUAL + DEADLINE)
            rows = await scene.appeals(*calls)
            assert {(row["method"], row["attribution_pending"]) for row in rows} == {("unattributed", True)}
        scene.owed += calls

    play(scenario)


@pytest.mark.parametrize("snapshot", [True, False], ids=["with-a-snapshot", "knowing-nothing"])
def test_a_router_started_while_postgres_is_away_lets_calls_through(play: Play, snapshot: bool) -> None:
    async def scenario(scene: Scene) -> None:
        people = [await scene.visitor() for _ in range(3)]
        await scene.stack.stop("router")
        if not snapshot:
            (scene.stack.folder / "journal/directory.json").unlink()
        async with scene.without("postgres", "killed"):
            starting = asyncio.ensure_future(scene.stack.start("router"))
            await until(lambda: connected(scene))
            calls = await asyncio.gather(*(scene.call(one, talk_s=0.4) for one in people))
            rang(calls, USUAL)
        await starting
        if snapshot:
            told_right(calls, await scene.appeals(*calls, seconds=20), late=False, complete=True)
        else:
            scene.owed += calls

    play(scenario)


def test_web_and_worker_started_without_postgres_work_as_soon_as_it_is_there(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        await scene.stack.stop("web", "worker")
        async with scene.without("postgres", "killed"):
            starting = asyncio.ensure_future(scene.stack.start("web", "worker"))
            await until(lambda: answers(scene, "web", 503))
            await until(lambda: answers(scene, "worker", 503))
        await starting
        call = await scene.call(await scene.visitor())
        told_right([call], await scene.appeals(call), late=False, complete=True)

    play(scenario)


async def answers(scene: Scene, process: str, status: int) -> bool:
    return (await scene.stack.fetch(f"{scene.stack.ops(process)}/ready"))[0] == status


def test_processes_stop_within_seconds_while_postgres_hangs(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        going = await several(scene, [0.2, 0.4])
        with scene.frozen("postgres"):
            calls = await going
            began = time.monotonic()
            await asyncio.gather(scene.stack.stop("router"), scene.stack.stop("worker"))
            assert time.monotonic() - began < 15
        await scene.stack.start("router", "worker")
        told_right(calls, await scene.appeals(*calls, seconds=20), late=False, complete=True)

    play(scenario)


def test_a_full_disk_under_the_journal_delays_appeals_and_loses_none(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        going = await several(scene, [0.3, 0.6])
        process = scene.stack.pid("router")
        _, most = resource.prlimit(process, resource.RLIMIT_FSIZE)
        resource.prlimit(process, resource.RLIMIT_FSIZE, (1, most))
        calls = await going
        await until(lambda: failing(scene))
        resource.prlimit(process, resource.RLIMIT_FSIZE, (most, most))
        rang(calls, USUAL)
        told_right(calls, await scene.appeals(*calls, seconds=15), late=False, complete=True)

    play(scenario)


async def failing(scene: Scene) -> bool:
    return '"journal":{"ok":false' in await scene.health()


def test_two_routers_on_one_pbx_tell_each_call_once(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        second = Stack(scene.folder / "second", postgres=scene.stack.postgres, redis=scene.stack.redis)
        second.configure(section(scene.pbx, "agi"))
        async with running(second, "router"):
            going = await several(scene, [0.3, 0.6, 2.5])
            calls = await going
            rows = await scene.appeals(*calls, having=SETTLED)
            await until(lambda: published(second, 3))
        rang(calls, USUAL)
        told_right(calls, rows, complete=True)
        await scene.appeals(*calls)

    play(scenario)


async def published(stack: Stack, appeals: int) -> bool:
    """The second to tell a call finds it told."""
    _, text = await stack.fetch(f"{stack.ops('router')}/metrics")
    return (
        sum(float(value) for value in re.findall(r"^callrouter_appeals_published_total\S+ (\S+)", text, re.MULTILINE))
        >= appeals
    )


def test_hostile_connections_beside_the_dialplan_cost_calls_nothing(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        with contextlib.ExitStack() as stack:
            for _ in range(300):
                loris = stack.enter_context(socket.create_connection(("127.0.0.1", scene.stack.agi_port)))
                loris.sendall(ENVIRONMENT[:40])
            noise = [asyncio.ensure_future(asyncio.to_thread(send, scene, what)) for what in HOSTILE * 5]
            calls = await (await several(scene, [0.3, 0.5, 0.7, 0.9]))
            await asyncio.gather(*noise)
        rang(calls, USUAL)
        rows = await scene.appeals(*calls)
        told_right(calls, rows, late=False, complete=True)
        assert max(row["agi_ms"] for row in rows) <= DEADLINE * 1000
        await until(lambda: quiet(scene))

    play(scenario)


ENVIRONMENT = (
    b"agi_network: yes\nagi_network_script: resolve\nagi_uniqueid: x-1.1\nagi_callerid: 79160000000\n"
    b"agi_arg_1: 74952221000\n\n"
)
HOSTILE = [
    b"", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", bytes(range(256)) * 400,
    b"\n\n", b"\n" * 50_000, b"agi_network_script: " + b"A" * 10_000_000, ENVIRONMENT[:40], ENVIRONMENT,
    ENVIRONMENT + b"200 result=1\n" * 1000, ENVIRONMENT + b"520-Invalid\n" * 5000,
    ENVIRONMENT.replace(b"74952221000", "число".encode("cp1251")),
]  # fmt: skip


def send(scene: Scene, what: bytes) -> None:
    """Say it, and close in the middle of whatever comes back."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", scene.stack.agi_port), 5) as peer:
        peer.sendall(what)


async def quiet(scene: Scene) -> bool:
    return await scene.metric("router", "callrouter_agi_connections ") == 0


def test_a_pbx_that_dies_leaves_one_appeal_of_each_call_it_had(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        people = [await scene.visitor() for _ in range(3)]
        callers = [f"791655800{n:02}" for n in range(3)]
        known = await scene.metric("router", KNOWN)
        calls = [
            asyncio.ensure_future(scene.call(one, talk_s=30, caller=caller))
            for one, caller in zip(people, callers, strict=True)
        ]
        await until(lambda: in_hand(scene, 3))
        await until(lambda: resolved(scene, known + 3))
        await scene.pbx.kill()
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        await scene.pbx.restart()
        await until(lambda: connected(scene))
        after = await scene.call(await scene.visitor())
        rang([after], USUAL)
        told_right([after], await scene.appeals(after), late=False, complete=True)
        query = "SELECT * FROM appeals WHERE customer = ANY ($1::text[]) ORDER BY customer"

        async def all_told() -> bool:
            return len(await scene.conn.fetch(query, callers)) == 3

        await until(all_told)
        rows = await scene.conn.fetch(query, callers)
        assert [row["session"] for row in rows] == [one.session for one in people]
        assert {row["complete"] for row in rows} == {False}

    play(scenario)


async def resolved(scene: Scene, calls: float) -> bool:
    return await scene.metric("router", KNOWN) == calls


def test_a_router_that_is_refused_by_the_manager_answers_the_dialplan_all_the_same(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        usual = section(scene.pbx, "agi")
        await scene.stack.stop("router")
        scene.stack.configure(usual | {"ami_secret": "wrong"})
        await scene.stack.start("router")
        await until(lambda: "AMI-LOGIN-REFUSED" in scene.stack.log("router"))
        call = await scene.call(await scene.visitor())
        rang([call], USUAL)
        scene.stack.configure(usual | {"ami": f"127.0.0.1:{scene.stack.web_port}"})
        await scene.stack.stop("router")
        await scene.stack.start("router")
        rang([await scene.call(await scene.visitor())], USUAL)
        await scene.stack.stop("router")
        scene.stack.configure(usual)
        await scene.stack.start("router")
        await until(lambda: connected(scene))
        call = await scene.call(await scene.visitor())
        told_right([call], await scene.appeals(call), late=False, complete=True)

    play(scenario)


def test_two_pbxs_share_a_router_also_under_another_name_than_their_own(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        other = AsteriskLab(
            scene.pbx.software, scene.folder / "other", name="pbx2",
            attachment=Attachment(mode="agi", agi=scene.stack.agi),
        )  # fmt: skip
        async with other:
            await scene.stack.stop("router")
            scene.stack.configure(section(scene.pbx, "agi"), section(other, "agi") | {"name": "branch"})
            await scene.stack.start("router")
            await until(lambda: both_connected(scene))
            people = [await scene.visitor() for _ in range(6)]
            calls = await asyncio.gather(
                *(scene.call(one, on=pbx) for one, pbx in zip(people, [scene.pbx, other] * 3, strict=True))
            )
            rows = await scene.appeals(*calls)
        await scene.stack.stop("router")
        scene.stack.configure(section(scene.pbx, "agi"))
        await scene.stack.start("router")
        rang(calls, USUAL)
        told_right(calls, rows, late=False, complete=True)
        assert [row["pbx"] for row in rows] == ["pbx1", "pbx2"] * 3

    play(scenario)


async def both_connected(scene: Scene) -> bool:
    up = [await scene.metric("router", f'callrouter_ami_up{{pbx="{name}"}}') for name in ("pbx1", "branch")]
    return up == [1, 1]


def test_hostile_callers_and_numbers_have_their_appeals_too(play: Play) -> None:
    """Long and Cyrillic names, dialplan and SQL in names, withheld numbers."""

    async def scenario(scene: Scene) -> None:
        names = ["Иван ООО", "${SHELL(id)}", "x'; DROP TABLE appeals;--", "a,b=c", "%s%n", "N" * 300]
        people = [await scene.visitor() for _ in names]
        calls = await asyncio.gather(
            *(scene.call(one, name=name) for one, name in zip(people, names, strict=True)),
            scene.call(await scene.visitor(), caller_sent="anonymous", caller="79165599999"),
        )
        rang(calls, USUAL)
        told_right(calls[:-1], await scene.appeals(*calls[:-1]), late=False, complete=True)
        withheld = await scene.conn.fetch("SELECT * FROM appeals WHERE session = $1", calls[-1].session)
        assert [(row["caller"], row["is_unique"]) for row in withheld] == [(None, False)]

    play(scenario)


def test_calls_to_shared_fallback_and_strange_numbers_go_where_they_belong(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        visitor = await scene.visitor()
        numbers = [visitor.number, visitor.number, FALLBACK.replace("+", ""), "74959999999", "100500"]
        calls = await asyncio.gather(*(scene.call(visitor, did=re.sub(r"\D", "", number)) for number in numbers))
        rang(calls, USUAL)
        rows = await scene.appeals(*calls)
        told_right(calls[:2], rows[:2], late=False, complete=True)
        told = [(row["account_id"], row["method"], row["attribution_pending"]) for row in rows[2:]]
        assert told == [(2, "unattributed", False), (1, "unattributed", False), (1, "unattributed", False)]

    play(scenario)


def test_what_nobody_could_attribute_is_settled_from_the_history(play: Play) -> None:
    """Of the tests above that left calls pending."""

    async def scenario(scene: Scene) -> None:
        rows = await scene.appeals(*scene.owed, having=SETTLED, seconds=60) if scene.owed else []
        told_right(scene.owed, rows, late=True, complete=True)

    play(scenario)
