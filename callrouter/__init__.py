"""Open, self-hosted call tracking beside an Asterisk PBX.

    visitor's page ─▶ web ─▶ sessions ─▶ pool ─▶ Redis/Valkey (leases, live visits)
    Asterisk ─FastAGI/ARI─▶ router ─resolve─▶ pool        │ ended leases, visits
       └──────AMI events──▶ ami ─▶ calls ─▶ appeals ─▶ journal ─▶ Postgres

- `ami` attaches to Asterisk, `calls` tells what happened in a call, `appeals` keeps the journal of finished ones
- `pool` has numbers, leases and who called, `sessions` visits, `web` the visitors' endpoint, `db` the schema
- `router`, `web.serve`, `worker` are the processes; `desk`, `pbx`, `regulars` are what a router is made of
- `config`, `configfile`, `reach` are the configuration; `ops`, `probe`, `log`, `background`, `clock` serve any process
- `lab` has a PBX, phones and servers to try with; `demo` is everything at once; `cli` and `commands` the command line

`calls` and the rules in `pool`, `sessions` and `appeals` are pure functions of data; `router`, `web` and `worker` wire
them to servers. An import contract (pyproject.toml) keeps it so.
"""

__version__ = "0.1.0"
