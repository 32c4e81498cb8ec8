"""Who really called, and what a judgement of it is worth."""

from __future__ import annotations

import pytest

from callrouter.numbers import Number
from callrouter.pool.model import Attribution
from callrouter.pool.simulation.calling import CallKind, PlannedCall
from callrouter.pool.simulation.truth import Truth, Verdict, judge
from callrouter.pool.simulation.visitors import PlannedVisit

ONE, TWO = Number("74950000001"), Number("74950000002")


def visit(name: str, person: str = "ann", at: float = 0.0) -> PlannedVisit:
    return PlannedVisit(id=name, person=person, visitor=person, account=1, site=1, at=at, left=at + 60.0)


def call(kind: CallKind = "first", person: str = "ann", at: float = 100.0, account: int | None = 1) -> PlannedCall:
    return PlannedCall(at=at, kind=kind, phone=Number("79990000001"), talk=10.0, person=person, account=account)


def said(session: str | None, account: int | None = 1) -> Attribution:
    return Attribution(
        method="holder" if session else "unattributed", confidence=0.9 if session else 0.0, account=account, site=1,
        session=session,
    )  # fmt: skip


def test_right_is_the_latest_visit_that_showed_the_caller_the_number_he_dials() -> None:
    truth, first, second, third = Truth(), visit("v1"), visit("v2"), visit("v3")
    truth.expect(first)
    truth.shown(first, ONE, "s1")
    truth.shown(second, ONE, "s2")
    truth.shown(third, TWO, "s3")
    assert truth.of(call(), ONE) == "s2"
    assert truth.of(call(), TWO) == "s3"


def test_calls_dial_what_was_shown_when_the_first_was_placed() -> None:
    truth, only = Truth(), visit("v1")
    truth.expect(only)
    truth.shown(only, ONE, "s1")
    assert truth.dialled(only) == ONE
    truth.shown(only, TWO, "s1")
    assert truth.dialled(only) == ONE


def test_who_was_shown_the_sites_own_number_dials_no_substitute() -> None:
    truth, only = Truth(), visit("v1")
    truth.expect(only)
    truth.shown(only, None, "s1")
    assert truth.dialled(only) is None


def test_nobody_else_is_remembered() -> None:
    truth = Truth()
    truth.shown(visit("v1", person="bob"), ONE, "s1")
    assert truth.of(call(person="bob"), ONE) is None


@pytest.mark.parametrize(
    ("credited", "account", "verdict"),
    [("s1", 1, "right"), ("s9", 1, "wrong"), ("s9", 2, "misrouted"), (None, 1, "unattributed")],
)
def test_a_credit_is_right_wrong_or_another_companys(credited: str | None, account: int, verdict: Verdict) -> None:
    assert judge(call(), "s1", said(credited, account)).verdict == verdict


@pytest.mark.parametrize("kind", ["friend", "wrong", "robocall"])
def test_no_credit_is_right_for_who_was_shown_nothing(kind: CallKind) -> None:
    truth, only = Truth(), visit("v1")
    truth.expect(only)
    truth.shown(only, ONE, "s1")
    stranger = call(kind, account=1 if kind == "friend" else None)
    assert not stranger.attributable
    assert judge(stranger, truth.of(stranger, ONE), said("s1")).verdict == "wrong"


def test_without_a_credit_the_call_may_still_reach_the_right_company() -> None:
    assert judge(call(), "s1", said(None, account=1)).reached
    assert not judge(call(), "s1", said(None, account=None)).reached
    assert not judge(call(), "s1", said("s9", account=2)).reached
