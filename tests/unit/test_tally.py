"""Sums kept by ourselves look to Prometheus like the library's."""

from __future__ import annotations

from prometheus_client import REGISTRY, CollectorRegistry, Histogram, generate_latest

from callrouter.tally import TallyCounter, TallyHistogram

BOUNDS = (0.001, 0.01, 0.1, 1.0)


def lines(text: bytes, name: str) -> list[str]:
    kept = (line for line in text.decode().splitlines() if line.startswith((name, f"# HELP {name}", f"# TYPE {name}")))
    return sorted(line for line in kept if "_created" not in line)


def test_a_histogram_reads_like_the_librarys() -> None:
    ours = TallyHistogram("tally_example_seconds", "Example.", BOUNDS, "door")
    registry = CollectorRegistry()
    theirs = Histogram("tally_example_seconds", "Example.", ["door"], buckets=BOUNDS, registry=registry)
    for seconds in (0.0, 0.001, 0.0011, 0.5, 1.0, 7.0):
        ours.labels("agi").observe(seconds)
        theirs.labels("agi").observe(seconds)
    told = lines(generate_latest(REGISTRY), "tally_example_seconds")
    assert told == lines(generate_latest(registry), "tally_example_seconds")
    assert 'tally_example_seconds_bucket{door="agi",le="0.001"} 2.0' in told
    REGISTRY.unregister(ours)


def test_a_counter_counts_by_label() -> None:
    counter = TallyCounter("tally_example_total", "Example.", "kind")
    for kind in ("ok", "ok", "late"):
        counter.inc(kind)
    assert REGISTRY.get_sample_value("tally_example_total", {"kind": "ok"}) == 2
    assert REGISTRY.get_sample_value("tally_example_total", {"kind": "late"}) == 1
    REGISTRY.unregister(counter)
