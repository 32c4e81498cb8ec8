"""Chaos: calls go on while parts of the product are killed, frozen, slowed or cut off in turn, as a seed says.

    schedule ──▶ run ──▶ faults ──▶ stage ◀── crowd
                  └────────────────▶ verdict ──▶ a table

- `schedule`: which fault comes when, and for how long; a function of the seed (pure).
- `stage`: the running product with cables between its parts, so that any of them can be cut off.
- `faults`: each fault as a context: it is there inside, and mended after.
- `crowd`: visitors who come to the sites and call, by SIPp; what they and the employees then did.
- `verdict`: appeals held against the phones and the PBX's own record, fault by fault (pure).
- `run`: all of it, from the start of the servers to the verdict.

In: a seed, minutes, calls a second. Out: what is wrong, call by call. Nothing is staged: real servers, real calls.
"""
