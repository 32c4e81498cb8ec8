"""What a pool tells Prometheus. No label holds a number, a session or anything else without bounds."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from callrouter.tally import TallyCounter, TallyHistogram

ALLOCATIONS = Counter(
    "callrouter_pool_allocations_total",
    "Hits by outcome: kept (had a number), leased, overflow (pool empty), none (no number wanted), foreign (refused).",
    ["outcome"],
)
RENEWALS = Counter(
    "callrouter_pool_renewals_total",
    "Signs of life by outcome: live, bare (visit without number), lost (its number has gone), over (visit has ended).",
    ["outcome"],
)
RESOLUTIONS = TallyCounter(
    "callrouter_pool_resolutions_total",
    "Calls resolved by the rule that decided: static, holder, caller_memory, last_holder, unattributed.",
    "method",
    ("static", "holder", "caller_memory", "last_holder", "unattributed"),
)
PROVISIONAL = Counter(
    "callrouter_pool_provisional_resolutions_total",
    "Calls that are nobody's as far as the lease store remembers, which may have lost it: the history is asked.",
)
RESOLVE_SECONDS = TallyHistogram(
    "callrouter_pool_resolve_seconds",
    "Time from asking the lease store about a call to its answer, waiting included.",
    (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 1.0),
).labels()
STORE_FAILURES = Counter(
    "callrouter_pool_store_failures_total",
    "Operations that the lease store did not answer, by the kind of failure.",
    ["kind"],
)
POOL_NUMBERS = Gauge(
    "callrouter_pool_numbers",
    "Numbers by pool and state: leased, free (resting and pinned ones included), disabled.",
    ["pool", "state"],
)
RESTED_SECONDS = Histogram(
    "callrouter_pool_rested_seconds",
    "How long a number had been free when it was leased (quarantine); numbers never leased before do not count.",
    ["pool"],
    buckets=(60, 300, 900, 1800, 3600, 7200, 14400, 28800, 86400, 259200),
)
RESTED_LATEST = Gauge(
    "callrouter_pool_rested_latest_seconds", "The same of the number that this process leased last.", ["pool"]
)
POOL_OVERFLOWS = Counter(
    "callrouter_pool_overflows_total",
    "Hits that wanted a number when no pool of the site had one, by its first pool.",
    ["pool"],
)
POOL_PLANNED = Gauge(
    "callrouter_pool_planned_numbers",
    "Numbers that the pool's plan in force asks for (callrouter pool plan --save).",
    ["pool"],
)
POOL_OVERFLOW_SHARE = Gauge(
    "callrouter_pool_overflow_ratio",
    "Of the last hour's visits that wanted a number: those that found none. Measured of pools that have a plan.",
    ["pool"],
)
POOL_FREE_SECONDS = Gauge(
    "callrouter_pool_longest_free_seconds",
    "How long the number that is free longest has rested (quarantine age); 0 while none is free.",
    ["pool"],
)
POOL_DRIFT = Gauge(
    "callrouter_pool_drift",
    "1 where the pool has left its plan, by what: numbers, occupancy, rest, overflow.",
    ["pool", "kind"],
)
POOL_BACKLOG = Gauge(
    "callrouter_pool_history_backlog_entries", "Entries of a pool's log that history has not taken yet.", ["pool"]
)
OF_A_POOL = (POOL_NUMBERS, POOL_PLANNED, POOL_OVERFLOW_SHARE, POOL_FREE_SECONDS, POOL_DRIFT, POOL_BACKLOG)
"""What the worker measures again and again."""
HISTORY_ENTRIES = Counter(
    "callrouter_pool_history_entries_total", "Entries of the pools' logs written to Postgres, by kind.", ["kind"]
)
HISTORY_REFUSED = Counter(
    "callrouter_pool_history_refused_total",
    "Entries of the pools' logs that Postgres would not take; each is logged as HISTORY-REFUSED and set aside.",
)
HISTORY_LAG_SECONDS = Gauge(
    "callrouter_pool_history_lag_seconds", "Age of the oldest entry seen in the last round over all pools' logs."
)
LIVE_STATE_LOST = Counter(
    "callrouter_pool_live_state_lost_total",
    "Times that a pool was found without the numbers that it had been loaded with.",
)
LEASES_LOST = Counter(
    "callrouter_pool_leases_lost_total",
    "Leases ended in the history because the lease store had lost them: how they ended is not known.",
)
LEASES_FORGOTTEN = Counter(
    "callrouter_pool_leases_forgotten_total", "Leases deleted from the history because they ended long ago."
)
VISITS_FORGOTTEN = Counter(
    "callrouter_pool_visits_forgotten_total", "Visits deleted because their site keeps them no longer."
)
ORDERS_FORGOTTEN = Counter(
    "callrouter_pool_orders_forgotten_total",
    "Callback orders whose phone was forgotten because their site keeps it no longer.",
)
LEAKED_NUMBERS = Gauge(
    "callrouter_pool_leaked_numbers", "Pool numbers that are called although no visitor was shown them, by last search."
)
SWEPT = Counter("callrouter_pool_swept_total", "Ended by the sweeper rather than in passing, by kind.", ["kind"])
DIRECTORY_READ_AT = Gauge(
    "callrouter_directory_read_timestamp_seconds", "When numbers, pools and sites were last read from Postgres."
)
DIRECTORY_NUMBERS = Gauge("callrouter_directory_numbers", "Numbers known to this process.")


def forget_pool(pool: int) -> None:
    """Of a pool that was removed, what was measured last would stand, and alarm, for ever."""
    for gauge in OF_A_POOL:
        gauge.remove_by_labels({"pool": str(pool)})
