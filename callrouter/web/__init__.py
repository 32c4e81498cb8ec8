"""The HTTP side: what visitors' pages call, and what operators will. Knows HTTP; decides nothing about leases.

- `app`        the ASGI application, put together from its services
- `operation`  /health, /ready, /metrics
- `outbox`     what visitors send: on disk first, then in Postgres
- `problem`    refusals as RFC 9457 problem documents
- `serve`      the application in granian, one process or several
- `visitor/`   the page's calls: visit and alive
- `widget/`    the script that makes them
"""
