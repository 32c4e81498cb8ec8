"""CEL as a real Asterisk writes it, with calls at once: told alike by AMI and by CEL."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from callrouter.ami.wire import EventReader
from callrouter.calls.record import CallRecord
from callrouter.calls.replay import records as ami_records
from callrouter.cel.files import rows_of
from callrouter.cel.records import records as cel_records
from callrouter.lab.calls import AsteriskLab
from callrouter.lab.obtain import PbxSoftware
from callrouter.lab.plan import CallPlan, Outcome
from tests.captures.make import Tap
from tests.cel_agreement import PROFILE, differences
from tests.pbx.conftest import Build
from tests.pbx.poll import until

AT_ONCE = (
    Outcome.ANSWERED_IN_QUEUE, Outcome.ATTENDED_TRANSFER, Outcome.RING_GROUP, Outcome.RING_GROUP_BY_CONTEXT,
    Outcome.ABANDONED_IN_QUEUE, Outcome.LOCAL_MEMBERS, Outcome.OUTBOUND, Outcome.ABANDONED_IN_IVR, Outcome.NO_ANSWER,
)  # fmt: skip


def by_id(told: Iterable[CallRecord]) -> dict[str, CallRecord]:
    return {each.linkedid: each for each in told}


@pytest.mark.parametrize("version", [22, 16])
def test_calls_at_once_are_told_alike_by_ami_and_by_cel(
    new_pbx: Build, asterisk_22: PbxSoftware, request: pytest.FixtureRequest, version: int
) -> None:
    software = asterisk_22 if version == 22 else request.getfixturevalue("asterisk_16")

    async def scenario() -> None:
        async with new_pbx(software) as pbx:
            tap = Tap(pbx.ami_port, pbx.ami_user, pbx.ami_secret)
            await tap.open()
            await asyncio.gather(*(pbx.place(plan) for plan in plans()))
            await until(lambda: over(pbx) >= len(AT_ONCE), 30)
            reader = EventReader()
            events = [event for event in reader.feed(await tap.close()) if "Event" in event]
            ami, cel = by_id(ami_records(events, PROFILE)), by_id(cel_records(rows_of(pbx.cel_file), PROFILE))
            assert ami.keys() == cel.keys()
            assert len([each for each in ami.values() if each.direction != "internal"]) == len(AT_ONCE)
            found = {key: differences(record, cel[key], version) for key, record in ami.items()}
            assert {key: each for key, each in found.items() if each} == {}

    asyncio.run(scenario())


def plans() -> list[CallPlan]:
    customers = [f"7916555{2100 + n}" for n in range(len(AT_ONCE))]
    return [
        CallPlan(outcome=outcome, caller="203", did=customer)
        if outcome is Outcome.OUTBOUND
        else CallPlan(outcome=outcome, caller=customer, did=f"7495222{2800 + n}")
        for n, (outcome, customer) in enumerate(zip(AT_ONCE, customers, strict=True))
    ]


def over(pbx: AsteriskLab) -> int:
    """How many calls CEL tells to be over."""
    return pbx.cel_file.read_text().count("LINKEDID_END") if pbx.cel_file.exists() else 0
