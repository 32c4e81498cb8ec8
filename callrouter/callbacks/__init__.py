"""Callback orders as rules: what a site sets, when an order is due, whom it may dial, and how its call is known.

Pure: no I/O. Orders come in from pages (`callrouter.web.visitor.callbacks`), stand in Postgres (`appeals.orders`) and
are carried out by the router of the PBX (`callrouter.caller`).

- `settings`   what a site sets
- `due`        when an order is due, and until when it may be dialled
- `dialable`   whom a stranger may have called at the site's cost
- `line`       the call of an order: its id on the PBX, and what is asked of Asterisk
"""
