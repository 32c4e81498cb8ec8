"""The lab itself: what is planned happens, many calls play at once, and SIPp's calls are answered."""

from __future__ import annotations

import asyncio
import csv
from collections import defaultdict
from pathlib import Path

import pytest

from callrouter.lab import company
from callrouter.lab.calls import DESTINATION
from callrouter.lab.load import Customer, place_many
from callrouter.lab.obtain import PbxSoftware
from callrouter.lab.plan import CallPlan, Outcome, Truth
from tests.pbx.conftest import Build
from tests.pbx.poll import until


def a_plan(outcome: Outcome, n: int) -> CallPlan:
    customer, number = f"7916555{5000 + n}", f"7495222{2700 + n}"
    if outcome in (Outcome.OUTBOUND, Outcome.OUTBOUND_BUSY):
        return CallPlan(outcome=outcome, caller="242", did=customer, talk_s=0.3)
    if outcome is Outcome.INTERNAL:
        return CallPlan(outcome=outcome, caller="242", did="241", talk_s=0.3)
    return CallPlan(outcome=outcome, caller=customer, did=number, talk_s=0.3)


@pytest.mark.parametrize("version", [22, 16])
def test_each_planned_outcome_is_what_the_phones_then_did(
    new_pbx: Build, asterisk_22: PbxSoftware, asterisk_16: PbxSoftware, version: int
) -> None:
    async def scenario() -> None:
        async with new_pbx(asterisk_22 if version == 22 else asterisk_16) as pbx:
            lanes: dict[str, list[CallPlan]] = defaultdict(list)  # one after another where they meet the same people
            for n, outcome in enumerate(Outcome):
                lanes[DESTINATION.get(outcome, "direct")].append(a_plan(outcome, n))

            async def one_after_another(plans: list[CallPlan]) -> list[Truth]:
                return [await pbx.place(plan) for plan in plans]

            played = await asyncio.gather(*map(one_after_another, lanes.values()))
            truths = [truth for lane in played for truth in lane]
            assert {truth.outcome for truth in truths} == set(Outcome)
            assert all((truth.status == "lost") == (truth.lost_reason is not None) for truth in truths)
            transfers = [truth for truth in truths if truth.outcome.endswith("_transfer")]
            assert all(truth.group == "support" and len(truth.employees) == 2 for truth in transfers)

    asyncio.run(scenario())


def test_many_calls_at_once_each_reach_their_own_employee(new_pbx: Build) -> None:
    async def scenario() -> None:
        async with new_pbx() as pbx:
            queues = ("sales", "support", "service")
            plans = [
                CallPlan(
                    outcome=Outcome.ANSWERED_IN_QUEUE, caller=f"7916555{6000 + n}", did="74952222725", talk_s=0.5,
                    destination=queues[n % 3],
                )
                for n in range(9)
            ]  # fmt: skip
            truths = await asyncio.gather(*(pbx.place(plan) for plan in plans))
            assert [truth.group for truth in truths] == [plan.destination for plan in plans]
            for queue in queues:
                talked = sorted(truth.employee or "" for truth in truths if truth.group == queue)
                assert talked == sorted(company.QUEUES[queue])

    asyncio.run(scenario())


def test_calls_that_sipp_places_are_answered_by_employees(new_pbx: Build) -> None:
    async def scenario() -> None:
        async with new_pbx() as pbx:
            customers = [Customer(f"7916555{7000 + n}", "74952222725", "support", 300) for n in range(6)]
            assert await place_many(pbx, customers, rate=10)
            await until(lambda: len(pbx.phones.strangers.talks) == 6)

    asyncio.run(scenario())


def test_killed_asterisk_starts_again_with_the_same_ports(new_pbx: Build) -> None:
    async def scenario() -> None:
        async with new_pbx() as pbx:
            await pbx.kill()
            await pbx.restart()
            truth = await pbx.place(a_plan(Outcome.DIRECT, 90))
            assert truth.status == "answered"

    asyncio.run(scenario())


def test_cel_file_has_each_call_with_microseconds(new_pbx: Build) -> None:
    async def scenario() -> None:
        async with new_pbx() as pbx:
            await pbx.place(a_plan(Outcome.ANSWERED_IN_QUEUE, 91))

            def call_has_ended() -> bool:
                return pbx.cel_file.exists() and "LINKEDID_END" in pbx.cel_file.read_text()

            await until(call_has_ended)
            rows = list(csv.reader(pbx.cel_file.read_text().splitlines()))
            assert {len(row) for row in rows} == {18}
            assert rows[0][0] == "CHAN_START"
            assert len(rows[0][1].partition(".")[2]) == 6

    asyncio.run(scenario())


def test_folders_of_instances_stay_apart(new_pbx: Build, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with new_pbx(name="pbx1") as one, new_pbx(name="pbx2") as two:
            await asyncio.gather(one.place(a_plan(Outcome.DIRECT, 92)), two.place(a_plan(Outcome.DIRECT, 93)))
            assert {one.ami_port, one.sip_port}.isdisjoint({two.ami_port, two.sip_port})

    asyncio.run(scenario())
