"""An Asterisk for many calls: employees enough, several queues, extensions that hand callers on; SIPp plays them all.

Knows its dialplan, with which employee a call may end, and what employees' phones noted; not how many calls there are.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import os
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from callrouter.lab.calls import AsteriskLab
from callrouter.lab.load import Customer
from callrouter.lab.obtain import PbxSoftware
from callrouter.lab.ports import free_port

ANSWERS = "answers"
"""File of the employees' notes, in the PBX's folder."""
EMPLOYEE = Path(__file__).parents[1] / "lab" / "sipp" / "employee.xml"
DIRECT = tuple(str(n) for n in range(300, 320))
QUEUES = {f"q{n}": tuple(str(320 + 5 * n + k) for k in range(5)) for n in range(8)}
HANDING_ON = tuple(str(n) for n in range(360, 370))
"""They transfer whoever they talk with, as employee.xml says: 36N to 40N."""
TRANSFERRED_TO_QUEUE = 5
"""400 to 404 lead into the queues of these numbers, 405 to 409 to an extension."""
TALK_MS, LONG_TALK_MS = 1000, 2000
UNREAD = (
    "AGIExecStart,AGIExecEnd,BridgeCreate,BridgeDestroy,ContactStatus,DeviceStateChange,DialState,ExtensionStatus,"
    "MusicOnHoldStart,MusicOnHoldStop,NewAccountCode,NewConnectedLine,PeerStatus,QueueMemberStatus,RTCPReceived,RTCPSent,"
    "SoftHangupRequest,TestEvent"
)
"""Events that callrouter does not read: Asterisk writes them all out before it filters (asterisk-conf/README.md)."""

UNHEARD = "Newexten"
"""What callrouter does read, and can do without where no dialplan has menus or queues that turn callers away."""

UNTOLD = ("ast_channel_varset_type", "agi_exec_start_type", "agi_exec_end_type")
"""Kinds of messages that Asterisk need not make. Two thirds of all events tell variables, and nothing of a call here
stands in one; each command of an AGI script is told twice."""


@dataclass(frozen=True)
class Course:
    """Where a call goes, and who may talk with the caller last."""

    destination: str
    group: str | None
    employees: tuple[str, ...]
    talk_ms: int
    handed_on_by: str = ""
    """The extension that the call comes to first."""

    def ends_with(self, employee: str) -> tuple[tuple[str | None, str], ...]:
        """The last group and employee of a call that this employee was the last to answer; one is right, or two are.

        Who was handed on and hung up before anybody else answered may have been in the group already, or not yet.
        """
        if employee in self.employees:
            return ((self.group, employee),)
        if employee == self.handed_on_by:
            return tuple(dict.fromkeys(((None, employee), (self.group, employee))))
        return ()


def courses() -> Iterator[Course]:
    """The mix, without end: of ten calls six to extensions, three into queues, one handed on."""
    direct, queues, transfers = itertools.cycle(DIRECT), itertools.cycle(QUEUES), itertools.count()
    while True:
        for kind in "ddqddqdqdt":
            if kind == "d":
                yield _direct(next(direct))
            elif kind == "q":
                yield _queue(next(queues))
            else:
                yield _handed_on(next(transfers) % len(HANDING_ON))


def _direct(extension: str) -> Course:
    return Course(f"soak-{extension}", None, (extension,), TALK_MS)


def _queue(name: str) -> Course:
    return Course(f"soak-{name}", name, QUEUES[name], TALK_MS)


def _handed_on(n: int) -> Course:
    if n < TRANSFERRED_TO_QUEUE:
        return Course(f"soak-36{n}", f"q{n}", QUEUES[f"q{n}"], LONG_TALK_MS, f"36{n}")
    return Course(f"soak-36{n}", None, (DIRECT[n],), LONG_TALK_MS, f"36{n}")


class Answer(NamedTuple):
    """An employee took a call."""

    employee: str
    at: float
    """Seconds since 1970."""
    left: float = math.inf
    """When the PBX ended his call, if his phone noted that."""


@dataclass(frozen=True)
class Planned:
    """One call."""

    caller: str
    did: str
    course: Course

    @property
    def customer(self) -> Customer:
        return Customer(self.caller, self.did, self.course.destination, self.course.talk_ms)


def planned(numbers: Sequence[str], first: int, calls: int) -> list[Planned]:
    """So many calls, each with a caller of his own from `first` on, to these numbers in turn."""
    dids, mix = itertools.cycle(numbers), courses()
    return [Planned(f"7917{first + n:07}", next(dids), next(mix)) for n in range(calls)]


@contextlib.asynccontextmanager
async def office(software: PbxSoftware, folder: Path) -> AsyncIterator[AsteriskLab]:
    """The Asterisk, with its employees at their phones, for the time of the block."""
    pbx = AsteriskLab(software, folder)
    port = free_port(socket.SOCK_DGRAM)
    pbx.additions = {
        "extensions.conf": _dialplan(), "pjsip.conf": _endpoints(port), "queues.conf": _queues(),
        "asterisk.conf": "[options](+)\nverbose = 0\nmaxfiles = 65536\n",
        "manager.conf": f"[general](+)\ndisabledevents = {UNREAD},{UNHEARD}\n",
        "cel.conf": "[manager](+)\nenabled = no\n", "cdr_manager.conf": "[general](+)\nenabled = no\n",
        "stasis.conf": "\n".join(["[declined_message_types]", *(f"decline = {kind}" for kind in UNTOLD)]),
    }  # fmt: skip
    async with pbx:
        process = await asyncio.create_subprocess_exec(
            *software.sipp, f"127.0.0.1:{pbx.sip_port}", "-sf", str(EMPLOYEE), "-i", "127.0.0.1", "-p", str(port),
            "-nostdin", "-trace_logs", "-log_file", ANSWERS, "-trace_err", "-error_file", "errors", cwd=folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL, env={**os.environ, "TERM": "dumb"},
        )  # fmt: skip
        try:
            yield pbx
        finally:
            process.kill()
            await process.wait()


def answers(pbx: AsteriskLab) -> dict[str, list[Answer]]:
    """Caller → who answered him, in turn, by the notes of the employees' phones."""
    noted: dict[str, list[Answer]] = defaultdict(list)
    with (pbx.folder / ANSWERS).open() as lines:
        for line in lines:
            caller, employee, what, *_, at = line.split()
            if what == "answered":
                noted[caller].append(Answer(employee, float(at)))
            else:
                noted[caller] = [_parted(one, employee, float(at)) for one in noted[caller]]
    return noted


def _parted(answer: Answer, employee: str, at: float) -> Answer:
    return answer._replace(left=at) if answer.employee == employee else answer


def _dialplan() -> str:
    lines = ["[destinations](+)"]
    lines += [f"exten => soak-{name},1,Queue({name},t,,,30)\n same => n,Hangup()" for name in QUEUES]
    lines += ["exten => _soak-3XX,1,Dial(PJSIP/${EXTEN:5},20,t)\n same => n,Hangup()", "[from-internal](+)"]
    lines += [f"exten => 40{n},1,Queue(q{n},t,,,30)\n same => n,Hangup()" for n in range(TRANSFERRED_TO_QUEUE)]
    lines += [
        f"exten => 40{n},1,Dial(PJSIP/{DIRECT[n]},20,t)\n same => n,Hangup()" for n in range(TRANSFERRED_TO_QUEUE, 10)
    ]
    return "\n".join(lines)


def _endpoints(port: int) -> str:
    employees = [*DIRECT, *itertools.chain(*QUEUES.values()), *HANDING_ON]
    return "\n".join(
        f"[{extension}](employee)\naors = {extension}\n\n"
        f"[{extension}]\ntype = aor\ncontact = sip:{extension}@127.0.0.1:{port}\n"
        for extension in employees
    )


def _queues() -> str:
    lines = []
    for name, members in QUEUES.items():
        lines += [f"[{name}](calm)", "ringinuse = yes", *(f"member => PJSIP/{member}" for member in members), ""]
    return "\n".join(lines)
