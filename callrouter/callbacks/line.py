"""The call of an order: the id that its first channel gets on the PBX, and the action that begins it. Pure.

Asterisk lets us name a channel. The order's serial stands in that name, and so in the linkedid of the whole call: every
router on the PBX, also one that was started in between, knows from the call alone which order it carries out. Asterisk
refuses a second channel of the same name.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import NamedTuple

from callrouter.callbacks.settings import CallbackSettings
from callrouter.numbers import Number

LINKEDID = re.compile(r"(?:.*-)?\d{9,11}\.99(\d{3})(\d{12})")
ATTEMPTS = 1000
CALL_CONTEXT = "callrouter-callback"
MEMORY = 4096
"""So many orders the PBX remembers to have called the client of: the dialplan keeps them in its database."""
UNSAFE = re.compile(r"[^A-Za-z0-9 .-]")


class Attempt(NamedTuple):
    """One attempt at an order: `serial` of callback_orders, counted from 1."""

    serial: int
    attempt: int


def linkedid_of(pbx: str, attempt: Attempt, at: datetime) -> str:
    """As Asterisk's own ids are built, so that whatever reads those reads this."""
    return f"{pbx}-{int(at.timestamp())}.99{attempt.attempt % ATTEMPTS:03}{attempt.serial:012}"


def attempt_of(linkedid: str) -> Attempt | None:
    """Which order a call carries out; None: it is no such call."""
    match = LINKEDID.fullmatch(linkedid) if ".99" in linkedid else None  # most calls are none
    return Attempt(int(match[2]), int(match[1])) if match else None


def action_id(attempt: Attempt) -> str:
    return f"order-{attempt.serial}-{attempt.attempt}"


def memory_of(serial: int) -> str:
    """The key in the PBX's database under which the dialplan notes that the client of an order was called."""
    return f"{CALL_CONTEXT}/{serial % MEMORY}"


def originate(
    attempt: Attempt, linkedid: str, phone: Number, *, route: str, context: str, shown: str, site: str,
    settings: CallbackSettings,
) -> dict[str, str]:  # fmt: skip
    """Ring the route; whoever answers is sent into `callrouter-callback`, which calls the client."""
    variables = {
        "CALLROUTER_ORDER": str(attempt.serial), "CALLROUTER_ORDER_MEMORY": memory_of(attempt.serial),
        "CALLROUTER_ORDER_SHOWN": shown,
    }  # fmt: skip
    return {
        "Action": "Originate",
        "ActionID": action_id(attempt),
        "Channel": f"Local/{route}@{context}/n",
        "Context": CALL_CONTEXT,
        "Exten": phone,
        "Priority": "1",
        "Timeout": str(settings.ring_s * 1000),
        "CallerID": f'"callback {UNSAFE.sub("", site)[:40]}" <{phone}>',
        "Variable": ",".join(f"{name}={value}" for name, value in variables.items()),
        "ChannelId": linkedid,
        "Async": "true",
    }
