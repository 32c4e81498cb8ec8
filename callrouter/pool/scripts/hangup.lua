-- A call on a number has ended: nobody else gets it before people had time to call back.
-- ARGV[4..]: number, call id, hold in ms. Returns 1 if the number is of this pool.

local number, call, hold = ARGV[4], ARGV[5], tonumber(ARGV[6])
local ckey = key('c:', number)
redis.call('HDEL', ckey, call)
local f = number_of(number)
if not f then return 0 end
if redis.call('HLEN', ckey) > 0 then return 1 end
f.p = now + hold
redis.call('HSET', key('n:', number), 'p', ms(f.p))
if f.st == 'F' then offer(f) end
return 1
