"""Many calls at a rate, played by SIPp: callers who talk, wait or press a key. Employees are the lab's own phones.

Knows SIPp's command line and its log. For one call with a wanted outcome there is `AsteriskLab.place`.
"""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from callrouter.lab.calls import AsteriskLab

SCENARIO = Path(__file__).parent / "sipp" / "caller.xml"
NO_DESTINATION = "-"
ENDED_WELL = (0, 1)  # SIPp: all calls succeeded; at least one failed
FAILED = re.compile(r"for Call-I[dD] '(\d+)-[^']*'[:,]? ?(.*)")
"""Of SIPp's complaints: the number of the call, from 1, and what is said of it."""

Behaviour = Literal["hangs_up", "stays", "presses"]


class SippFailed(RuntimeError):
    """SIPp could not run at all."""


@dataclass(frozen=True)
class Customer:
    """Who calls which number, and what he does: caller.xml says what each behaviour is, and what the time."""

    caller: str
    did: str
    destination: str = NO_DESTINATION
    talk_ms: int = 1000
    does: Behaviour = "hangs_up"


@dataclass
class Noted:
    """What a caller's phone noted of his call; seconds since 1970, 0 for what did not happen."""

    began: float = 0.0
    heard: float = 0.0
    """The first that it heard of the PBX: it rings, is answered or refused."""
    ended: float = 0.0
    answered: float = 0.0
    trouble: str = ""
    """Why the call did not go as the scenario has it, in SIPp's words."""


async def place_many(pbx: AsteriskLab, customers: list[Customer], *, rate: float = 5.0, at_once: int = 100) -> bool:
    """Place one call for each customer, `rate` of them a second; true when SIPp calls all of them successful."""
    notes = await placed_by_sipp(pbx, customers, rate=rate, at_once=at_once)
    return all(note.ended and not note.trouble for note in notes.values())


async def placed_by_sipp(
    pbx: AsteriskLab, customers: Sequence[Customer], *, rate: float, at_once: int = 1000
) -> dict[str, Noted]:
    """The same; what each caller, each with a number of his own, noted."""
    lines = [f"{one.caller};{one.did};{one.destination};{one.does};{one.talk_ms}" for one in customers]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "callers.csv").write_text("\n".join(["SEQUENTIAL", *lines, ""]))
        process = await asyncio.create_subprocess_exec(
            *pbx.software.sipp, f"127.0.0.1:{pbx.sip_port}", "-sf", str(SCENARIO), "-inf", "callers.csv",
            "-i", "127.0.0.1", "-r", str(rate), "-m", str(len(customers)), "-l", str(at_once), "-nostdin",
            "-timeout", str(int(len(customers) / rate * 1.5) + 60), "-trace_logs", "-log_file", "notes",
            "-trace_err", "-error_file", "errors",
            cwd=folder, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT, env={**os.environ, "TERM": "dumb"},
        )  # fmt: skip
        try:
            said, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        if process.returncode not in ENDED_WELL:
            last = said.decode(errors="replace").strip().splitlines()[-1:]
            raise SippFailed(f"SIPp ended with {process.returncode}: {' '.join(last)}")
        return _notes(customers, *(_text(Path(folder) / name) for name in ("notes", "errors")))


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


def _notes(customers: Sequence[Customer], log: str, errors: str) -> dict[str, Noted]:
    notes = {one.caller: Noted() for one in customers}
    for line in log.splitlines():
        caller, what, *_, at = line.split()
        note = notes[caller]
        if not getattr(note, what):
            setattr(note, what, float(at))
            note.heard = note.heard or note.answered
    for number, text in FAILED.findall(errors):
        notes[customers[int(number) - 1].caller].trouble = text.strip()
    return notes
