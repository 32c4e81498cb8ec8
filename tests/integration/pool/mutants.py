"""Faults put into the pool's scripts on purpose: whoever proofs the pool must find each of them.

Knows the shipped scripts' text, by lines that mean something; a fault whose line is gone says so. `python -m
tests.mutants` tries them all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from callrouter.pool import scripts


class Mutant(NamedTuple):
    file: str
    line: str
    """A regular expression."""
    instead: str


MUTANTS = {
    # When a lease ends
    "renewed at the very end": Mutant("renew", r"if now < expires then", "if now <= expires then"),
    "renewed at the very end, at once": Mutant("renew_live", r"and now < expires then", "and now <= expires then"),
    "kept at the very end": Mutant("allocate", r"if now < f\[E\] then return f", "if now <= f[E] then return f"),
    "ends when noticed": Mutant("numbers", r"set_free\(f, f\[E\], ENDED_EXPIRED\)", "set_free(f, now, ENDED_EXPIRED)"),
    "renewal forgotten by the sweeper": Mutant("numbers", r"f\[ST\] == 'L' and f\[E\] > now then", "false then"),
    "renewal unknown to the number": Mutant("numbers", r"if visit then f\[CLOSED\].*", ""),
    "renewal shortens": Mutant("visits", r"if now \+ hold > visit\[V_EXPIRES\] then", "if true then"),
    "renewal shortens, at once": Mutant("renew_live", r"if now \+ hold > expires then", "if true then"),
    "ended, still due": Mutant("numbers", r"call\('ZREM', P \.\. 'due', f\[NUMBER\]\)\n  if", "if"),
    "earlier visit keeps its lease": Mutant(
        "allocate", r"f\[ST\] == 'L' and f\[SESSION\] == latest then", "false then"
    ),
    "begins before the last one ended": Mutant("allocate", r"f\[X\] > now and f\[X\] or now", "now"),
    # Whose lease it is
    "renews another's": Mutant("numbers", r"visit\[V_EXPIRES\], f\[VISIT\] = 0, nil", "f[VISIT] = nil"),
    "gives another's back": Mutant("release", r"visit\[V_EXPIRES\] > 0 and number_of", "number_of"),
    "asked twice, leased twice": Mutant(
        "allocate", r"local f = visit\[V_EXPIRES\] > 0 and number_of\(visit\[V_NUM\]\)", "local f = nil"
    ),
    "another's request answered": Mutant("allocate", r"if visit\[V_VISITOR\] ~= visitor or ", "if "),
    "taken back from the newer visit": Mutant(
        "allocate", r"if newer and now < newer\[V_Z\] \+ gap then", "if false then"
    ),
    "a late repetition counts": Mutant("allocate", r" and not outdated and", " and"),
    # The choice
    "newest-free first": Mutant("choose", r"call\('ZPOPMIN', all\)", "call('ZPOPMAX', all)"),
    "own number forgotten": Mutant("choose", r"last ~= '' and number_of\(last\)", "nil"),
    "own number though it is another's now": Mutant("choose", r"if f and f\[ST\] == 'F' and \(.*\) then", "if f then"),
    "no affinity": Mutant("choose", r"unpack\(call\('ZPOPMIN', ours\)\)", "nil, nil"),
    "affinity for ever": Mutant("choose", r"since == 0 or now - since > affinity \* \(now - score\)", "false"),
    "pin ignored": Mutant("numbers", r"local from, rested = f\[PIN\], f\[X\]", "local from, rested = 0, f[X]"),
    "rest ignored": Mutant("numbers", r"if rested > 0 then rested = .*", "rested = 0"),
    "site's rest ignored": Mutant("numbers", r"\(f\[REST\] > rest and f\[REST\] or rest\)", "rest"),
    # The choice for a new visitor, made at once
    "newest-free first, at once": Mutant("allocate_new", r"call\('ZPOPMIN', all\)", "call('ZPOPMAX', all)"),
    "no affinity, at once": Mutant("allocate_new", r"local found = call\('ZPOPMIN', ours\)", "local found = {}"),
    "affinity for ever, at once": Mutant("allocate_new", r"found\[1\] ~= n and \(longest.*\) then", "false then"),
    "pin ignored, at once": Mutant("allocate_new", r"and pin <= now and ", "and "),
    "rest ignored, at once": Mutant("allocate_new", r" and \(ended == 0 or ended \+ rested <= now\) then", " then"),
    "a taken name leased, at once": Mutant("allocate_new", r"not known and not taken and", "not known and"),
    "overdue leases left, at once": Mutant("allocate_new", r"if not due or due - now > 0 then", "if true then"),
    "no begin in history, at once": Mutant("allocate_new", r"(call\('XADD', .*session), 'L', .*\)", r"\1)"),
    # Taking a closed lease
    "open page's lease taken": Mutant("renew", r"elseif visit\[V_SHUT\] == 1 then", "elseif false then"),
    "open page's lease taken, at once": Mutant("renew_live", r"if shut == 0 and ", "if "),
    "reopened page's lease taken": Mutant(
        "allocate", r"if visit\[V_SHUT\] == 1 then call\('ZREM'", "if false then call('ZREM'"
    ),
    "young lease taken": Mutant("allocate", r"f\[B\] \+ young <= now and ", ""),
    "lease with a call on it taken": Mutant("allocate", r" and f\[PIN\] <= now then", " then"),
    # Calls
    "a call pins nothing": Mutant("resolve", r"call\('APPEND', nkey, .*\)\n", "\n"),
    "unpinned at once": Mutant("hangup", r"f\[PIN\] = now \+ tonumber\(ARGV\[6\]\)", "f[PIN] = now"),
    "one call's end unpins all": Mutant("hangup", r"if f\[CALLS\] == '' then", "if true then"),
    # Visits
    "a repeated page counts": Mutant("renew", r" and visit\[V_REQUEST\] ~= request then", " then"),
    "goes on after its end": Mutant("allocate", r"now >= visit\[V_Z\] \+ gap or", "now > visit[V_Z] + gap or"),
    "a campaign changes nothing": Mutant("allocate", r" or campaign ~= '' and campaign ~= visit\[V_CAMPAIGN\]", ""),
    "an empty pool remembers": Mutant("allocate", r"if not f and ARGV\[21\] == '1' then", "if false then"),
    "signs too close": Mutant("visits", r"< 15000 then", "< 5000 then"),
    "signs too close, at once": Mutant("renew_live", r">= 15000", ">= 5000"),
    # The inventory
    "disabled, still offered": Mutant("load", r"elseif f\[ST\] == 'F' then\n    withdraw\(f\)\n", ""),
    "leased in two pools": Mutant("load", r"let_go\(f, wanted == '>' and .*\)", ""),
    "moves without its past": Mutant("load", r"if record == '' then return f end", "if record then return f end"),
    "older inventory taken": Mutant("load", r"if version < tonumber\(.*\) then", "if false then"),
    # History
    "past forgotten": Mutant("numbers", r"remember_lease\(f\[NUMBER\], record, pasts\)", ""),
    "no end in history": Mutant("numbers", r"call\('XADD', P \.\. 'log', '\*', 'E'.*\n", "\n"),
    "no begin in history": Mutant("allocate", r"(call\('XADD', .*session), 'L', .*\)", r"\1)"),
}
QUICK = ["asked twice, leased twice", "older inventory taken", "no end in history"]
"""Found by whole histories in every run of the tests."""
BY_SITUATION = {
    "a taken name leased, at once": "a_stranger_asks_by_the_name_of_his_request",
    "a late repetition counts": "his_old_request_arrives_when_he_is_on_a_newer_visit",
    "an empty pool remembers": "the_first_of_two_pools_is_full_and_one_more_comes",
    "begins before the last one ended": "he_comes_for_his_number_when_the_clock_went_back",
    "gives another's back": "his_number_is_anothers_when_he_gives_it_back",
    "goes on after its end": "he_comes_back_at_the_end_of_his_visit",
    "lease with a call on it taken": "all_pages_are_closed_and_one_more_visitor_comes",
    "no affinity": "a_lease_runs_out_unnoticed_while_others_are_free",
    "no affinity, at once": "all_numbers_are_free_and_somebody_asks",
    "one call's end unpins all": "one_of_two_calls_on_a_number_ends_and_somebody_asks",
    "open page's lease taken": "closed_pages_are_opened_again_and_one_more_visitor_comes",
    "open page's lease taken, at once": "closed_pages_are_opened_again_and_one_more_visitor_comes",
    "overdue leases left, at once": "a_lease_runs_out_unnoticed_while_others_are_free",
    "pin ignored": "called_numbers_are_given_back_and_somebody_asks",
    "pin ignored, at once": "called_numbers_are_given_back_and_somebody_asks",
    "renewal forgotten by the sweeper": "he_stays_when_his_lease_was_to_end_at_first",
    "renewal shortens": "he_shows_again_when_the_clock_went_back",
    "renewal shortens, at once": "he_shows_again_when_the_clock_went_back",
    "renewed at the very end": "he_shows_at_the_end_of_his_lease",
    "renewed at the very end, at once": "an_open_page_tells_of_itself_at_the_end_of_his_lease",
    "reopened page's lease taken": "closed_pages_are_opened_again_and_one_more_visitor_comes",
    "rest ignored, at once": "numbers_are_given_back_and_somebody_asks",
    "signs too close": "signs_of_life_come_close_to_each_other",
    "signs too close, at once": "signs_of_life_come_close_to_each_other",
    "site's rest ignored": "numbers_are_given_back_and_somebody_asks",
    "taken back from the newer visit": "his_old_request_arrives_when_he_is_on_a_newer_visit",
    "young lease taken": "all_pages_are_closed_and_one_more_visitor_comes",
}
"""Faults that take a full pool, two companies or a certain moment, and the situation that finds each."""


@contextmanager
def mutated(name: str) -> Iterator[None]:
    """The scripts with this fault, for the time of the block. LookupError if its line is no longer there."""
    mutant = MUTANTS[name]
    shipped = scripts._text
    text, found = re.subn(mutant.line, mutant.instead, shipped(mutant.file))
    if not found:
        raise LookupError(f"{mutant.file}.lua has no line like {mutant.line!r}: write the fault {name!r} anew")
    with_fault = {mutant.file: text}
    vars(scripts)["_text"] = lambda name: with_fault.get(name) or shipped(name)
    scripts.script.cache_clear()
    try:
        yield
    finally:
        vars(scripts)["_text"] = shipped
        scripts.script.cache_clear()
