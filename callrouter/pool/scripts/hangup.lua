-- A call on a number has ended: nobody else gets it before people had time to call back.
-- ARGV[4..]: number, call id, hold in ms, longest life of a call in ms. Returns 1 if the number is of this pool.

local number, call, hold, longest = ARGV[4], ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
local ckey = key('c:', number)
redis.call('HDEL', ckey, call)
-- Calls whose end was never told would pin the number for as long as others come in.
local open = redis.call('HGETALL', ckey)
for i = 1, #open, 2 do
  if tonumber(open[i + 1]) + longest < now then redis.call('HDEL', ckey, open[i]) end
end
local f = number_of(number)
if not f then return 0 end
if redis.call('HLEN', ckey) > 0 then return 1 end
f.p = now + hold
redis.call('HSET', key('n:', number), 'p', ms(f.p))
if f.st == 'F' then offer(f) end
return 1
