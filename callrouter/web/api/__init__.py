"""The operator's API, `/api/v1`: what programs ask, with a bearer token, each account its own rows only.

- `tokens`    bearer tokens in Postgres: made, listed, revoked, looked up by hash
- `access`    a request's token → who asks and what he may; wrong tokens are slowed down
- `reading`   a connection that sees what the asker may see, and no more
- `asked`     numbers, times and cursors as they come in a URL
- `leases`    who held a number when, and its timeline
- `leaks`     numbers that are called although nobody was shown them
- `steps`     what happened in a call, moment by moment; `step_picture` draws it
- `reconciliations`  what comparing the appeals with the PBXs' own records found
- `routes`    the router and its OpenAPI description; `examples` for it

A new resource is a module whose function takes `Access` and `Reading` and returns handlers; `web.app` names it.
"""
