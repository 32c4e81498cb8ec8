"""Who is credited with a call (rules §2), on evidence made by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from callrouter.numbers import Number
from callrouter.pool.attribution import Evidence, credit, explain
from callrouter.pool.delay import DEFAULT_MODEL, Models, survival
from callrouter.pool.model import Attribution, CallerMemory, Lease, StaticBinding
from callrouter.sessions.model import TrafficSource, Visit

NUMBER, CALLER = Number("74950000000"), Number("79161234567")
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def lease(session: str, start: int, seen: int, *, end: int | None = None, visitor: str = "", site: int = 1) -> Lease:
    """A lease whose times are minutes before (negative) or after noon; still running unless `end` is given."""
    return Lease(
        id=f"{session}-1", pool=1, number=NUMBER, account=site + 1, site=site, session=session,
        visitor=visitor or f"of {session}", started_at=NOON + start * MINUTE, seen_at=NOON + seen * MINUTE,
        expires_at=NOON + (seen + 30) * MINUTE, ended_at=NOON + end * MINUTE if end is not None else None,
        end="expired" if end is not None else None,
    )  # fmt: skip


def memory(session: str, called: int, *, visitor: str = "", site: int = 1) -> CallerMemory:
    at = NOON + called * MINUTE
    traffic = TrafficSource(channel="direct", source="(direct)", medium="(none)")
    visit = Visit(
        session=session, visitor=visitor or f"of {session}", account=site + 1, site=site, traffic=traffic,
        landing_page="", referrer="", started_at=at, seen_at=at,
    )  # fmt: skip
    return CallerMemory(visit=visit, called_at=at, number=NUMBER)


def evidence(*leases: Lease, **others: object) -> Evidence:
    facts: dict[str, object] = {"number": NUMBER, "caller": CALLER, "at": NOON, "leases": leases, **others}
    return Evidence(**facts)  # type: ignore[arg-type] # the tests name the fields


def test_a_static_number_is_its_channel_whoever_calls() -> None:
    binding = StaticBinding(
        number=NUMBER, account=2, site=1, channel="offline", source="newspaper", medium="print", campaign="",
        valid_from=NOON - MINUTE,
    )  # fmt: skip
    credited = credit(evidence(lease("s1", -3, -1), binding=binding, same_number=memory("old", -60)))
    assert (credited.method, credited.session, credited.site) == ("static", None, 1)


def test_the_holder_who_is_on_the_page_is_almost_certain() -> None:
    credited = credit(evidence(lease("s1", -3, 0)))
    assert (credited.method, credited.session) == ("holder", "s1")
    assert credited.confidence > 0.95


def test_the_holder_is_less_certain_late_in_the_hold() -> None:
    late, early = (credit(evidence(lease("s1", -40, seen), lease("s0", -90, -80, end=-50))) for seen in (-29, -1))
    assert late.session == early.session == "s1"
    assert late.confidence < early.confidence


def test_a_lease_that_ran_out_unnoticed_is_a_last_holder() -> None:
    credited = credit(evidence(lease("s1", -60, -31)))
    assert credited.method == "last_holder"


def test_the_last_holder_weakens_with_age_and_is_forgotten_after_the_window() -> None:
    hour, day = (credit(evidence(lease("s1", -ago - 40, -ago - 30, end=-ago))) for ago in (60, 23 * 60))
    assert hour.method == day.method == "last_holder"
    assert hour.confidence > day.confidence
    gone = credit(evidence(lease("s1", -4480, -4440, end=-4410)))
    assert (gone.method, gone.confidence, gone.session) == ("unattributed", 0.0, None)
    assert (gone.account, gone.site) == (2, 1), "the call still belongs to the site that last held the number"


def test_a_returning_caller_is_credited_to_his_own_visit_not_to_todays_holder() -> None:
    credited = credit(evidence(lease("today", -3, 0), same_number=memory("his own", -24 * 60)))
    assert (credited.method, credited.session) == ("caller_memory", "his own")
    assert {candidate.session for candidate in credited.candidates} == {"today", "his own"}


def test_a_returning_caller_who_holds_the_number_again_is_credited_to_his_latest_visit() -> None:
    again = lease("now", -3, 0, visitor="ann")
    credited = credit(evidence(again, same_number=memory("then", -24 * 60, visitor="ann")))
    assert (credited.method, credited.session) == ("holder", "now")
    assert credited.confidence > 0.99


def test_memory_of_another_number_counts_only_while_nobody_holds_this_one() -> None:
    known = memory("elsewhere", -60)
    assert credit(evidence(newest=known)).method == "caller_memory"
    assert credit(evidence(lease("s1", -3, 0), newest=known)).session == "s1"
    assert credit(evidence(newest=memory("elsewhere", -73 * 60))).method == "unattributed"


def test_a_withheld_caller_has_no_memory() -> None:
    credited = credit(evidence(lease("s1", -3, 0), caller=None, same_number=memory("old", -10)))
    assert credited.session == "s1"


def test_leases_that_began_after_the_call_are_no_evidence() -> None:
    assert credit(evidence(lease("later", 1, 2))).method == "unattributed"


ages = st.integers(min_value=-3000, max_value=0)


@given(st.lists(st.tuples(ages, st.integers(0, 60)), max_size=8), st.none() | ages, st.none() | ages)
def test_weights_are_odds_and_the_heaviest_is_credited(
    spans: list[tuple[int, int]], same: int | None, newest: int | None
) -> None:
    leases = [lease(f"s{place}", start, min(start + span, 0)) for place, (start, span) in enumerate(spans)]
    credited = credit(
        evidence(
            *leases,
            same_number=memory("m", same) if same is not None else None,
            newest=memory("n", newest) if newest is not None else None,
        )
    )
    weights = [candidate.weight for candidate in credited.candidates]
    assert all(0 <= weight <= 1 for weight in weights)
    assert sum(weights) <= 1.0001
    assert credited.confidence == max(weights, default=0.0)
    assert (credited.method == "unattributed") == (not weights)


def test_delays_are_distributions() -> None:
    for mixture in (DEFAULT_MODEL.delays, DEFAULT_MODEL.returns):
        assert abs(sum(share for share, _ in mixture) - 1) < 1e-9
        assert abs(survival(mixture, 0) - 1) < 1e-9
        assert survival(mixture, 60) > survival(mixture, 3600) > 0


def test_a_robot_that_dials_every_number_is_hardly_the_last_holder() -> None:
    held = lease("s1", -400, -360, end=-330)
    unknown = credit(evidence(held))
    robot = credit(evidence(held, newest=memory("elsewhere", -3000)))
    assert robot.confidence < unknown.confidence / 3


def test_visits_before_the_oldest_that_is_known_are_reckoned_with_as_often_as_others_came_since() -> None:
    """Two days after the last visit of a number that has several visitors a day, its callers may be anybody's."""
    newer = lease("s1", -2880, -2870, end=-2840)
    two, one = (
        credit(evidence(newer, lease("s0", -3600, -3590, end=-3560, visitor=visitor))) for visitor in ("bob", "of s1")
    )
    assert two.session == one.session == "s1"
    nobody_known, as_of_one = (1 - sum(each.weight for each in said.candidates) for said in (two, one))
    assert nobody_known > as_of_one, "an earlier visit of his own says nothing of others"


def test_a_doubtful_memory_is_no_more_certain_than_it_was() -> None:
    sure, doubtful = (
        credit(evidence(same_number=msgspec.structs.replace(memory("s0", -60), confidence=part, rivals=1 - part)))
        for part in (1.0, 0.6)
    )
    assert sure.confidence > 0.99
    assert 0.55 < doubtful.confidence < 0.65


def test_what_a_repeated_call_leaves_open_is_other_visits_so_that_no_further_call_makes_it_surer() -> None:
    def calling_again(before: CallerMemory) -> Attribution:
        return credit(evidence(same_number=before, at=before.called_at + 60 * MINUTE))

    first = msgspec.structs.replace(memory("s0", -60), confidence=0.6, rivals=0.2)
    second = calling_again(first)
    assert second.confidence > 0.7, "strangers hardly call again"
    kept = msgspec.structs.replace(first, called_at=NOON, confidence=second.confidence, rivals=second.rivals)
    assert abs(calling_again(kept).confidence - second.confidence) < 0.01


def test_the_caller_who_was_shown_this_number_too_is_known_by_his_call_on_another() -> None:
    ann = lease("ann", -300, -290, end=-260)
    credited = credit(evidence(lease("bob", -3, 0), ann, newest=memory("x", -900, visitor="of ann")))
    assert credited.session == "ann"


def test_one_visitor_with_two_visits_is_one_candidate_credited_with_the_later() -> None:
    later, first = lease("later", -90, -60, end=-30, visitor="ann"), lease("first", -300, -290, end=-260, visitor="ann")
    credited = credit(evidence(later, first))
    assert [candidate.session for candidate in credited.candidates] == ["later"]


def test_what_was_seen_after_the_call_was_not_known_then() -> None:
    now = lease("s1", -30, 0)
    signs = msgspec.structs.replace(now, signs=(0, 600_000, 2_700_000))
    assert credit(evidence(signs)).candidates[0].since == 20 * 60


def test_each_candidate_is_rated_by_his_own_accounts_model() -> None:
    eager = msgspec.structs.replace(DEFAULT_MODEL, call_share=0.9)
    last, holder = lease("s0", -90, -80, end=-50, site=2), lease("s1", -40, -29)
    plain = credit(evidence(holder, last))
    rated = credit(evidence(holder, last), Models(accounts={3: eager}))
    assert plain.session == "s1"
    assert rated.candidates[-1].weight > 5 * plain.candidates[-1].weight or rated.session == "s0"


def test_it_is_explained_in_words() -> None:
    said = explain(credit(evidence(lease("s1", -3, 0), lease("s0", -300, -290, end=-260))))
    assert said.startswith("visit s1 held the number, seen 0 s before the call: 0.9")
    assert "visit s0 had held the number, last seen 5 h before the call" in said
    assert "somebody else: 0.0" in said
    assert "channel" in explain(credit(evidence(binding=StaticBinding(
        number=NUMBER, account=2, site=1, channel="offline", source="", medium="", campaign="", valid_from=NOON,
    ))))  # fmt: skip
    assert "nobody" in explain(credit(evidence()))
