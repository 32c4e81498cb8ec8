"""Metrics of the journal and of publishing. No label carries a number, a name or an account."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

journalled = Counter("callrouter_appeals_journalled", "Appeals made durable in the local journal.")
journal_bytes = Gauge(
    "callrouter_journal_backlog_bytes", "Bytes in the local journal that are not yet published to Postgres."
)
journal_write_failures = Counter(
    "callrouter_journal_write_failures", "Attempts to write the local journal that the disk refused; each is repeated."
)
journal_damaged_bytes = Counter(
    "callrouter_journal_damaged_bytes",
    "Bytes of the journal that no whole record covers, as a crash leaves at the end.",
)
dead_letters = Counter(
    "callrouter_appeals_dead_letters", "Appeals that could not be published and were set aside in dead-letters.jsonl."
)
published = Counter("callrouter_appeals_published", "Appeals written to Postgres, by what became of them.", ["outcome"])
publish_lag = Gauge(
    "callrouter_appeals_publish_lag_seconds",
    "How long ago the oldest call ended whose appeal is not yet in Postgres; 0 when none waits.",
)
publish_seconds = Histogram(
    "callrouter_appeals_publish_seconds",
    "Time from reading a batch of appeals to its commit in Postgres.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
publish_failures = Counter(
    "callrouter_appeals_publish_failures",
    "Attempts to publish a batch that failed and are repeated, by kind.",
    ["kind"],
)
settled = Counter(
    "callrouter_appeals_settled", "Appeals attributed from the lease history after they had been published as pending."
)
pending = Gauge(
    "callrouter_appeals_attribution_pending", "Published appeals that wait for the lease history to reach their call."
)
