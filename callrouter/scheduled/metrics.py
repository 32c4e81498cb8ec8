"""What is counted of reports that are sent."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

SENDINGS = Counter("callrouter_report_sendings_total", "Scheduled reports by what became of each sending.", ["state"])
WRITE_SECONDS = Histogram(
    "callrouter_report_write_seconds", "Time to count and write a scheduled report.",
    buckets=(0.05, 0.2, 0.5, 1, 2, 5, 15, 30),
)  # fmt: skip
