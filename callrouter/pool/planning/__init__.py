"""How many numbers a pool needs, and whether a live pool still is as it was planned.

Pure:
- `erlang`     Erlang-B and the rules of thumb
- `reuse`      the first answer by a formula: when a number is leased again, and what that costs
- `demand`     what is planned for: traffic, callers, hold, window, target
- `search`     which sizes to measure, and which one passes
- `recording`, `probe`   who held what when in a run, and calls tried on it
- `drift`      has a live pool left its plan?
- `sizes`      the default world's size, written down

With servers:
- `measure`    one size: a small run of the simulation with many calls tried on it
- `plan`       puts them together; `words` and `picture` show it
- `kept`       does the plan hold, in whole worlds of other people?
- `measured`   demand from what a pool's sites saw, in Postgres
- `plans`      plans kept in Postgres; `watch` compares live pools with them, told by the sweeper
"""
