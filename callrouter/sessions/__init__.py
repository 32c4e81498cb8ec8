"""Visitors and visits: where a visit came from, what it saw, when it ended (rules §4).

- `model`   visit and traffic source, as data
"""
