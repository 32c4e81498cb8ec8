-- A sign of life. ARGV[4..]: session, request, hold, visit time-out, a new page (1/0), page, title, closed (1/0).
-- Returns outcome, number, lease expires, pages, now. Outcomes: live; bare (a visit without a number); lost (the number
-- has gone: ask again for one); over (the visit has ended: begin a new one).

local session, request, hold, timeout = ARGV[4], ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
local new_page, page, title, closed = ARGV[8], ARGV[9], ARGV[10], ARGV[11]
local skey = key('s:', session)
local f = redis.call('HMGET', skey, 'z', 'n', 'num', 'v', 'a', 'w', 'r', 'c', 'b')
if not f[1] or now >= tonumber(f[1]) + timeout then return {'over', '', '0', 0, ms(now)} end

local pages = tonumber(f[2])
if new_page == '1' and f[7] ~= request then
  pages = pages + 1
  redis.call('HSET', skey, 'n', pages, 'pg', page, 'ti', title, 'r', request)
  log('t', 'P', 's', session, 'v', f[4], 'a', f[5], 'w', f[6], 'b', f[9], 'at', ms(now), 'i', pages, 'pg', page, 'ti', title)
end
redis.call('HSET', skey, 'z', ms(now), 'c', closed)
if closed == '1' and f[8] ~= '1' then
  log('t', 'U', 's', session, 'v', f[4], 'a', f[5], 'w', f[6], 'b', f[9], 'at', ms(now), 'i', pages, 'c', closed)
end
touch_visit(session, timeout)

if f[3] == '' then return {'bare', '', '0', pages, ms(now)} end
local n = number_of(f[3])
if not n or n.st ~= 'L' or n.s ~= session then return {'lost', '', '0', pages, ms(now)} end
if n.e <= now then
  end_lease(n, n.e, 'expired')
  return {'lost', '', '0', pages, ms(now)}
end
local expires = n.e
if now + hold > expires then expires = now + hold end
redis.call('HSET', key('n:', n.n), 'z', ms(now), 'e', ms(expires), 'c', closed)
redis.call('ZADD', P .. 'exp', ms(expires), n.n)
if closed == '1' then
  redis.call('ZADD', P .. 'shut', ms(expires), n.n)
elseif n.c == '1' then
  redis.call('ZREM', P .. 'shut', n.n)
end
return {'live', n.n, ms(expires), pages, ms(now)}
