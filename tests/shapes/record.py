"""Plays the shapes one by one and keeps what Asterisk sent: `python -m tests.shapes.record [22] [16] [NAME…]`.

Beside each stream (all event classes, and what our filter lets through) stands what the phones did. A shape whose
record is not what they did is named; its capture is kept all the same.
"""

from __future__ import annotations

import asyncio
import gzip
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec

from callrouter.lab.obtain import PbxSoftware, obtain
from tests.captures.make import Tap
from tests.pbx.poll import until
from tests.shapes import SHAPES, Shape, ShapesPbx, Stage, profile
from tests.shapes.verdict import differences, replayed

CAPTURES = Path(__file__).parents[1] / "captures"
QUIET_SECONDS = 0.3
AT_ONCE = 3
PLAY_SECONDS = 60.0
TRIES = 3
"""A loaded machine delays now a phone and now the PBX; what is told wrongly stays wrong."""
BORN, GONE = b"Event: Newchannel\r\n", b"Event: Hangup\r\n"


async def record(one: Shape, pbxs: list[ShapesPbx], folder: Path) -> list[str]:
    """What the records say otherwise than the phones."""
    stage = Stage(pbxs[0], one.lane, *pbxs[1:])
    async with AsyncExitStack() as opened:
        taps = [await opened.enter_async_context(tapped(pbx, ours=ours)) for pbx in pbxs for ours in (False, True)]
        try:
            await asyncio.wait_for(one.play(stage), PLAY_SECONDS)
        except (AssertionError, TimeoutError) as failed:
            return [f"{folder.name}/{one.name} was not played: {failed!r}"]
        for tap in taps:
            await until(lambda tap=tap: tap.data.count(BORN) == tap.data.count(GONE))  # type: ignore[misc]
        streams = [await tap.close(QUIET_SECONDS) for tap in taps]
    told = []
    for n, stream in enumerate(streams):
        pbx, there, ours = pbxs[n // 2], n >= 2, n % 2
        data = stream.replace(str(pbx.folder).encode(), b"/var/lib/asterisk-lab")
        name = f"{one.name}{'_seen_there' if there else ''}"
        (folder / f"{name}{'.filtered' if ours else ''}.ami.gz").write_bytes(gzip.compress(data, mtime=0))
        calls = [] if there else [call.truth() for call in stage.calls]
        found = replayed(data, profile(pbx.name))
        told += [f"{folder.name}/{name} ({'ours' if ours else 'all'}): {line}" for line in differences(found, calls)]
        if not ours:
            describe(folder / f"{name}.json", pbx, calls, data.count(b"\r\nEvent: "))
    return told


@asynccontextmanager
async def tapped(pbx: ShapesPbx, *, ours: bool) -> AsyncIterator[Tap]:
    """A session that keeps all it is sent: with our filter, or with every event class."""
    login = (pbx.ami_user, pbx.ami_secret) if ours else (pbx.observer_user, pbx.observer_secret)
    tap = Tap(pbx.ami_port, *login)
    await tap.open()
    try:
        yield tap
    finally:
        await tap.close(0)


def describe(path: Path, pbx: ShapesPbx, calls: list[dict[str, object]], events: int) -> None:
    whole = {
        "asterisk": pbx.software.version,
        "events": events,
        "profile": msgspec.to_builtins(profile(pbx.name)),
        "calls": calls,
    }
    path.write_bytes(msgspec.json.format(msgspec.json.encode(whole), indent=2) + b"\n")


async def of_version(software: PbxSoftware, shapes: list[Shape]) -> None:
    """Several PBXs take turns, so that each stream has the events of one shape alone."""
    waiting = [one for one in reversed(shapes) if software.major in one.versions]
    folder = CAPTURES / "shapes" / str(software.major)
    folder.mkdir(parents=True, exist_ok=True)

    async def take_turns(root: Path) -> None:
        async with pair(software, root) as pbxs:
            while waiting:
                one = waiting.pop()
                for _ in range(TRIES):
                    told = await record(one, pbxs[: one.pbxs], folder)
                    print(*(told or [f"{folder.name}/{one.name}"]), sep="\n", flush=True)  # noqa: T201 - it reports
                    if not told:
                        break

    with tempfile.TemporaryDirectory() as root:
        await asyncio.gather(*(take_turns(Path(root) / str(n)) for n in range(min(AT_ONCE, len(waiting)))))


@asynccontextmanager
async def pair(software: PbxSoftware, root: Path) -> AsyncIterator[list[ShapesPbx]]:
    """Two PBXs with a trunk between them."""
    here = ShapesPbx(software, root / "pbx1", name="pbx1", lanes=[one.lane for one in SHAPES.values()])
    both = [one.lane for one in SHAPES.values() if one.pbxs > 1]
    there = ShapesPbx(software, root / "pbx2", name="pbx2", lanes=both)
    here.peer_port, there.peer_port = there.sip_port, here.sip_port
    async with here, there:
        yield [here, there]


async def main() -> None:
    wanted = sys.argv[1:]
    versions = [version for version in (22, 16) if str(version) in wanted] or [22, 16]
    names = [name for name in wanted if not name.isdigit()] or list(SHAPES)
    for version in versions:
        await of_version(obtain(version), [SHAPES[name] for name in names])


if __name__ == "__main__":
    asyncio.run(main())
