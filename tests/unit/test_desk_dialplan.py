"""What the dialplan is told at the desk: the visit, the channel of a static number, or where to go by default."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from callrouter.clock import SystemClock
from callrouter.desk import Desk, Question, dialplan_variables
from callrouter.pool.model import Attribution, Resolution, StaticBinding
from callrouter.sessions.model import TrafficSource, Visit
from tests.unit.desk_scene import (
    AT,
    CALLER,
    DEADLINE,
    NUMBER,
    Journal,
    Store,
    at_the_desk,
    ended,
    question,
    started,
)


@pytest.mark.parametrize("dialled", ["s", "", "101", "not a number"])
def test_what_is_no_number_is_answered_unattributed(dialled: str) -> None:
    async def scenario(desk: Desk, store: Store, journal: Journal) -> None:
        odd = Question(pbx="pbx1", uniqueid="pbx1-1.1", called_raw=dialled, caller_raw="anonymous", country="RU")
        assert await desk.ask(odd) == {"CALLROUTER_ROUTE": "", "CALLROUTER_STATUS": "unattributed"}
        assert store.asked == []

    at_the_desk(scenario)


def test_what_is_no_number_still_counts_the_time_that_the_dialplan_waited() -> None:
    async def scenario(desk: Desk, store: Store, journal: Journal) -> None:
        desk.take([started()], dialplan_asks=True, country="RU")
        await desk.ask(msgspec.structs.replace(question(), called_raw="s"))
        desk.take([ended(called=None)], dialplan_asks=True, country="RU")
        assert await desk.finish(1)
        assert journal[0].call.agi_ms is not None

    at_the_desk(scenario)


def test_calls_that_nothing_routes_take_the_default_route() -> None:
    async def run() -> None:
        store = Store()
        store.route = ""
        desk = Desk(store, Journal(), SystemClock(), deadline=DEADLINE, default_route="reception")
        assert (await desk.ask(question()))["CALLROUTER_ROUTE"] == "reception"
        odd = msgspec.structs.replace(question(), called_raw="s")
        assert (await desk.ask(odd))["CALLROUTER_ROUTE"] == "reception"
        await desk.stop()

    asyncio.run(run())


def test_the_dialplan_gets_the_visit_or_the_channel_of_a_static_number() -> None:
    traffic = TrafficSource(channel="paid_search", source="yandex", medium="cpc", campaign="spring", keyword="окна")
    visit = Visit(
        session="s1", visitor="v1", account=2, site=1, traffic=traffic, landing_page="", referrer="", started_at=AT,
        seen_at=AT,
    )  # fmt: skip
    credited = Attribution(method="holder", confidence=0.914, account=2, site=1, session="s1")
    known = Resolution(
        number=NUMBER, caller=CALLER, at=AT, attribution=credited, visit=visit, route="sales", client="17", unique=True
    )
    assert dialplan_variables(known) == {
        "CALLROUTER_ROUTE": "sales", "CALLROUTER_SOURCE": "yandex", "CALLROUTER_MEDIUM": "cpc",
        "CALLROUTER_CAMPAIGN": "spring", "CALLROUTER_KEYWORD": "окна", "CALLROUTER_SITE": "1",
        "CALLROUTER_SESSION": "s1", "CALLROUTER_CLIENT": "17", "CALLROUTER_MANAGER": "",
        "CALLROUTER_UNIQUE": "1",
        "CALLROUTER_CONFIDENCE": "0.91", "CALLROUTER_STATUS": "ok",
    }  # fmt: skip
    binding = StaticBinding(
        number=NUMBER, account=2, site=1, channel="newspaper", source="izvestia", medium="print", campaign="may",
        valid_from=AT,
    )  # fmt: skip
    static = Attribution(method="static", confidence=1.0, account=2, site=1, session=None)
    told = dialplan_variables(Resolution(number=NUMBER, caller=None, at=AT, attribution=static, binding=binding))
    assert (told["CALLROUTER_SOURCE"], told["CALLROUTER_MEDIUM"], told["CALLROUTER_CAMPAIGN"]) == (
        "izvestia", "print", "may",
    )  # fmt: skip
    nobody = Attribution(method="unattributed", confidence=0.0, account=None, site=None, session=None)
    told = dialplan_variables(Resolution(number=NUMBER, caller=None, at=AT, attribution=nobody))
    assert told["CALLROUTER_STATUS"] == "unattributed"
    assert told["CALLROUTER_SITE"] == ""
