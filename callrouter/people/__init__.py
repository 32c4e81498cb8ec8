"""The people who work with callrouter: who they are, how they sign in, what they may do, and what they did.

- `roles`             what each role may do, as one table (pure)
- `model`             who asks: a person with a browser, or a program with a token (pure)
- `passwords`         argon2, and which passwords are refused
- `tries`             who guesses is slowed down, and nobody else (pure)
- `users`             users in Postgres: added, changed, disabled
- `browser_sessions`  signed-in browsers in Postgres: found by their cookie, renewed, ended
- `audit`             who saw or changed what: its words, written and read
- `accounts`          what is set for an account
- `repeats`           writes that are told twice and done once
- `forgetting`        what is over, removed by the worker

Knows no HTTP: cookies, forms and status codes are `web`'s.
"""
