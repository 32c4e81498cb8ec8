-- End what has run out and nobody touched. ARGV[4]: how many leases, and how many visits, at most.
-- Returns leases ended, visits ended; as many as allowed means that there may be more.

local limit = tonumber(ARGV[4])
local leases = reclaim(limit)
local over = redis.call('ZRANGEBYSCORE', P .. 'live', '-inf', ms(now), 'LIMIT', 0, limit)
for _, session in ipairs(over) do
  local f = redis.call('HMGET', key('s:', session), 'v', 'a', 'w', 'z', 'n', 'pg', 'ti', 'b')
  if f[1] then
    log('t', 'X', 's', session, 'v', f[1], 'a', f[2], 'w', f[3], 'b', f[8], 'at', f[4], 'i', f[5], 'pg', f[6], 'ti', f[7])
  end
  redis.call('ZREM', P .. 'live', session)
end
return {leases, #over}
