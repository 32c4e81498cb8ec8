"""Postgres: its schema and how to connect to it. Knows tables, knows no rule of the domain.

- `migrations/`  the schema, as numbered plain SQL files (conventions at the head of the first)
- `migrate`      brings a database to this version's schema; safe twice and from two processes at once
- `connect`      connection pools with our codecs; transactions that see one account only; retry after a lost connection
"""
