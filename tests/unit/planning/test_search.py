"""The search for the fewest numbers, on pools whose truth is a formula that the search does not know."""

from __future__ import annotations

import asyncio
import math
import random
from dataclasses import dataclass

import pytest

from callrouter.pool.planning.demand import Target
from callrouter.pool.planning.search import SURE, Search


@dataclass(frozen=True)
class Seen:
    share: float
    variance: float

    @property
    def spread(self) -> float:
        return self.share * (1 - self.share)

    def __add__(self, other: Seen) -> Seen:
        return Seen((self.share + other.share) / 2, (self.variance + other.variance) / 4)


class Optimist:
    """The formula that the search goes by: wrong calls fall as 30 / N."""

    def right(self, numbers: int) -> float:
        return max(0.0, 1 - 30 / numbers)

    def overflow(self, numbers: int) -> float:
        return 0.0 if numbers >= 120 else 0.5


@dataclass
class Pool:
    """The truth: some calls are wrong whatever the size, and the others more than the formula says."""

    worse: float = 1.3
    lost: float = 0.005
    noise: float = 0.0
    runs: int = 0
    seed: int = 0

    def right(self, numbers: int) -> float:
        return 1 - self.lost - self.worse * 30 / numbers

    async def measure(self, numbers: int, turn: int) -> Seen:
        self.runs += 1
        chance = random.Random(f"{self.seed}.{numbers}.{turn}").gauss(0, self.noise)
        return Seen(self.right(numbers) + chance, self.noise**2)


def found(
    pool: Pool, *, most: int = 100_000, guess: int = 1000, calls: float = 1e9, right: float = 0.97
) -> tuple[int | None, Search[Seen]]:
    search = Search(Optimist(), Target(right=right), pool.measure, calls=calls)
    return asyncio.run(search.smallest(120, guess, most)), search


def fewest(pool: Pool, right: float, calls: float) -> int:
    """What would be named if one measurement told the truth: so many that among the calls the target is met."""
    return next(
        numbers
        for numbers in range(120, 100_000)
        if pool.right(numbers) - SURE * math.sqrt(pool.right(numbers) * (1 - pool.right(numbers)) / calls) >= right
    )


@pytest.mark.parametrize(("worse", "lost"), [(1.0, 0.0), (1.3, 0.005), (2.0, 0.01), (0.7, 0.02)])
@pytest.mark.parametrize("guess", [200, 1000, 9000])
def test_the_fewest_numbers_are_found_within_a_few_percent_in_few_runs(worse: float, lost: float, guess: int) -> None:
    pool = Pool(worse, lost)
    exact = worse * 30 / (0.03 - lost)
    numbers, _ = found(pool, guess=guess)
    assert numbers is not None
    assert exact <= numbers <= exact * 1.08
    assert pool.runs <= 10


def test_what_it_names_reaches_the_target_although_measurements_are_uncertain() -> None:
    for seed in range(40):
        pool = Pool(noise=0.002, worse=1.0 + seed / 40)
        numbers, search = found(pool, calls=4000)
        assert numbers is not None
        right = pool.right(numbers)
        assert right - 1.5 * math.sqrt(right * (1 - right) / 4000) >= 0.97, "4,000 calls would show less too often"
        assert search.sizes[numbers].seeds >= 2


@pytest.mark.parametrize(("right", "noise"), [(0.8, 0.005), (0.9, 0.003), (0.95, 0.002), (0.97, 0.001)])
def test_uncertain_measurements_do_not_make_it_name_a_fifth_more_than_are_needed(right: float, noise: float) -> None:
    """As it did where a size had seemed to fail by its chance, and a larger one was taken for the next that passes."""
    exact = fewest(Pool(), right, 4000)
    for seed in range(60):
        pool = Pool(noise=noise, seed=seed)
        numbers, _ = found(pool, calls=4000, right=right, guess=round(1.6 * 30 / (1 - right)))
        assert numbers is not None
        assert numbers <= 1.25 * exact
        assert pool.right(numbers) >= right
        assert pool.runs <= 20


def test_a_target_out_of_reach_is_none() -> None:
    numbers, search = found(Pool(lost=0.04), most=5000)
    assert numbers is None
    assert search.sizes[5000].passes is False


def test_overflow_alone_may_decide() -> None:
    numbers, _ = found(Pool(worse=0.01, lost=0.0), guess=120)
    assert numbers == 120
