"""The appeal: a call record enriched with the visit behind it; journalled on disk, published to Postgres.

- `model`   the appeal as data
"""
