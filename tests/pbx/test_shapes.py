"""Every shape of a call, played on a real Asterisk all at once: the tracker tells each as its phones know it."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest

from callrouter.calls.record import CallRecord
from callrouter.cel.files import rows_of
from callrouter.cel.records import records as cel_records
from callrouter.lab.asterisk import AsteriskFailed
from callrouter.lab.machine import Watched
from callrouter.lab.obtain import PbxSoftware
from tests.captures.make import Tap
from tests.cel_agreement import differences as cel_differences
from tests.cel_agreement import facts
from tests.pbx.poll import until
from tests.shapes import SHAPES, Shape, ShapesPbx, Stage, profile
from tests.shapes.record import BORN, GONE, pair, tapped
from tests.shapes.verdict import differences, replayed

SLACK = 2.0
"""Seconds: a loaded machine lets phones and PBX see a moment at different times. What happened must be told exactly."""


AT_ONCE = 30
ATTEMPTS = 3
"""Asterisk 22 was seen to stand still, all its SIP at once, when most of these calls were played together. Its makers
know of deadlocks that fit: a transfer while MixMonitor records (their issue 1558), a bridge that is joined while silent
media is looked for (1946). What it says of itself then is told with the failure."""
PLAY_SECONDS = 30.0
CONSOLE_SECONDS = 10.0
MANY_QUEUES = 12
Complaints = dict[str, list[str]]


async def judged(shapes: list[Shape], pbxs: list[ShapesPbx]) -> Complaints:
    """What is told otherwise than the phones know it, or could not be played, by the shape's name."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def in_turn(one: Shape, stage: Stage) -> None:
        async with turns:
            await asyncio.wait_for(one.play(stage), PLAY_SECONDS)

    stages = {one.name: Stage(pbxs[0], one.lane, *pbxs[1 : one.pbxs]) for one in shapes}
    async with tapped(pbxs[0], ours=True) as here, tapped(pbxs[1], ours=True) as there:
        ended = await asyncio.gather(*(in_turn(one, stages[one.name]) for one in shapes), return_exceptions=True)
        unplayed = {one.name: [repr(end)] for one, end in zip(shapes, ended, strict=True) if end is not None}
        await over(pbxs, [here, there])
        data, data_there = bytes(here.data), bytes(there.data)
    assert all(call.direction == "internal" for call in replayed(data_there, profile(pbxs[1].name)))
    found: dict[int, list[CallRecord]] = defaultdict(list)
    for call in replayed(data, profile(pbxs[0].name)):
        if call.direction != "internal":
            found[lane_of(call)].append(call)
    by_cel = disagreements([call for calls in found.values() for call in calls], pbxs[0])
    wrong = {
        one.name: differences(found.pop(one.lane, []), [call.truth() for call in stages[one.name].calls], SLACK)
        for one in shapes
    }
    assert not found, "calls of nobody"
    for one in shapes:
        wrong[one.name] += by_cel[str(one.lane)]
    return {name: lines for name, lines in (wrong | unplayed).items() if lines}


def disagreements(ami: Iterable[CallRecord], pbx: ShapesPbx) -> Complaints:
    """What the PBX's own record tells otherwise than AMI, by the lane."""
    cel = {call.linkedid: call for call in cel_records(rows_of(pbx.cel_file), profile(pbx.name))}
    told: Complaints = defaultdict(list)
    for call in ami:
        other = cel.get(call.linkedid)
        lines = ["no such call"] if other is None else facts(cel_differences(call, other, pbx.software.major))
        told[str(lane_of(call))] += [f"CEL: {line}" for line in lines]
    return told


async def over(pbxs: list[ShapesPbx], taps: list[Tap]) -> None:
    """No channel is left, if need be by force: a script that failed may have left its own, and its record will tell."""

    def is_over() -> bool:
        return all(tap.data.count(BORN) == tap.data.count(GONE) for tap in taps)

    with contextlib.suppress(AssertionError):
        await until(is_over, 5)
        return
    await asyncio.gather(*(pbx.rx("channel request hangup all") for pbx in pbxs))
    with contextlib.suppress(AssertionError):
        await until(is_over, 10)


async def standing(pbx: ShapesPbx) -> str:
    """What an Asterisk says of itself that serves nobody: its channels, and whose tasks wait."""
    try:
        async with asyncio.timeout(CONSOLE_SECONDS):
            channels = await pbx.rx("core show channels count")
            tasks = (await pbx.rx("core show taskprocessors")).splitlines()
    except TimeoutError:
        return f"{pbx.name}: not even its console answers"
    except AsteriskFailed as error:
        return f"{pbx.name}: {error}"
    waiting = [line.split() for line in tasks if re.search(r"\S\s+\d+\s+[1-9]\d*\s+\d+\s+\d+\s+\d+\s*$", line)]
    queues = ", ".join(f"{words[0]} {words[2]}" for words in waiting[:MANY_QUEUES])
    return f"{pbx.name}: {' '.join(channels.split())}; {len(waiting)} queues of tasks that wait: {queues}"


def lane_of(call: CallRecord) -> int:
    """By the customer's number: 79165558NNx of those who call, 7926555NNxx of those who are called."""
    assert call.customer is not None
    return int(call.customer[8:10] if call.direction == "inbound" else call.customer[7:9])


@pytest.mark.parametrize("version", [22, 16])
def test_each_shape_is_told_as_its_phones_know_it(
    asterisk_22: PbxSoftware, asterisk_16: PbxSoftware, tmp_path: Path, version: int
) -> None:
    async def scenario() -> None:
        software = asterisk_22 if version == 22 else asterisk_16
        shapes = [one for one in SHAPES.values() if version in one.versions]
        wrong: Complaints = {}
        machine = Watched()
        for attempt in range(ATTEMPTS):
            async with pair(software, tmp_path / str(attempt)) as pbxs:
                wrong = await judged(shapes, pbxs)
                if len(wrong) > len(shapes) / 4:  # this Asterisk has come to a standstill
                    wrong["standstill"] = [*[await standing(pbx) for pbx in pbxs], str(machine.told())]
                    continue
                for (
                    name
                ) in wrong:  # a machine that stalls may let a phone ring out before its script answers: once more
                    assert not await judged([SHAPES[name]], pbxs), wrong
                return
        raise AssertionError(wrong)

    asyncio.run(scenario())
