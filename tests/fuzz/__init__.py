"""Readers of what comes from outside (AMI, AGI, ARI, CEL) against inputs that nobody would write.

- `readers`   what is done with an input, and what must hold of it, whatever it is
- `inputs`    seeds (real streams of tests/captures, the kept corpus) and what becomes of them
- `corpus/`   one folder a reader: inputs by hand, and those that found a fault once, under `found-…`

`make test` replays the corpus and tries new inputs for some seconds, `make fuzz ARGS="--seconds 600"` for longer.
"""
