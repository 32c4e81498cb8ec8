"""Soak: a great many real calls at the highest rate that Asterisk holds, with callrouter and without it.

    office ──▶ run ──▶ verdict
                └────▶ ramp

- `office`: an Asterisk with employees enough, all played by SIPp: extensions, queues, transfers.
- `ramp`: which rate is held; a search by trying (pure).
- `verdict`: what came of each call against what was planned, and whether memory stays (pure).
- `run`: the ramp without callrouter, the ramp with it, then all the calls, and what they leave.

In: how many calls. Out: both rates, missing and extra appeals, wrong fields, memory.
"""
