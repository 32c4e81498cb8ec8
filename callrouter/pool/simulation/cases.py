"""From a case to its results: which runs the wanted policies need, one after another, and what they come to.

Policies that differ only in whom they credit are judges of one and the same run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial

import msgspec

from callrouter.pool.delay import DEFAULT_MODEL, DelayModel
from callrouter.pool.model import DEFAULT_WINDOW
from callrouter.pool.simulation.comparison import Judgement
from callrouter.pool.simulation.judges import ENGINE, Judge
from callrouter.pool.simulation.policies import OURS, POLICIES, Choice, Policy
from callrouter.pool.simulation.premises import premises
from callrouter.pool.simulation.report import Circumstances, Report, report
from callrouter.pool.simulation.runner import Outcome, Runner, Setting
from callrouter.pool.simulation.world import World
from callrouter.pool.store import Lifetimes

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


class Result(msgspec.Struct, frozen=True, kw_only=True):
    report: Report
    outcome: Outcome
    judge: str
    """Whose verdicts of the outcome's are the policy's."""

    @property
    def judgement(self) -> Judgement:
        return Judgement([heard for heard in self.outcome.calls if heard.call.attributable], self.judge)


async def simulate(url: str, case: Case, progress: Progress = lambda _name, _share: None) -> dict[str, Result]:
    """Policy → what came of it, in the order asked for. `url`: of a plain Redis or Valkey server."""
    wanted = [POLICIES[name] for name in case.policies]
    found: dict[str, Result] = {}
    for run in _runs(wanted).values():
        outcome = await _run(url, case, run, partial(progress, run[0].name))
        for policy in run:
            judge = ENGINE if policy is run[0] else policy.name
            found[policy.name] = Result(report=_report(case, policy, outcome, judge), outcome=outcome, judge=judge)
    return {name: found[name] for name in case.policies}


def _runs(wanted: Sequence[Policy]) -> dict[Choice, list[Policy]]:
    """Policies by their way of choosing numbers; the one that decides what is remembered comes first."""
    runs: dict[Choice, list[Policy]] = {}
    for policy in wanted:
        together = runs.setdefault(policy.choice, [POLICIES[OURS]] if policy.choice == Choice() else [])
        if policy not in together:
            together.append(policy)
    return runs


async def _run(url: str, case: Case, run: Sequence[Policy], progress: Callable[[float], None]) -> Outcome:
    choice = run[0].choice
    lifetimes = Lifetimes(window=case.window)
    if choice.affinity is not None:
        lifetimes = msgspec.structs.replace(lifetimes, affinity=choice.affinity)
    model = msgspec.structs.replace(case.model, window=case.window)
    judges = {ENGINE if policy is run[0] else policy.name: policy.judge(model) for policy in run}
    if run[0].name == OURS:
        judges |= case.judges
    setting = Setting(numbers=case.numbers, hold=case.hold, strict=choice.takes)
    async with premises(url, lifetimes=lifetimes, chooser=choice.lua()) as place:
        return await Runner(place, case.world.settled(case.numbers), setting, judges).run(case.seed, progress=progress)


def _report(case: Case, policy: Policy, outcome: Outcome, judge: str) -> Report:
    circumstances = Circumstances(
        policy=policy.name, world=case.world.name, seed=case.seed, numbers=case.numbers,
        hold_s=case.hold.total_seconds(), window_s=case.window.total_seconds(), days=case.world.days,
    )  # fmt: skip
    return report(circumstances, outcome.calls, outcome.ledger, judge=judge)
