"""The machine where it is narrow: what people do to each other where there are fewer numbers than visitors.

Each rule brings about one situation, whatever came before: the pool is full and all pages closed, a former holder comes
back at the very end of his visit, one company's number rests while another's visitor asks. What is drawn is who, by how
much, and on which side of the moment that decides. Knows no answers: the model does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.integration.pool.machine import PoolMachine
from tests.integration.pool.model import MINUTE, SIGN_APART, YOUNG, Hit, Term
from tests.integration.pool.witness import Witness
from tests.integration.pool.worlds import GAP, HOLD, HOW, LARGE, PLACE, REST, SITES, SMALL, World

SITE = st.sampled_from(sorted(SITES))
OFTEN = st.sampled_from([True, True, False])
SITES_IN_TURN = st.permutations(sorted(SITES))
BY = st.sampled_from([-1, 0, 1])
"""Milliseconds from the moment that decides."""
SOON = st.sampled_from([1_000, 10_000, MINUTE])
CLOSE = st.sampled_from([5_000, SIGN_APART - 1, SIGN_APART, SIGN_APART + 1])
PLAIN: dict[str, Any] = {"campaign": "", "wants": True, "policy": "fallback", "rest": 0, "counts": True}


class Situation(NamedTuple):
    worlds: list[World]
    """Where it may come about."""
    drawn: dict[str, st.SearchStrategy[Any]]


SITUATIONS: dict[str, Situation] = {}
Step = Callable[..., None]


def situation(worlds: list[World] = SMALL, **drawn: st.SearchStrategy[Any]) -> Callable[[Step], Step]:
    """A rule of these worlds, that can be tried by itself as well."""

    def is_there(machine: Witness) -> bool:
        return machine.world in worlds

    def of(step: Step) -> Step:
        SITUATIONS[step.__name__] = Situation(worlds, drawn)
        ruled: Step = precondition(is_there)(rule(**drawn)(step))  # type: ignore[call-overload]  # its target might be drawn
        return ruled

    return of


class CloseQuarters(PoolMachine):
    @property
    def terms(self) -> list[Term]:
        """Leases that run, the one that began first ahead of others."""
        self.models["a"].settle(self.now)
        return sorted(self.models["a"].leased().values(), key=lambda term: (term.began, term.session))

    def comes(self, site: int, **how: Any) -> None:
        """A stranger, whom the pool has never seen."""
        self.open(site, f"w{next(self.strangers)}", PLAIN | how)

    def fill(self, *sites: int, **how: Any) -> None:
        """Strangers have all numbers: whoever had one has left long ago, though nobody need have noticed."""
        model = self.models["a"]
        gone = [term.expires + max(REST, term.rest) for term in self.terms]
        self.now = max(self.now, *gone, *(model.offered_from(number) for number in self.shares["a"]))
        for place in range(len(self.shares["a"])):
            self.comes(sites[place % len(sites)], **how)

    def until(self, moment: int) -> None:
        self.now = max(self.now, moment)

    @situation(site=SITE, how=HOW)
    def a_stranger_comes(self, site: int, how: dict[str, Any]) -> None:
        self.comes(site, **how)

    @situation(sites=SITES_IN_TURN, one_more=SITE, how=HOW)
    def the_pool_fills_and_one_more_comes(self, sites: list[int], one_more: int, how: dict[str, Any]) -> None:
        self.fill(*sites)
        self.comes(one_more, **how)

    @situation([LARGE], others=st.integers(min_value=0, max_value=2), how=HOW)
    def the_first_of_two_pools_is_full_and_one_more_comes(self, others: int, how: dict[str, Any]) -> None:
        """He is given a number of the second, as long as that has one."""
        for _ in self.shares["a"]:
            self.comes(1)
        for _ in range(others):
            self.comes(2)
        self.comes(1, **how)

    @situation(site=SITE, by=BY, called=st.booleans())
    def all_pages_are_closed_and_one_more_visitor_comes(self, site: int, by: int, called: bool) -> None:
        """When their leases may be taken; one of the numbers may be `called` meanwhile."""
        self.fill_and_leave(site)
        if called and self.terms:
            self.a_call_comes(self.terms[0].number, "c1")
        self.comes_when_leases_may_be_taken(site, by)

    @situation(site=SITE, by=BY, place=PLACE, by_page=st.booleans())
    def closed_pages_are_opened_again_and_one_more_visitor_comes(
        self, site: int, by: int, place: int, by_page: bool
    ) -> None:
        """By all who had left, or but one of them."""
        self.fill_and_leave(site)
        terms = self.terms
        for term in terms[: max(1, len(terms) - place % 2)]:
            if by_page:
                self.open(term.site, term.visitor, PLAIN)
            else:
                self.tell_alive("a", term.session)
        self.comes_when_leases_may_be_taken(site, by)

    def fill_and_leave(self, site: int) -> None:
        self.fill(site)
        for term in self.terms:
            self.tell_alive("a", term.session, closed=True)

    def comes_when_leases_may_be_taken(self, site: int, by: int) -> None:
        self.until(min((term.began for term in self.terms), default=0) + YOUNG + by)
        self.comes(site, policy="nearest_end")

    @situation(
        sites=SITES_IN_TURN, asks=SITE, apart=SOON, rest=st.sampled_from([0, 5 * MINUTE]), place=PLACE, by=BY,
        swept=OFTEN, back=st.sampled_from([0, MINUTE]),
    )  # fmt: skip
    def numbers_are_given_back_and_somebody_asks(
        self, *, sites: list[int], asks: int, apart: int, rest: int, place: int, by: int, swept: bool, back: int
    ) -> None:
        """One after the other, by visitors of both companies; when one has rested, or a clock says that none has."""
        self.fill(*sites, rest=rest)
        for term in self.terms:
            self.now += apart
            self.gives_back(term)
        model = self.models["a"]
        rested = sorted(model.offered_from(number) for number in self.shares["a"])
        self.until(rested[place % len(rested)] + by)
        if swept:
            self.sweep_all()
            self.now -= back
        self.comes(asks)

    @situation(sites=SITES_IN_TURN, asks=SITE, ended=st.booleans(), late=st.booleans(), swept=OFTEN, by=BY)
    def called_numbers_are_given_back_and_somebody_asks(
        self, *, sites: list[int], asks: int, ended: bool, late: bool, swept: bool, by: int
    ) -> None:
        """When they have rested from their visitors, or from the calls, which may come when all are free."""
        self.fill(*sites)
        terms = self.terms
        for term in terms:
            self.gives_back(term)
        if late:
            self.now += REST
            if swept:
                self.sweep_all()
        for term in terms:
            self.a_call_comes(term.number, "c1")
            if ended:
                self.a_call_ends(term.number, "c1", 1)
        self.until(self.now + REST + by)
        self.comes(asks)
        self.until(max((self.models["a"].offered_from(term.number) for term in terms), default=0) + by)
        self.comes(asks)

    @situation(sites=SITES_IN_TURN, asks=SITE, apart=SOON, swept=OFTEN)
    def all_numbers_are_free_and_somebody_asks(self, sites: list[int], asks: int, apart: int, swept: bool) -> None:
        """Each company had some: one of his own company's, unless another's is free far longer."""
        self.fill(*sites)
        for term in self.terms:
            self.now += apart
            self.gives_back(term)
        self.now += REST
        if swept:
            self.sweep_all()
        self.comes(asks)

    @situation(sites=SITES_IN_TURN, its=st.sampled_from([True, True, False]), apart=SOON, swept=OFTEN)
    def a_lease_runs_out_unnoticed_while_others_are_free(
        self, sites: list[int], its: bool, apart: int, swept: bool
    ) -> None:
        """The others were the other company's; who asks then is of the company whose lease it was (`its`), or not."""
        self.fill(sites[0], *sites[1:] * 2)
        terms = self.terms
        for term in terms[1:]:
            self.now += apart
            self.gives_back(term)
        self.now += REST
        if swept:
            self.sweep_all()
        self.until(max((term.expires for term in terms[:1]), default=0) + 2 * REST)
        self.comes(sites[0 if its else 1])

    def gives_back(self, term: Term) -> None:
        expected = self.models["a"].release(term.session, self.now)
        assert self.run(self.store.release(self.slots["a"], term.session, now=self.moment)) == expected

    @situation(place=PLACE, back=st.booleans())
    def his_number_is_anothers_when_he_gives_it_back(self, place: int, back: bool) -> None:
        """Or, if he is `back` instead, when he is told to be alive."""
        site, who = self.somebody(place)
        self.open(site, who, PLAIN)
        name, session = self.visit_of(site, who)
        if term := self.term_of(site, who):
            self.until(term.expires)
        self.fill(site)
        if back:
            self.tell_alive(name, session)
            return
        expected = self.models[name].release(session, self.now)
        assert self.run(self.store.release(self.slots[name], session, now=self.moment)) == expected

    @situation(place=PLACE, by=BY, how=HOW)
    def he_comes_back_at_the_end_of_his_visit(self, place: int, by: int, how: dict[str, Any]) -> None:
        site, who = self.somebody(place)
        self.open(site, who, PLAIN)
        self.now += GAP + by
        self.open(site, who, how | {"campaign": ""})

    @situation(place=PLACE, by=BY, closed=st.booleans(), page=st.sampled_from(["", "the same", "another"]))
    def he_shows_at_the_end_of_his_lease(self, *, place: int, by: int, closed: bool, page: str) -> None:
        """By a sign of life, or by a page."""
        site, who = self.somebody(place)
        self.fill(site)
        self.now += HOLD + REST
        self.open(site, who, PLAIN)
        name, session = self.visit_of(site, who)
        if term := self.term_of(site, who):
            self.until(term.expires + by)
        if page == "another":
            self.open(site, who, PLAIN)
        else:
            self.tell_alive(name, session, closed=closed, page=bool(page), request=f"r{next(self.requests)}")

    @situation(place=PLACE, by=BY)
    def an_open_page_tells_of_itself_at_the_end_of_his_lease(self, place: int, by: int) -> None:
        """The sign of life that comes most often, which has a way of its own through the scripts."""
        site, who = self.somebody(place)
        self.open(site, who, PLAIN)
        name, session = self.visit_of(site, who)
        if term := self.term_of(site, who):
            self.until(term.expires + by)
        self.tell_alive(name, session)

    @situation(place=PLACE, after=SOON, by=BY, swept=st.booleans())
    def he_stays_when_his_lease_was_to_end_at_first(self, *, place: int, after: int, by: int, swept: bool) -> None:
        """And the sweeper comes by, or somebody who wants a number."""
        site, who = self.somebody(place)
        self.open(site, who, PLAIN)
        name, session = self.visit_of(site, who)
        ends = self.now + HOLD
        self.now += after
        self.tell_alive(name, session)
        self.until(ends + by)
        if swept:
            self.sweep_all()
        else:
            self.comes(site)

    @situation(place=PLACE, after=SOON, back=SOON, by=BY, by_page=st.booleans())
    def he_shows_again_when_the_clock_went_back(
        self, *, place: int, after: int, back: int, by: int, by_page: bool
    ) -> None:
        """What he was promised stands, and he shows once more where that ends."""
        site, who = self.somebody(place)
        self.open(site, who, PLAIN)
        name, session = self.visit_of(site, who)
        self.now += after
        self.tell_alive(name, session)
        ends = self.now + HOLD
        self.sweep_all()
        self.now -= back
        if by_page:
            self.open(site, who, PLAIN)
        else:
            self.tell_alive(name, session)
        self.until(ends + by)
        self.tell_alive(name, session)

    @situation(place=PLACE, after=SOON, back=SOON, by=BY)
    def he_comes_for_his_number_when_the_clock_went_back(self, place: int, after: int, back: int, by: int) -> None:
        """He gave it back at a time that is yet to come: what he is leased then begins where that ended."""
        site, who = self.somebody(place)
        self.open(site, who, PLAIN)
        self.now += after
        if term := self.term_of(site, who):
            self.gives_back(term)
        self.sweep_all()
        self.now -= back + by
        self.open(site, who, PLAIN)

    @situation(place=PLACE, site=SITE)
    def a_stranger_asks_by_the_name_of_his_request(self, place: int, site: int) -> None:
        its, who = self.somebody(place)
        self.open(its, who, PLAIN)
        name, stranger = self.late[-1].request, f"w{next(self.strangers)}"
        self.ask(Hit(request=name, visitor=stranger, site=site, account=SITES[site], hold=HOLD, gap=GAP, **PLAIN))

    @situation(sites=SITES_IN_TURN, asks=SITE, apart=SOON, second=st.booleans(), by=BY)
    def one_of_two_calls_on_a_number_ends_and_somebody_asks(
        self, *, sites: list[int], asks: int, apart: int, second: bool, by: int
    ) -> None:
        """When the number might be had if nobody were talking on it any more."""
        self.fill(*sites)
        for term in self.terms:
            self.gives_back(term)
            self.a_call_comes(term.number, "c1")
            self.now += apart
            self.a_call_comes(term.number, "c2")
            self.a_call_ends(term.number, "c2" if second else "c1", 1)
        self.until(self.now + HOLD + by)
        self.sweep_all()
        self.comes(asks)

    @situation(place=PLACE, after=SOON, by=BY)
    def his_old_request_arrives_when_he_is_on_a_newer_visit(self, place: int, after: int, by: int) -> None:
        site, who = self.somebody(place)
        self.open(site, who, PLAIN | {"campaign": "x"})
        old = self.late[-1]
        self.now += after
        self.open(site, who, PLAIN | {"campaign": "y"})
        if by:
            self.now += GAP + by
        self.ask(old)

    @situation(place=PLACE, apart=CLOSE, later=CLOSE, by_page=st.booleans())
    def signs_of_life_come_close_to_each_other(self, place: int, apart: int, later: int, by_page: bool) -> None:
        site, who = self.somebody(place)
        self.open(site, who, PLAIN)
        name, session = self.visit_of(site, who)
        for span in (apart, later):
            self.now += span
            self.tell_alive(name, session, page=by_page, request=f"r{next(self.requests)}")
