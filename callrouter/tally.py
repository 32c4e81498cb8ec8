"""Counters and histograms for paths on which a caller waits: plain sums, shown to Prometheus when it asks.

The library's own take a lock for each observation, which costs more than many a step that is measured by it. These are
for one thread, the event loop's. Knows no metric of ours.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import accumulate

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector


class TallyCounter(Collector):
    """A counter by one label."""

    def __init__(self, name: str, documentation: str, label: str, known: Iterable[str] = ()) -> None:
        self._named = (name, documentation, label)
        self.counts: dict[str, int] = dict.fromkeys(known, 0)
        REGISTRY.register(self)

    def inc(self, value: str) -> None:
        self.counts[value] = self.counts.get(value, 0) + 1

    def collect(self) -> Iterator[CounterMetricFamily]:
        name, documentation, label = self._named
        family = CounterMetricFamily(name, documentation, labels=[label])
        for value, count in list(self.counts.items()):
            family.add_metric([value], count)
        yield family


class Durations:
    """The observations under one label value."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(self._bounds, seconds)] += 1
        self.total += seconds


class TallyHistogram(Collector):
    """A histogram of durations, by one label or none."""

    def __init__(self, name: str, documentation: str, bounds: tuple[float, ...], label: str | None = None) -> None:
        self._named = (name, documentation, [label] if label else [])
        self._bounds = bounds
        self._children: dict[tuple[str, ...], Durations] = {}
        REGISTRY.register(self)

    def labels(self, *values: str) -> Durations:
        return self._children.setdefault(values, Durations(self._bounds))

    def collect(self) -> Iterator[HistogramMetricFamily]:
        name, documentation, labels = self._named
        family = HistogramMetricFamily(name, documentation, labels=labels)
        bounds = [*map(str, self._bounds), "+Inf"]
        for values, child in list(self._children.items()):
            buckets = list(zip(bounds, accumulate(map(float, child.counts)), strict=True))
            family.add_metric(list(values), buckets, child.total)
        yield family
