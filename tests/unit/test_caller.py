"""Carrying out an order: what stays in memory when nobody says how its call went."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import cast
from uuid import UUID

import pytest

from callrouter import caller as caller_module
from callrouter.ami import occasional
from callrouter.appeals.orders import Order
from callrouter.callbacks.settings import CallbackSettings
from callrouter.caller import Caller
from callrouter.calls.events import CallEnded
from callrouter.clock import SystemClock
from callrouter.config import PbxConfig
from callrouter.db.connect import Pool
from callrouter.desk import Desk
from callrouter.numbers import Number
from callrouter.pbx import PbxLink
from callrouter.pool.directory import Directory, Site
from tests.call_samples import a_call
from tests.waiting import until

CLOCK = SystemClock()


def a_caller() -> Caller:
    """With no Asterisk and no Postgres behind it."""
    link = PbxLink(PbxConfig(name="pbx1", callback_user="callbacks"), cast("Desk", None), CLOCK)
    return Caller(link, cast("Pool", None), Directory, CLOCK)


def an_order() -> Order:
    now = CLOCK.now()
    return Order(
        account=7, id=UUID(int=1), serial=1, site=70, phone=Number("79161234567"), due_at=now,
        latest_at=now + timedelta(hours=1), ordered_at=now, attempt=1, left_behind=False, is_late=False,
    )  # fmt: skip


def test_a_call_whose_answer_never_came_is_not_waited_for_any_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(occasional, "CONNECT_SECONDS", 0.2)

    async def scenario() -> None:
        caller = a_caller()
        await caller._call(an_order(), Site(id=70, account=7, callback=CallbackSettings(enabled=True, route="sales")))
        assert caller._ends == {}, "it is nobody's soon, and is found out about then"
        await caller.stop()

    asyncio.run(scenario())


def test_the_end_of_a_call_is_told_once_or_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        caller, record = a_caller(), a_call()
        waiting = asyncio.ensure_future(caller._end_of(record.linkedid))
        await until(lambda: bool(caller._ends))
        caller.take([CallEnded(record)])
        caller.take([CallEnded(record)])
        assert await waiting is record
        monkeypatch.setattr(caller_module, "LONGEST_CALL", 0.0)
        assert await caller._end_of(record.linkedid) is None
        assert caller._ends == {}

    asyncio.run(scenario())
