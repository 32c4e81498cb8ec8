"""Benchmarks: each module measures ours against a peer in the same run and returns rows. `python -m bench` runs all."""
