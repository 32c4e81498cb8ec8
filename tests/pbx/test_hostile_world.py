"""What the world does to a running product: strangers on its ports, odd callers and numbers, PBXs that die."""

from __future__ import annotations

import asyncio
import contextlib
import re
import resource
import signal
import socket
from pathlib import Path

from callrouter.demo import FALLBACK, section
from callrouter.lab.asterisk import Attachment
from callrouter.lab.calls import AsteriskLab
from tests.pbx.scene import (
    DEADLINE,
    KNOWN,
    SETTLED,
    USUAL,
    WATCHDOG,
    Play,
    Scene,
    connected,
    in_hand,
    rang,
    several,
    told_right,
)
from tests.waiting import until


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


def test_a_router_without_memory_lets_calls_ring_and_its_successor_tells_them(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        people = [await scene.visitor() for _ in range(6)]
        process = scene.stack.pid("router")
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[0])  # noqa: ASYNC240 - the kernel answers at once
        resource.prlimit(process, resource.RLIMIT_AS, (pages * resource.getpagesize(),) * 2)
        calls = await asyncio.gather(*(scene.call(one) for one in people))
        rang(calls, USUAL + WATCHDOG)
        await scene.stack.stop("router", by=signal.SIGKILL)
        await scene.stack.start("router")
        told_right(calls, await scene.appeals(*calls, seconds=60, having=f"{SETTLED} AND complete"))

    play(scenario)


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
