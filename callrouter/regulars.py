"""Tells the lease store whose client a caller is, and who talked with him, once an appeal says so: his next call asks.

Takes published rows, talks to the store in the background, and never keeps publishing waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from callrouter.appeals.row import AppealRow
from callrouter.log import OncePerKind
from callrouter.numbers import Number
from callrouter.pool.directory import Directory
from callrouter.pool.store import LeaseStore, StoreUnavailable

MOST_WAITING = 10_000
"""Of the callers whose appeals are published after a long outage the rest is introduced by their next calls."""
AT_ONCE = 16


class _Caller(NamedTuple):
    account: int
    caller: Number


class _Known(NamedTuple):
    client: int
    at: datetime
    employee: str
    """Of his latest call that somebody answered; '' if none was."""


class Regulars:
    """`note` what was published; `run` passes it on until cancelled."""

    def __init__(self, store: LeaseStore, directory: Callable[[], Directory]) -> None:
        self._store = store
        self._directory = directory
        self._waiting: dict[_Caller, _Known] = {}
        self._noted = asyncio.Event()
        self._say = OncePerKind()

    def note(self, rows: Sequence[AppealRow]) -> None:
        """Inbound calls only: who was merely called has not called yet, and his first call is unique."""
        for row in rows:
            if row.direction != "inbound" or row.customer is None or row.client_id is None:
                continue
            who, employee = _Caller(row.account_id, Number(row.customer)), row.employee or ""
            known = _Known(row.client_id, row.started_at, employee)
            if who in self._waiting:
                earlier, later = sorted((self._waiting[who], known), key=lambda each: each.at)
                known = later._replace(employee=later.employee or earlier.employee)
            if len(self._waiting) < MOST_WAITING:
                self._waiting[who] = known
        if self._waiting:
            self._noted.set()

    async def run(self) -> None:
        while True:
            await self._noted.wait()
            self._noted.clear()
            while self._waiting:
                some = [self._waiting.popitem() for _ in range(min(AT_ONCE, len(self._waiting)))]
                try:
                    await asyncio.gather(*(self._introduce(caller, known) for caller, known in some))
                except StoreUnavailable as error:
                    self._say.warning("REMEMBER-UNAVAILABLE", reason=str(error))

    async def _introduce(self, who: _Caller, known: _Known) -> None:
        for slot in self._directory().slots_of_account(who.account):
            await self._store.remember(
                slot, who.caller, account=who.account, at=known.at, number=Number(""), client=str(known.client),
                employee=known.employee, own_number=False,
            )  # fmt: skip
