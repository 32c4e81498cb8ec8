"""Makes the captures anew by real calls: `python -m tests.captures.make [22] [16] [variants] [cel] [both] [bench]`.

A capture is what Asterisk sent, from the banner on; only the folder of the test instance is replaced in it.
"""

from __future__ import annotations

import asyncio
import gzip
import re
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec

from callrouter.lab import company
from callrouter.lab.asterisk import Attachment
from callrouter.lab.calls import AsteriskLab
from callrouter.lab.obtain import obtain
from callrouter.lab.plan import CallPlan, Outcome, Truth
from tests.pbx.poll import until
from tests.pbx.stub_agi import Behaviour, StubAgi

HERE = Path(__file__).parent
BENCH = HERE.parents[1] / "bench" / "data"
QUIET_SECONDS = 1.0
CP1251_NAME = "Пётр".encode("cp1251").decode("utf-8", "surrogateescape")
"""A name as some carriers send it: bytes that are no UTF-8."""
ANSWER_COMMAND = (
    'EXEC MSet "CALLROUTER_ROUTE=sales,CALLROUTER_SOURCE=yandex,CALLROUTER_MEDIUM=cpc,CALLROUTER_CAMPAIGN=Осень 2026,'
    "CALLROUTER_KEYWORD=окна купить,CALLROUTER_SITE=s1,CALLROUTER_SESSION=v1,CALLROUTER_CLIENT=,CALLROUTER_UNIQUE=1,"
    'CALLROUTER_CONFIDENCE=0.93,CALLROUTER_STATUS=ok"'
)


class Tap:
    """An AMI session that keeps each byte it is sent."""

    def __init__(self, port: int, user: str, secret: str) -> None:
        self._port, self._user, self._secret = port, user, secret
        self.data = bytearray()

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 22)
        self._writer.write(f"Action: Login\r\nUsername: {self._user}\r\nSecret: {self._secret}\r\n\r\n".encode())
        self._task = asyncio.create_task(self._read())
        await until(lambda: b"FullyBooted" in self.data)

    async def ask(self, action: str) -> bytes:
        """The response to one action."""
        self._writer.write(f"{action}\r\nActionID: asked\r\n\r\n".encode())
        await until(lambda: b"ActionID: asked" in self.data and self.data.endswith(b"\r\n\r\n"))
        self._writer.close()
        self._task.cancel()
        whole = bytes(self.data)
        return (
            whole[: whole.index(b"ActionID: asked")].rpartition(b"\r\n\r\n")[2]
            + whole[whole.index(b"ActionID: asked") :]
        )

    async def close(self, quiet: float = QUIET_SECONDS) -> bytes:
        """Wait until nothing more comes, then end; returns what came."""
        before = -1
        while before != len(self.data):
            before = len(self.data)
            await asyncio.sleep(quiet)
        self._writer.close()
        self._task.cancel()
        await asyncio.wait([self._task])
        return bytes(self.data)

    async def _read(self) -> None:
        while chunk := await self._reader.read(65536):
            self.data += chunk


def plan(outcome: Outcome, n: int, **more: Any) -> CallPlan:
    """A call of fictional people."""
    customer, number = f"7916555{1000 + n:04}", f"7495222{2700 + n:04}"
    if outcome in (Outcome.OUTBOUND, Outcome.OUTBOUND_BUSY):
        return CallPlan(outcome=outcome, caller="203", did=customer, **more)
    if outcome is Outcome.INTERNAL:
        return CallPlan(outcome=outcome, caller="203", did="241", **more)
    return CallPlan(outcome=outcome, caller=customer, did=number, **more)


def write(path: Path, data: bytes, lab: AsteriskLab, truths: list[Truth], events: bytes = b"") -> None:
    """The stream, and beside it the truth; `events` name the calls where the stream itself is no AMI."""
    data = data.replace(str(lab.folder).encode(), b"/var/lib/asterisk-lab")
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(data, mtime=0))
    else:
        path.write_bytes(data)
    calls = [asdict(truth) | {"linkedid": linkedid(events or data, truth)} for truth in truths]
    whole = {
        "asterisk": lab.software.version,
        "events": data.count(b"\r\nEvent: ") + data.count(b"\nEvent: FullyBooted"),
        "profile": msgspec.to_builtins(company.profile(lab.name)),
        "calls": calls,
    }
    text = msgspec.json.format(msgspec.json.encode(whole), indent=2)
    path.with_name(path.name.partition(".")[0] + ".json").write_bytes(text + b"\n")
    print(path, len(data), "bytes")  # noqa: T201 - a script that reports


def linkedid(data: bytes, truth: Truth) -> str:
    """That of the first channel whose caller and extension are the call's."""
    for block in data.decode(errors="replace").split("\r\n\r\n"):
        event = dict(re.findall(r"^(\w+): (.*?)\r?$", block, re.MULTILINE))
        callers = (truth.caller, truth.caller_sent)
        if event.get("Event") == "Newchannel" and event["Exten"] == truth.did and event["CallerIDNum"] in callers:
            return str(event["Linkedid"])
    raise LookupError(truth)


async def capture(lab: AsteriskLab, path: Path, *plans: CallPlan, filtered: bool = False, spread: float = 0) -> None:
    user, secret = (lab.ami_user, lab.ami_secret) if filtered else (lab.observer_user, lab.observer_secret)
    tap = Tap(lab.ami_port, user, secret)
    await tap.open()
    tasks = []
    for one in plans:
        tasks.append(asyncio.create_task(lab.place(one)))
        await asyncio.sleep(spread)
    truths = list(await asyncio.gather(*tasks))
    write(path, await tap.close(), lab, truths)


async def of_version(version: int) -> None:
    async with StubAgi(Behaviour.ANSWER, (ANSWER_COMMAND,)) as stub:
        attachment = Attachment(mode="agi", agi=stub.address)
        with tempfile.TemporaryDirectory() as folder:
            async with AsteriskLab(obtain(version), Path(folder), attachment=attachment) as lab:
                await each_outcome(lab, HERE / str(version))


async def variants_of(version: int) -> None:
    async with StubAgi(Behaviour.ANSWER, (ANSWER_COMMAND,)) as stub:
        attachment = Attachment(mode="agi", agi=stub.address)
        with tempfile.TemporaryDirectory() as folder:
            async with AsteriskLab(obtain(version), Path(folder), attachment=attachment) as lab:
                await each_variant(lab, HERE / str(version))


async def each_outcome(lab: AsteriskLab, folder: Path) -> None:
    n = 0
    for outcome in Outcome:
        n += 1
        await capture(lab, folder / f"{outcome}.ami", plan(outcome, n))
    for outcome in (Outcome.ANSWERED_IN_QUEUE, Outcome.ABANDONED_IN_QUEUE, Outcome.BLIND_TRANSFER, Outcome.OUTBOUND):
        n += 1
        path = folder.with_name(f"{folder.name}-filtered") / f"{outcome}.ami"
        await capture(lab, path, plan(outcome, n), filtered=True)
    await each_variant(lab, folder)
    several = [plan(outcome, 60 + k, talk_s=0.6) for k, outcome in enumerate(Outcome)][:10]
    await capture(lab, folder / "interleaved.ami.gz", *several, spread=0.15)


async def each_variant(lab: AsteriskLab, folder: Path) -> None:
    for name, one in variants().items():
        await capture(lab, folder / f"{name}.ami", one)


def variants() -> dict[str, CallPlan]:
    withheld = CallPlan(outcome=Outcome.DIRECT, caller="", caller_sent="anonymous", did="74952222758")
    return {
        "answered_hangup_by_employee": plan(Outcome.ANSWERED_IN_QUEUE, 50, hangup_by="employee"),
        "answered_cyrillic_name": plan(Outcome.DIRECT, 51, name="Пётр «Окна»"),
        "answered_national_caller": plan(Outcome.DIRECT, 52, caller_sent="89165551052"),
        "answered_named_agent": plan(Outcome.ANSWERED_IN_QUEUE, 54, destination="service"),
        "answered_by_route": plan(Outcome.ANSWERED_IN_QUEUE, 55, destination=""),
        "answered_queue_without_answer": plan(Outcome.ANSWERED_IN_QUEUE, 56, destination="support"),
        "answered_broken_encoding": plan(Outcome.DIRECT, 57, name=CP1251_NAME),
        "answered_withheld_caller": withheld,
    }


async def for_cel() -> None:
    """The PBX's own record of some calls, and their truth."""
    with tempfile.TemporaryDirectory() as folder:
        async with AsteriskLab(obtain(22), Path(folder)) as lab:
            kinds = [Outcome.ANSWERED_IN_QUEUE, Outcome.BUSY, Outcome.BLIND_TRANSFER, Outcome.OUTBOUND, Outcome.HELD]
            kinds += [Outcome.ABANDONED_IN_QUEUE, Outcome.IVR_THEN_QUEUE, Outcome.RING_GROUP, Outcome.NO_ANSWER]
            tap = Tap(lab.ami_port, lab.observer_user, lab.observer_secret)
            await tap.open()
            truths = [await lab.place(plan(outcome, 200 + n)) for n, outcome in enumerate(kinds)]
            data = await tap.close()
            write(HERE / "22-cel" / "calls.csv", lab.cel_file.read_bytes(), lab, truths, data)


async def by_both(version: int) -> None:
    """One PBX's day, as AMI told it to callrouter's user and as CEL recorded it: each kind of call."""
    with tempfile.TemporaryDirectory() as folder:
        async with AsteriskLab(obtain(version), Path(folder)) as lab:
            tap = Tap(lab.ami_port, lab.ami_user, lab.ami_secret)
            await tap.open()
            for one in [plan(outcome, 300 + n) for n, outcome in enumerate(Outcome)] + list(variants().values()):
                await lab.place(one)
            path = HERE / f"{version}-cel" / "both"
            path.mkdir(parents=True, exist_ok=True)
            data = (await tap.close()).replace(str(lab.folder).encode(), b"/var/lib/asterisk-lab")
            (path / "calls.ami.gz").write_bytes(gzip.compress(data, mtime=0))
            (path / "calls.csv.gz").write_bytes(gzip.compress(lab.cel_file.read_bytes(), mtime=0))


async def for_benchmarks() -> None:
    """Each outcome several times over, every event class: a few thousand events."""
    async with StubAgi(Behaviour.ANSWER, (ANSWER_COMMAND,)) as stub:
        attachment = Attachment(mode="agi", agi=stub.address)
        with tempfile.TemporaryDirectory() as folder:
            async with AsteriskLab(obtain(22), Path(folder), attachment=attachment) as lab:
                outcomes = [one for one in Outcome if one not in (Outcome.INTERNAL, Outcome.OUTBOUND_BUSY)]
                plans = [plan(outcome, 100 + k, talk_s=0.5) for k, outcome in enumerate(outcomes * 2)]
                await capture(lab, BENCH / "every-class.ami.gz", *plans, spread=0.5)


async def main() -> None:
    wanted = sys.argv[1:] or ["22", "16", "cel", "both", "bench"]
    for version in (22, 16):
        if str(version) in wanted:
            await of_version(version)
    if "variants" in wanted:
        await variants_of(22)
    if "cel" in wanted:
        await for_cel()
    if "both" in wanted:
        await by_both(22)
        await by_both(16)
    if "bench" in wanted:
        await for_benchmarks()


if __name__ == "__main__":
    asyncio.run(main())
