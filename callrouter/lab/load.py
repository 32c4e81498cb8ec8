"""Many calls at a rate, played by SIPp: customers who call, talk and hang up. The employees are the lab's own phones.

Knows SIPp's command line. For one call with a wanted outcome there is `AsteriskLab.place`.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from callrouter.lab.calls import AsteriskLab

SCENARIO = Path(__file__).parent / "sipp" / "customer.xml"
NO_DESTINATION = "-"
ENDED_WELL = (0, 1)  # SIPp: all calls succeeded; at least one failed


class SippFailed(RuntimeError):
    """SIPp could not run at all."""


@dataclass(frozen=True)
class Customer:
    """Who calls which number, and how long he talks once the PBX has taken the call."""

    caller: str
    did: str
    destination: str = NO_DESTINATION
    talk_ms: int = 1000


async def place_many(pbx: AsteriskLab, customers: list[Customer], *, rate: float = 5.0, at_once: int = 100) -> bool:
    """Place one call for each customer, `rate` of them a second; true when SIPp calls all of them successful."""
    lines = ["SEQUENTIAL", *(f"{one.caller};{one.did};{one.destination};{one.talk_ms}" for one in customers)]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "customers.csv").write_text("\n".join(lines) + "\n")
        process = await asyncio.create_subprocess_exec(
            *pbx.software.sipp, f"127.0.0.1:{pbx.sip_port}", "-sf", str(SCENARIO), "-inf", "customers.csv",
            "-i", "127.0.0.1", "-r", str(rate), "-m", str(len(customers)), "-l", str(at_once), "-nostdin",
            "-timeout", str(int(len(customers) / rate) + 60),
            cwd=folder, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT, env={**os.environ, "TERM": "dumb"},
        )  # fmt: skip
        said, _ = await process.communicate()
    if process.returncode not in ENDED_WELL:
        last = said.decode(errors="replace").strip().splitlines()[-1:]
        raise SippFailed(f"SIPp ended with {process.returncode}: {' '.join(last)}")
    return process.returncode == 0
