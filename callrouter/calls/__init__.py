"""What happened in a call: AMI events → channel and bridge graph → call record (rules §1 in docs/concepts/rules.md).

Pure: no I/O, no clock, no globals; the same events give the same records. Events come in from `callrouter.ami` (a live
connection or a capture); records go out to `callrouter.appeals`.

- `record`   what a call is: the result, frozen
"""
