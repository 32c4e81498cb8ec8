"""A world in which the truth is known, and the real pool and attribution at work in it.

`world` holds the parameters of a world, `spread` the distributions they speak in. `visitors`, `browsing` and `calling`
draw from them who comes, looks and calls (all pure and seeded). `runner` lets that happen to a real lease store by a
virtual clock and asks its `judges` who called; `truth` knows who it was; `report` counts how often they were right.
"""
