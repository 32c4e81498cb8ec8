"""Metrics of reports."""

from __future__ import annotations

from prometheus_client import Histogram

BUCKETS = (0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 15)

add_up_seconds = Histogram(
    "callrouter_reports_add_up_seconds",
    "Time to add up days of an account, or stretches of the present one, by part.",
    ["part"],
    buckets=BUCKETS,
)
report_seconds = Histogram(
    "callrouter_reports_seconds", "Time to answer a report, from sums of days or from rows.", ["source"],
    buckets=BUCKETS,
)  # fmt: skip
