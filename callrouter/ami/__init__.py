"""Everything that touches Asterisk's sockets, and the captures of what came through them. Knows no calls and no visits.

Events go out as plain dicts, in order and without waiting, to whoever follows the calls; questions of the dialplan go
out as `AgiRequest`s to whoever can answer them, and are answered within their deadline whatever happens.

- `wire`             bytes → events, actions → bytes; chooses events before parsing them (pure)
- `protocol`, `connection`   one lasting manager connection, on panoramisk; `snapshot` what is asked after each login
- `agi_wire`, `dialplan`     what Asterisk asks and how values are made safe for it (pure)
- `fastagi`          the dialplan's door, on Twisted; `native_endpoint` the event loop's own TCP under it
- `ari`              the other door: `Stasis(callrouter)`
- `record`, `anonymise`, `capture`   captures: written from a live PBX, made nameless, read
- `backoff`, `metrics`       waiting between attempts; what is counted
"""
