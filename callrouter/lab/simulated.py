"""A PBX for machines on which no Asterisk can be had: real sockets, real AMI, real FastAGI, imagined people.

It plays the plans that the demo needs, over the events that Asterisk sends for them, and asks callrouter as the shipped
dialplan does: with a watchdog, and going on whatever comes back. It proves nothing about Asterisk, and says what it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from callrouter.lab import company
from callrouter.lab.calls import DESTINATION, truth_of
from callrouter.lab.phones import TRANSFERS, PlayedCall, Talk
from callrouter.lab.plan import CallPlan, Outcome, Truth
from callrouter.lab.simulated_ami import SimulatedManager
from callrouter.lab.simulated_switch import BUSY, NO_ANSWER, NORMAL, UP, Channel, Switch

WATCHDOG_SECONDS = 1.5
RING_OUT_SECONDS = 2.0
ANSWERED = frozenset((
    Outcome.ANSWERED_IN_QUEUE, Outcome.IVR_THEN_QUEUE, Outcome.RING_GROUP, Outcome.RING_GROUP_BY_CONTEXT,
    Outcome.DIRECT, Outcome.BLIND_TRANSFER,
))  # fmt: skip
LOST = frozenset((
    Outcome.ABANDONED_IN_QUEUE, Outcome.BUSY, Outcome.NO_ANSWER, Outcome.ABANDONED_IN_IVR, Outcome.ABANDONED_RINGING,
    Outcome.REJECTED,
))  # fmt: skip


class SimulatedPbx:
    """Used as an AsteriskLab is: `start`, `place`, `stop`."""

    cel_file: Path | None = None
    description = "simulated"

    def __init__(self, folder: Path | None = None, *, name: str = "pbx1", agi: str = "") -> None:
        self.folder = folder
        self.name = name
        self.agi = agi
        self._manager = SimulatedManager(name)
        self._switch = Switch(self._manager)
        self._numbers: dict[str, str] = {}
        self._free: dict[str, asyncio.Queue[str]] = {}

    @property
    def ami_port(self) -> int:
        return self._manager.port

    @property
    def ami_user(self) -> str:
        return self._manager.user

    @property
    def ami_secret(self) -> str:
        return self._manager.secret

    async def start(self) -> None:
        for group, members in (company.QUEUES | company.RING_GROUPS).items():
            self._free[group] = asyncio.Queue()
            for extension in members:
                self._free[group].put_nowait(extension)
        await self._manager.start()

    async def stop(self) -> None:
        await self._manager.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.stop()

    async def map_number(self, did: str, destination: str) -> None:
        """Where a call to this number goes when callrouter names no route."""
        self._numbers[did] = destination

    async def place(self, plan: CallPlan) -> Truth:
        """Play one call to its end."""
        if plan.outcome not in ANSWERED | LOST:
            raise ValueError(f"the simulated PBX cannot play {plan.outcome}")
        started = datetime.now(UTC)
        played = PlayedCall(plan, began=time.monotonic())
        sent = plan.caller if plan.caller_sent is None else plan.caller_sent
        customer = self._switch.new("carrier", sent, "from-trunk", plan.did)
        route = await self._ask(customer)
        wanted = DESTINATION.get(plan.outcome) if plan.destination is None else plan.destination
        destination = next(
            (one for one in (wanted, route, self._numbers.get(plan.did)) if one in company.DESTINATIONS), "sales"
        )
        await self._go(played, customer, destination)
        return truth_of(played, destination, started)

    async def _go(self, played: PlayedCall, customer: Channel, destination: str) -> None:
        if destination == "ivr":
            left = await self._menu(played, customer)
            if left:
                return
            destination = "sales"
        if destination in company.QUEUES:
            await self._queue(played, customer, destination)
        elif destination in company.RING_GROUPS:
            await self._ring(played, customer, destination, company.RING_GROUPS[destination])
        else:
            await self._ring(played, customer, destination, ("242" if destination == "brief" else "241",))

    async def _menu(self, played: PlayedCall, customer: Channel) -> bool:
        """The IVR; true if the caller left in it."""
        self._switch.state(customer, UP)
        self._switch.step(customer, "ivr-main", "s", "BackGround", "silence1")
        await asyncio.sleep(played.plan.wait_s / 2)
        if played.plan.outcome is Outcome.ABANDONED_IN_IVR:
            self._leave(played, customer)
        return played.plan.outcome is Outcome.ABANDONED_IN_IVR

    async def _queue(self, played: PlayedCall, customer: Channel, queue: str) -> None:
        switch, plan = self._switch, played.plan
        if customer.state != UP:
            switch.state(customer, UP)
        switch.step(customer, "destinations", queue, "Queue", f"{queue},t,,,30")
        switch.queue("QueueCallerJoin", customer, queue)
        if plan.outcome is Outcome.ABANDONED_IN_QUEUE:
            await asyncio.sleep(plan.wait_s)
            switch.wants_to_go(customer)
            switch.queue("QueueCallerAbandon", customer, queue, OriginalPosition="1", HoldTime=str(int(plan.wait_s)))
            switch.queue("QueueCallerLeave", customer, queue)
            played.ended = time.monotonic()
            switch.hangup(customer)
            return
        extension = await self._free[queue].get()
        try:
            await self._agent(played, customer, queue, extension)
        finally:
            self._free[queue].put_nowait(extension)

    async def _agent(self, played: PlayedCall, customer: Channel, queue: str, extension: str) -> None:
        switch = self._switch
        leg = switch.new(extension, extension, "from-internal", "s", of=customer)
        switch.agent("AgentCalled", customer, queue, leg)
        await self._answer(played, customer, leg, extension)
        switch.queue("QueueCallerLeave", customer, queue)
        switch.agent("AgentConnect", customer, queue, leg, HoldTime="0", RingTime="0")
        await self._talk(
            played, customer, leg, lambda reason: switch.agent("AgentComplete", customer, queue, leg, Reason=reason)
        )

    async def _ring(self, played: PlayedCall, customer: Channel, destination: str, members: tuple[str, ...]) -> None:
        switch, plan = self._switch, played.plan
        context = "ring-groups" if destination == "depot" else "destinations"
        if destination == "shop":
            switch.variable(customer, "CALLROUTER_GROUP", destination)
        peers = "&".join(f"PJSIP/{extension}" for extension in members)
        switch.step(customer, context, destination, "Dial", f"{peers},20")
        legs = [switch.new(one, one, "from-internal", "s", of=customer) for one in members]
        if plan.outcome in ANSWERED:
            for leg in legs[1:]:
                switch.dial(customer, leg)
            await self._answer(played, customer, legs[0], members[0])
            for leg in legs[1:]:
                switch.dialled(customer, leg, "CANCEL")
                switch.hangup(leg)
            await self._talk(played, customer, legs[0], lambda _reason: None)
        else:
            await self._ring_in_vain(played, customer, legs)

    async def _ring_in_vain(self, played: PlayedCall, customer: Channel, legs: list[Channel]) -> None:
        endings = {
            Outcome.BUSY: (played.plan.ring_s, "BUSY", BUSY),
            Outcome.REJECTED: (played.plan.ring_s, "BUSY", 21),
            Outcome.NO_ANSWER: (RING_OUT_SECONDS, "NOANSWER", NO_ANSWER),
            Outcome.ABANDONED_RINGING: (played.plan.wait_s, "CANCEL", NORMAL),
        }
        seconds, status, cause = endings[played.plan.outcome]
        for leg in legs:
            self._switch.dial(customer, leg)
        await asyncio.sleep(seconds)
        if played.plan.outcome is Outcome.ABANDONED_RINGING:
            self._switch.wants_to_go(customer)
        for leg in legs:
            self._switch.dialled(customer, leg, status)
            self._switch.hangup(leg, cause if status == "BUSY" else NORMAL)
        played.ended = time.monotonic()
        self._switch.hangup(customer, cause)

    async def _answer(self, played: PlayedCall, customer: Channel, leg: Channel, extension: str) -> None:
        self._switch.dial(customer, leg)
        played.rang.append(extension)
        await asyncio.sleep(played.plan.ring_s)
        self._switch.state(leg, UP)
        self._switch.dialled(customer, leg, "ANSWER")
        if customer.state != UP:
            self._switch.state(customer, UP)

    async def _talk(self, played: PlayedCall, customer: Channel, leg: Channel, complete: Callable[[str], None]) -> None:
        switch, plan = self._switch, played.plan
        switch.bridge(leg, customer)
        talk = Talk(played.rang[-1], time.monotonic())
        played.talks.append(talk)
        await asyncio.sleep(plan.talk_s)
        talk.ended = time.monotonic()
        if plan.outcome is Outcome.BLIND_TRANSFER and len(played.talks) == 1:
            extension = TRANSFERS[plan.outcome]
            switch.transfer(leg, customer, extension)
            switch.unbridge(leg, customer)
            complete("transfer")
            switch.hangup(leg)
            await self._queue(played, customer, company.QUEUE_EXTENSIONS[extension])
            return
        switch.wants_to_go(leg if plan.hangup_by == "employee" else customer)
        complete("agent" if plan.hangup_by == "employee" else "caller")
        switch.unbridge(customer, leg)
        switch.hangup(leg)
        played.ended = time.monotonic()
        switch.hangup(customer)

    def _leave(self, played: PlayedCall, customer: Channel) -> None:
        self._switch.wants_to_go(customer)
        played.ended = time.monotonic()
        self._switch.hangup(customer)

    async def _ask(self, customer: Channel) -> str:
        """What the dialplan's door does; returns CALLROUTER_ROUTE, or nothing whatever callrouter did."""
        if not self.agi:
            return ""
        self._switch.step(customer, "callrouter", "s", "AGI", f"{self.agi},{customer.dialled}")
        variables: dict[str, str] = {}
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            await asyncio.wait_for(self._agi(customer, variables), WATCHDOG_SECONDS)
        self._switch.variable(customer, "CALLROUTER_STATUS", variables.get("CALLROUTER_STATUS") or "error")
        return variables.get("CALLROUTER_ROUTE", "") if variables.get("CALLROUTER_STATUS") else ""

    def _agi(self, customer: Channel, variables: dict[str, str]) -> Coroutine[Any, Any, None]:
        return agi_call(self.agi, _environment(customer), variables)


async def agi_call(address: str, environment: dict[str, str], variables: dict[str, str]) -> None:
    """Ask a FastAGI server as Asterisk does, and do what it says until it closes; only variables can be set."""
    match = re.fullmatch(r"agi://([^:/]+):(\d+)(/.*)?", address)
    if not match:
        raise OSError(f"not an address of a FastAGI server: {address}")
    reader, writer = await asyncio.open_connection(match[1], int(match[2]))
    try:
        lines = {"agi_network": "yes", "agi_network_script": (match[3] or "/").lstrip("/"), "agi_request": address}
        text = "".join(f"{key}: {value}\n" for key, value in (lines | environment).items())
        writer.write(text.encode() + b"\n")
        while line := await reader.readline():
            writer.write(_executed(line.decode(errors="replace").strip(), variables))
    finally:
        writer.close()


def _environment(customer: Channel) -> dict[str, str]:
    return {
        "agi_channel": customer.name, "agi_uniqueid": customer.uniqueid, "agi_language": "en", "agi_type": "PJSIP",
        "agi_callerid": customer.number or "unknown", "agi_calleridname": "unknown", "agi_dnid": customer.dialled,
        "agi_context": "callrouter", "agi_extension": "s", "agi_priority": "3", "agi_enhanced": "0.0",
        "agi_accountcode": "", "agi_arg_1": customer.dialled,
    }  # fmt: skip


def _executed(command: str, variables: dict[str, str]) -> bytes:
    if match := re.fullmatch(r'EXEC MSet "(.*)"', command):
        variables |= dict(pair.split("=", 1) for pair in match[1].split(",") if "=" in pair)
        return b"200 result=0\n"
    if match := re.fullmatch(r'SET VARIABLE (\S+) "?(.*?)"?', command):
        variables[match[1]] = match[2]
        return b"200 result=1\n"
    return b"510 Invalid or unknown command\n"
