-- A hit of a visitor: continue his visit or begin a new one, and see that it has a number if it wants one.
-- ARGV[4..]: proposed session (also names the request: asking twice is asking once), site, account, visitor, campaign
-- signature, facts of the first hit, page, title, hold, visit time-out, wants a number (1/0), policy when the pool is
-- empty (fallback/nearest_end), minimum age of a lease that may be taken, ms a visitor is remembered, rest
-- after this lease, counts as a page (1/0).
-- Returns outcome, session, 1 if the visit is new, number, lease, lease expires, visit started, pages, now.
-- Outcomes: kept, leased, overflow, none (no number wanted), foreign (the session is another visitor's).

local asked, site, account, visitor, campaign = ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local facts, page, title = ARGV[9], ARGV[10], ARGV[11]
local hold, timeout, wants, policy = tonumber(ARGV[12]), tonumber(ARGV[13]), ARGV[14], ARGV[15]
local young, memory = tonumber(ARGV[16]), tonumber(ARGV[17])
local vkey = P .. 'v:' .. site .. ':' .. visitor
local known = redis.call('HMGET', vkey, 's', 'n')
local RECLAIM_AT_ONCE = 16

local function visit_of(session)
  local f = redis.call('HMGET', key('s:', session), 'v', 'w', 'b', 'z', 'n', 'num', 'g', 'r', 'q', 'pg')
  if not f[1] then return nil end
  return {s = session, v = f[1], w = f[2], b = tonumber(f[3]), z = tonumber(f[4]), n = tonumber(f[5]), num = f[6],
          g = f[7], r = f[8], q = tonumber(f[9]), pg = f[10]}
end

-- Which visit is this? A repeated request's own, else the visitor's latest, unless it is over or a new campaign came.
local visit, is_new = visit_of(asked), 0
if visit and (visit.v ~= visitor or visit.w ~= site) then return {'foreign'} end
if not visit and known[1] then
  local latest = visit_of(known[1])
  if latest and now < latest.z + timeout and (campaign == '' or campaign == latest.g) then visit = latest end
end

local previous = known[1]
if not visit then
  is_new = 1
  visit = {s = asked, v = visitor, w = site, b = now, z = now, n = 1, num = '', g = campaign, r = asked, q = 0}
  redis.call('HSET', key('s:', asked), 'f', facts, 'a', account, 'w', site, 'v', visitor, 'b', ms(now), 'z', ms(now),
             'n', 1, 'pg', page, 'ti', title, 'num', '', 'g', campaign, 'r', asked, 'q', 0, 'o', 0)
  log('t', 'V', 's', asked, 'v', visitor, 'a', account, 'w', site, 'at', ms(now), 'f', facts, 'pg', page, 'ti', title)
elseif ARGV[19] == '1' and visit.r ~= asked and visit.s ~= asked then
  visit.n, visit.z, visit.r = visit.n + 1, now, asked
  redis.call('HSET', key('s:', visit.s), 'z', ms(now), 'n', visit.n, 'pg', page, 'ti', title, 'r', asked)
  log('t', 'P', 's', visit.s, 'v', visitor, 'a', account, 'w', site, 'b', ms(visit.b), 'at', ms(now), 'i', visit.n, 'pg', page, 'ti', title)
else
  visit.z = now
  redis.call('HSET', key('s:', visit.s), 'z', ms(now))
end
touch_visit(visit.s, timeout)
redis.call('HSET', vkey, 's', visit.s)
redis.call('PEXPIRE', vkey, ms(memory))

local function answer(outcome, number, lease, expires)
  return {outcome, visit.s, is_new, number, lease, ms(expires), ms(visit.b), visit.n, ms(now)}
end

local function take(f, outcome)
  withdraw(f)
  visit.q = visit.q + 1
  local lease = visit.s .. '-' .. visit.q
  local begun = now
  if f.x > begun then begun = f.x end -- the clock went back: leases still do not overlap
  local expires = ms(begun + hold)
  redis.call('HSET', key('n:', f.n), 'st', 'L', 'l', lease, 's', visit.s, 'v', visitor, 'a', account, 'w', site,
             'b', ms(begun), 'z', ms(now), 'e', expires, 'q', ARGV[18], 'c', '0')
  redis.call('ZADD', P .. 'exp', expires, f.n)
  redis.call('HSET', key('s:', visit.s), 'num', f.n, 'q', visit.q)
  redis.call('HSET', vkey, 'n', f.n)
  log('t', 'L', 'l', lease, 'n', f.n, 's', visit.s, 'v', visitor, 'a', account, 'w', site, 'b', ms(begun),
      'z', ms(now), 'e', expires, 'vb', ms(visit.b))
  return answer(outcome, f.n, lease, expires)
end

if wants ~= '1' then return answer('none', '', '', 0) end

-- His own number, if this session holds it still.
if visit.num ~= '' then
  local f = number_of(visit.num)
  if f and f.st == 'L' and f.s == visit.s and now < f.e then
    local expires = f.e
    if now + hold > expires then expires = now + hold end
    redis.call('HSET', key('n:', f.n), 'z', ms(now), 'e', ms(expires), 'c', '0')
    redis.call('ZADD', P .. 'exp', ms(expires), f.n)
    redis.call('ZREM', P .. 'shut', f.n)
    return answer('kept', f.n, f.l, expires)
  end
end

-- An earlier session of this visitor gives way: its lease ends now and the number stays his.
if previous and previous ~= visit.s then
  local old = visit_of(previous)
  local f = old and old.num ~= '' and number_of(old.num)
  if f and f.st == 'L' and f.s == previous then
    local expired = f.e <= now
    end_lease(f, expired and f.e or now, expired and 'expired' or 'released')
  end
end

reclaim(RECLAIM_AT_ONCE)

if known[2] then
  local f = number_of(known[2])
  if f and f.st == 'L' and f.e <= now then end_lease(f, f.e, 'expired') end
  if f and f.st == 'F' then
    local his = f.v == visitor and f.w == site
    local from = redis.call('ZSCORE', P .. 'free', f.n)
    if his or (from and tonumber(from) <= now) then return take(f, 'leased') end
  end
end

local function longest_free(set)
  local found = redis.call('ZRANGEBYSCORE', set, '-inf', ms(now), 'LIMIT', 0, 1)
  return found[1] and number_of(found[1])
end

-- Pinned or resting numbers are no help, so go on reclaiming until one may be offered or none is overdue.
local chosen
repeat
  chosen = longest_free(key('free:', account)) or longest_free(P .. 'free')
until chosen or reclaim(RECLAIM_AT_ONCE) == 0
if chosen then return take(chosen, 'leased') end

if policy == 'nearest_end' then
  for _, n in ipairs(redis.call('ZRANGE', P .. 'shut', 0, RECLAIM_AT_ONCE - 1)) do
    local f = number_of(n)
    if f.b + young <= now and f.p <= now then
      end_lease(f, now, 'taken')
      return take(f, 'leased')
    end
  end
end

redis.call('HSET', key('s:', visit.s), 'o', 1)
if visit.num ~= '' then redis.call('HSET', key('s:', visit.s), 'num', '') end
log('t', 'O', 's', visit.s, 'v', visitor, 'a', account, 'w', site, 'b', ms(visit.b), 'at', ms(now))
return answer('overflow', '', '', 0)
