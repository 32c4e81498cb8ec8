"""What the attachment to Asterisk counts. One label `pbx`, whose values are the configured names."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from callrouter.tally import TallyCounter, TallyHistogram

AMI_UP = Gauge(
    "callrouter_ami_up",
    "1 while logged in to this Asterisk's manager interface; none while callbacks need it not",
    ["pbx"],
)
AMI_BYTES = Counter("callrouter_ami_received_bytes", "Bytes received from the manager interface", ["pbx"])
AMI_EVENTS = Counter("callrouter_ami_events", "Manager events delivered to the call tracker", ["pbx"])
AMI_BLOCKS = Counter("callrouter_ami_blocks", "Manager messages seen, including those skipped unparsed", ["pbx"])
AMI_LOST = Counter(
    "callrouter_ami_connections_lost", "Manager connections lost or refused, by reason", ["pbx", "reason"]
)
AMI_ODD = Counter(
    "callrouter_ami_odd",
    "Things a manager connection should not show: oversized, undecodable or malformed messages, answers nobody awaits, "
    "actions without an answer, consumers that failed",
    ["pbx", "kind"],
)
AMI_PING = Histogram(
    "callrouter_ami_ping_seconds",
    "Time Asterisk took to answer a ping on the manager interface",
    ["pbx"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
AMI_LAG = Gauge(
    "callrouter_ami_lag_seconds",
    "Age of the newest event when it was read, by its Timestamp (needs timestampevents=yes and equal clocks)",
    ["pbx"],
)

RESOLVE = TallyHistogram(
    "callrouter_resolve_seconds",
    "From a complete question of the dialplan to the answer written to it",
    (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 1.0),
    "door",
)
AGI_REQUESTS = TallyCounter(
    "callrouter_agi_requests", "FastAGI questions, by how they ended", "status", ("ok", "unattributed", "late", "error")
)
AGI_OPEN = Gauge("callrouter_agi_connections", "FastAGI connections open now")

ARI_UP = Gauge("callrouter_ari_up", "1 while connected to this Asterisk's ARI", ["pbx"])
ARI_REQUESTS = Counter(
    "callrouter_ari_requests", "Calls handed over through ARI, by how they were answered", ["status"]
)
ARI_LOST = Counter("callrouter_ari_connections_lost", "ARI connections lost or refused, by reason", ["pbx", "reason"])
