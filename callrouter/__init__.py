"""Open, self-hosted call tracking beside an Asterisk PBX.

    visitor's page ─▶ web ─▶ sessions ─▶ pool ─▶ Redis/Valkey (leases, live visits)
    Asterisk ─FastAGI/ARI─▶ router ─resolve─▶ pool        │ ended leases, visits
       └──────AMI events──▶ ami ─▶ calls ─▶ appeals ─▶ journal ─▶ Postgres

`calls` and the rules in `pool`, `sessions` and `appeals` are pure functions of data; `router`, `web` and `worker` wire
them to servers. An import contract (pyproject.toml) keeps it so.
"""

__version__ = "0.1.0"
