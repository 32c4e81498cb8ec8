-- A call on a number has ended: nobody else gets it before people had time to call back.
-- ARGV[4..]: number, call id, hold in ms, longest life of a call in ms. Returns 1 if the number is of this pool.

local f = number_of(ARGV[4])
if not f then return 0 end
local longest, still = tonumber(ARGV[7]), {}
-- Calls whose end was never told would pin the number for as long as others come in.
for id, started in pairs(f[CALLS] ~= '' and f[CALLS] or still) do
  if id ~= ARGV[5] and started + longest >= now then still[id] = started end
end
f[CALLS] = next(still) and still or ''
if f[CALLS] == '' then f[PIN] = now + tonumber(ARGV[6]) end
call('SET', P .. 'n:' .. ARGV[4], pack(unpack(f, 1, PAST)), 'KEEPTTL')
if f[ST] == 'F' then call('ZADD', P .. 'due', 'XX', 'LT', offered_from(f), ARGV[4]) end
return 1
