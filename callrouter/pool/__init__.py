"""Numbers and leases: which visitor sees which number, and which visit placed this call (rules §2 and §3).

Hits and signs of life come in from `callrouter.web`, calls from the router; visits, leases and resolutions go out. Live
state is in Redis or Valkey, one hash slot per pool; what happened goes from there to Postgres.

Pure:
- `model`             numbers, leases and attribution, as data
- `attribution`       weighs the evidence of a call and credits a visit; its odds come from `delay`
- `directory`         what a number is and whose site it serves, in memory
- `holding`           who held a number, out of live state and history
- `leaks`             which numbers are called although nobody was shown them
- `keys`, `live`, `entries`   names in Redis, replies of the scripts, entries of a pool's log

With servers:
- `scripts/`          the operations in Lua, one script and one round trip each
- `store`             calls them; `connect` opens the client, `coalesce` lets questions travel together
- `resolver`          number + caller + time → resolution, live; `late` the same from history
- `directory_source`  keeps the directory current
- `history`           a pool's log → Postgres (`history_rows`), exactly once and in order
- `retention`         deletes history that is old; `leak_search` looks for leaks in it
- `sweeper`           ends what has run out, loads numbers, measures the pools
- `loading`           loads numbers when it is time, and notices when the store has lost them
- `lost`              leases that the store lost: ends them in the history
- `simulation`        a world in which the truth is known, with the real leases and attribution at work in it
- `inventory`, `site_inventory`, `number_inventory` (its files: `number_file`), `holders`
                      the operator's view: what there is, numbers in and out, who held a number when
- `timeline`          what happened to a number (`timeline_picture` draws it), `sight` a look at it in the store
- `planning/`         how many numbers a pool needs, by formula and simulation; whether a live pool still is as planned
"""
