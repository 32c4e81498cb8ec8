-- End what has run out and nobody touched. ARGV[4]: how many numbers, and how many visits, to look at.
-- Returns leases ended, visits ended, and how many were looked at of whichever were more: if as many as allowed, there
-- may be more.

local limit = tonumber(ARGV[4])
local looked, leases = reclaim(limit)
local over, ended = call('ZRANGEBYSCORE', P .. 'live', '-inf', now, 'LIMIT', '0', limit), 0
for _, session in ipairs(over) do
  local visit = visit_of(session)
  if visit and now < visit[V_Z] + visit[V_GAP] then
    call('ZADD', P .. 'live', visit[V_Z] + visit[V_GAP], session)
  else
    call('ZREM', P .. 'live', session)
    if visit then
      call('XADD', P .. 'log', '*', 'X', visit_record(visit), 's', session)
      ended = ended + 1
    end
  end
end
return {leases, ended, looked > #over and looked or #over}
