-- A call on a number has ended: nobody else gets it before people had time to call back.
-- ARGV[4..]: number, call id, hold in ms, longest life of a call in ms. Returns 1 if the number is of this pool.

local f = number_of(ARGV[4])
if not f then return 0 end
local left, at = '', 1
while at <= #f[CALLS] do
  local id, began, _, following = open(CALL_FORMAT, f[CALLS], at)
  if id ~= ARGV[5] and began >= now - ARGV[7] then left = left .. sub(f[CALLS], at, following - 1) end
  at = following
end
f[CALLS] = left
if f[CALLS] == '' then f[PIN] = now + tonumber(ARGV[6]) end
call('SET', P .. 'n:' .. ARGV[4], number_record(f), 'KEEPTTL')
if f[ST] == 'F' then call('ZADD', P .. 'due', 'XX', 'LT', offered_from(f), ARGV[4]) end
return 1
