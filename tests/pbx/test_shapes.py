"""Every shape of a call, played on a real Asterisk all at once: the tracker tells each as its phones know it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from callrouter.lab.obtain import PbxSoftware
from tests.pbx.poll import until
from tests.shapes import SHAPES, Shape, ShapesPbx, Stage, profile
from tests.shapes.record import BORN, GONE, pair, tapped
from tests.shapes.verdict import differences, replayed

SLACK = 2.0
"""Seconds: a loaded machine lets phones and PBX see a moment at different times. What happened must be told exactly."""
AT_ONCE = 100


async def played(one: Shape, pbxs: list[ShapesPbx]) -> Stage | None:
    stage = Stage(pbxs[0], one.lane, *pbxs[1:])
    try:
        await one.play(stage)
    except (AssertionError, TimeoutError) as failed:
        print(f"{one.name}: {failed!r}")
        return None
    return stage


async def misjudged(shapes: list[Shape], pbxs: list[ShapesPbx], at_once: int) -> list[str]:
    """What is told otherwise than the phones know it, or could not be played."""
    turns = asyncio.Semaphore(at_once)

    async def in_turn(one: Shape) -> Stage | None:
        async with turns:
            return await played(one, pbxs[: one.pbxs])

    async with tapped(pbxs[0], ours=True) as here, tapped(pbxs[1], ours=True) as there:
        stages = await asyncio.gather(*map(in_turn, shapes))
        if None in stages:  # a script that failed leaves its calls
            for pbx in pbxs:
                await pbx.rx("channel request hangup all")
        for tap in (here, there):
            await until(lambda tap=tap: tap.data.count(BORN) == tap.data.count(GONE), 30)  # type: ignore[misc]
        data, data_there = bytes(here.data), bytes(there.data)
    found = [call for call in replayed(data, profile(pbxs[0].name)) if call.direction != "internal"]
    assert all(call.direction == "internal" for call in replayed(data_there, profile(pbxs[1].name)))
    told = []
    for one, stage in zip(shapes, stages, strict=True):
        if stage is None:
            told.append(one.name)
            found = [call for call in found if not of_lane(one.lane, call.customer)]
            continue
        mine = [call for call in found if of_lane(one.lane, call.customer)]
        found = [call for call in found if call not in mine]
        wrong = differences(mine, [call.truth() for call in stage.calls], SLACK)
        print(*(f"{one.name}: {line}" for line in wrong), sep="\n", end="")
        told += [one.name] if wrong else []
    assert not found, "calls of nobody"
    return told


def of_lane(lane: int, customer: str | None) -> bool:
    return customer is not None and customer.startswith((f"79165558{lane:02}", f"7926555{lane:02}"))


@pytest.mark.parametrize("version", [22, 16])
def test_each_shape_is_told_as_its_phones_know_it(
    asterisk_22: PbxSoftware, asterisk_16: PbxSoftware, tmp_path: Path, version: int
) -> None:
    async def scenario() -> None:
        software = asterisk_22 if version == 22 else asterisk_16
        async with pair(software, tmp_path) as pbxs:
            shapes = [one for one in SHAPES.values() if version in one.versions]
            again = await misjudged(shapes, pbxs, AT_ONCE)
            assert len(again) < len(shapes) / 10
            # A machine that stalls may let a phone ring out before its script has answered: once more, alone.
            assert await misjudged([SHAPES[name] for name in again], pbxs, 1) == []

    asyncio.run(scenario())
