-- A session gives its number back. ARGV[4]: session. Returns the number, or '' if it held none.

local number = redis.call('HGET', key('s:', ARGV[4]), 'num')
if not number or number == '' then return '' end
redis.call('HSET', key('s:', ARGV[4]), 'num', '')
local f = number_of(number)
if not f or f.st ~= 'L' or f.s ~= ARGV[4] then return '' end
if f.e <= now then
  end_lease(f, f.e, 'expired')
  return ''
end
end_lease(f, now, 'released')
return number
