"""What happened in a call: AMI events → channel and bridge graph → call record (rules §1 in docs/concepts/rules.md).

Pure: no I/O, no clock, no globals; the same events give the same records. Events come in from `callrouter.ami` (a live
connection or a capture); records go out to `callrouter.appeals`.

An event enters by `tracker`, which hands it to the room that knows its kind; the room moves channels in the `graph` and
notes facts in the call's `story`, with the policy of `state`; when the call is over `interpret` makes the record of it.

- `tracker`    the door: which event goes where, what comes out, how memory is bounded
- `channels`   made, renamed, hung up; variables; steps of the dialplan
- `dials`      Dial() and Queue(): ringing, groups, agents
- `talks`      bridges, Local pairs, hold, transfers, pickup
- `attach`     logins, restarts and the lists of what goes on already
- `state`      a call's life: begins, gets its customer, merges, ends; who hears whom
- `graph`      channels and bridges at this moment
- `story`      the facts of one call so far
- `interpret`  facts → record: status, lost reason, times, steps
- `parties`    names: trunks, extensions, agents, numbers dialled
- `times`      PBX time
- `phases`     what a customer hears after a step, in words
- `events`     what the tracker tells: CallStarted, CallEnded, LiveCall
- `record`     what a call is: the result, frozen
- `profile`    what must be known of a PBX's dialplan
- `replay`     a capture → its records
"""
