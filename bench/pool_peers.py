"""What the lease store's scripts are measured against: a script that does nothing, and the least possible."""

from __future__ import annotations

import hashlib

from callrouter.pool.scripts import Script


def peer(name: str, text: str) -> Script:
    return Script(name, text, hashlib.sha1(text.encode()).hexdigest())


NOOP = peer("noop", "return 1")
RECORD_BYTES = 150
"""Of a number, leased."""
FREE = "least:free"
"""Numbers for the least to take, by how long they have been free."""
LEAST_ALLOCATE = peer(
    "least_allocate",
    f"""
local call, P, record = redis.call, KEYS[1] .. 'least:', string.rep('r', {RECORD_BYTES})
call('TIME')
call('MGET', P .. 'v:' .. ARGV[7], P .. 's:' .. ARGV[4])
local n = call('ZPOPMIN', KEYS[1] .. '{FREE}')[1]
call('GET', P .. 'n:' .. n)
call('MSET', P .. 'n:' .. n, record, P .. 's:' .. ARGV[4], ARGV[9])
call('SET', P .. 'v:' .. ARGV[7], ARGV[4], 'PX', '60000')
call('ZADD', P .. 'due', ARGV[12], n)
call('XADD', P .. 'log', '*', 'V', ARGV[9], 'L', record)
return ARGV[4] .. n
""",
)
"""The clock; whether visitor and visit are known; the longest-free number, and who had it. Number, visit and visitor
are written, when the lease runs out, and both to the history."""
LEAST_RESOLVE = peer(
    "least_resolve",
    """
local call, P, n = redis.call, KEYS[1], ARGV[3]
call('TIME')
local found = call('MGET', P .. 'n:' .. n, P .. 'h:' .. n, P .. 'm:' .. ARGV[4])
local visit = call('GET', P .. 's:' .. ARGV[6])
call('SETRANGE', P .. 'least:' .. n, '0', ARGV[5])
return found[1] .. (found[2] or '') .. (found[3] or '') .. visit
""",
)
"""The clock; number, past leases and caller; a visit, which it is told as a sixth word; the call is noted."""
LEAST_RENEW = peer(
    "least_renew",
    """
local call, s = redis.call, KEYS[1] .. 's:' .. ARGV[4]
call('TIME')
call('SETRANGE', s, '0', call('GETRANGE', s, '0', '127'))
return 1
""",
)
"""The clock; the head of the visit, read and written."""
PEERS = (NOOP, LEAST_ALLOCATE, LEAST_RESOLVE, LEAST_RENEW)
