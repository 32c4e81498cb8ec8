"""From a case to its results: which runs the wanted policies need, one after another, and what they come to.

Policies that differ only in whom they credit are judges of one and the same run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import cast

import msgspec

from callrouter.pool.delay import DEFAULT_MODEL, DelayModel
from callrouter.pool.model import DEFAULT_WINDOW
from callrouter.pool.planning.recording import RecordingStore
from callrouter.pool.simulation.comparison import Judgement
from callrouter.pool.simulation.judges import ENGINE, Judge
from callrouter.pool.simulation.past import Past, Witness
from callrouter.pool.simulation.policies import OURS, POLICIES, Choice, Policy
from callrouter.pool.simulation.premises import premises
from callrouter.pool.simulation.report import Circumstances, Report
from callrouter.pool.simulation.report import report as report_of
from callrouter.pool.simulation.runner import MONDAY, Outcome, Runner, Setting
from callrouter.pool.simulation.world import World
from callrouter.pool.store import LeaseStore, Lifetimes

Progress = Callable[[str, float], None]
"""Told the name of a run, and how much of it is done."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """What is simulated. The same `seed` brings the same people to every policy."""

    world: World
    numbers: int
    seed: int = 1
    hold: timedelta = timedelta(minutes=30)
    window: timedelta = DEFAULT_WINDOW
    policies: tuple[str, ...] = (OURS,)
    model: DelayModel = DEFAULT_MODEL
    judges: Mapping[str, Judge] = {}
    """Further ones, asked about every call of the runs of `ours`."""
    more_calls: int = 0
    """Further sets of calls that the same visits and strangers might have brought."""
    keeps_past: bool = False
    """What `ours` leaves behind is kept for a fit."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    report: Report
    outcome: Outcome
    judge: str
    """Whose verdicts of the outcome's are the policy's."""
    past: Past | None = None

    @property
    def judgement(self) -> Judgement:
        return Judgement([heard for heard in self.outcome.calls if heard.call.attributable], self.judge)


async def simulate(url: str, case: Case, progress: Progress = lambda _name, _share: None) -> dict[str, Result]:
    """Policy → what came of it, in the order asked for. `url`: of a plain Redis or Valkey server."""
    wanted = [POLICIES[name] for name in case.policies]
    found: dict[str, Result] = {}
    for run in _runs(wanted).values():
        outcome, past = await _run(url, case, run, partial(progress, run[0].name))
        for policy in run:
            judge = ENGINE if policy is run[0] else policy.name
            report = _report(case, policy, outcome, judge)
            found[policy.name] = Result(report=report, outcome=outcome, judge=judge, past=past)
    return {name: found[name] for name in case.policies}


def _runs(wanted: Sequence[Policy]) -> dict[Choice, list[Policy]]:
    """Policies by their way of choosing numbers; the one that decides what is remembered comes first."""
    runs: dict[Choice, list[Policy]] = {}
    for policy in wanted:
        together = runs.setdefault(policy.choice, [POLICIES[OURS]] if policy.choice == Choice() else [])
        if policy not in together:
            together.append(policy)
    return runs


async def _run(
    url: str, case: Case, run: Sequence[Policy], progress: Callable[[float], None]
) -> tuple[Outcome, Past | None]:
    choice = run[0].choice
    lifetimes = Lifetimes(window=case.window)
    if choice.affinity is not None:
        lifetimes = msgspec.structs.replace(lifetimes, affinity=choice.affinity)
    model = msgspec.structs.replace(case.model, window=case.window)
    judges = {ENGINE if policy is run[0] else policy.name: policy.judge(model) for policy in run}
    if run[0].name == OURS:
        judges |= case.judges
    setting = Setting(numbers=case.numbers, hold=case.hold, strict=choice.takes, more_calls=case.more_calls)
    witness = Witness(judges[ENGINE]) if case.keeps_past and run[0].name == OURS else None
    async with premises(url, lifetimes=lifetimes, chooser=choice.lua()) as place:
        recording = RecordingStore(place.store)
        if witness is not None:
            judges[ENGINE] = witness.judge
            place.store = cast(LeaseStore, recording)
        world = case.world.settled(case.numbers)
        outcome = await Runner(place, world, setting, judges).run(case.seed, progress=progress)
    if witness is None:
        return outcome, None
    start, end = (MONDAY + timedelta(seconds=at) for at in (world.counted_from, world.length))
    return outcome, witness.past(recording, case.hold, start=start, end=end)


def _report(case: Case, policy: Policy, outcome: Outcome, judge: str) -> Report:
    circumstances = Circumstances(
        policy=policy.name, world=case.world.name, seed=case.seed, numbers=case.numbers,
        hold_s=case.hold.total_seconds(), window_s=case.window.total_seconds(), days=case.world.days,
        more_calls=case.more_calls,
    )  # fmt: skip
    return report_of(circumstances, outcome.calls, outcome.ledger, judge=judge)
