-- What every script of a pool shares: names of its keys, the clock, and the three ways a number changes hands.
-- KEYS[1] is the prefix of the pool's slot, hash tag included; every key a script touches begins with it.
-- ARGV[1..3]: now in ms (0: the server's clock), rest after a lease in ms, attribution window in ms.
--
--   <prefix>n:<number>          hash   state and holder, or last holder, of a number (fields below)
--   <prefix>h:<number>          list   its latest ended leases, newest first
--   <prefix>c:<number>          hash   calls on it that have not ended: call → started
--   <prefix>free, free:<acct>   zset   free numbers by the time from which anybody may have them; the same by last account
--   <prefix>exp                 zset   leased numbers by the time their lease runs out
--   <prefix>shut                zset   leased numbers whose page is closed, likewise
--   <prefix>s:<session>         hash   a visit: facts of the first hit, and what changes
--   <prefix>v:<site>:<visitor>  hash   a visitor's latest session and number
--   <prefix>live                zset   visits by the time they end unless a sign of life comes
--   <prefix>m:<caller>          hash   what we remember of a caller
--   <prefix>log                 stream what happened, for the history in Postgres
--
-- Number fields: st F free, L leased, D disabled · l lease · s session · v visitor · a account · w site · b begun ·
-- z seen · e expires · q rest asked for by its site · c page closed · x when the last lease ended · p pinned until. Times in ms.

local P = KEYS[1]
local now = tonumber(ARGV[1])
local rest = tonumber(ARGV[2])
local window = tonumber(ARGV[3])
if now == 0 then
  local t = redis.call('TIME')
  now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end

local KEPT_LEASES = 8
local SEPARATOR = '\31'

local function ms(x) return string.format('%.0f', x) end
local function key(kind, name) return P .. kind .. name end
local function log(...) redis.call('XADD', P .. 'log', '*', ...) end

local function number_of(n)
  local f = redis.call('HMGET', key('n:', n), 'st', 's', 'v', 'a', 'w', 'b', 'z', 'e', 'c', 'x', 'p', 'l', 'q')
  if not f[1] then return nil end
  return {
    n = n, st = f[1], s = f[2], v = f[3], a = f[4], w = f[5], b = tonumber(f[6] or 0), z = tonumber(f[7] or 0),
    e = tonumber(f[8] or 0), c = f[9] or '0', x = tonumber(f[10] or 0), p = tonumber(f[11] or 0), l = f[12],
    q = tonumber(f[13] or 0),
  }
end

-- A free number may go to anybody from this moment on; its last visitor may have it back at once.
local function offer(f)
  local from = f.p
  local rested = f.x + (f.q > rest and f.q or rest)
  if f.x > 0 and rested > from then from = rested end
  redis.call('ZADD', P .. 'free', ms(from), f.n)
  if f.a then redis.call('ZADD', key('free:', f.a), ms(from), f.n) end
end

local function withdraw(f)
  redis.call('ZREM', P .. 'free', f.n)
  if f.a then redis.call('ZREM', key('free:', f.a), f.n) end
end

local function end_lease(f, at, reason)
  if at < f.b then at = f.b end
  redis.call('ZREM', P .. 'exp', f.n)
  redis.call('ZREM', P .. 'shut', f.n)
  f.st, f.x = 'F', at
  redis.call('HSET', key('n:', f.n), 'st', 'F', 'x', ms(at))
  local h = key('h:', f.n)
  local entry = table.concat({f.l, f.s, f.v, f.a, f.w, ms(f.b), ms(f.z), ms(f.e), ms(at), reason, f.c}, SEPARATOR)
  redis.call('LPUSH', h, entry)
  redis.call('LTRIM', h, 0, KEPT_LEASES - 1)
  redis.call('PEXPIRE', h, ms(window)) -- relative: a simulation's clock is not the server's
  log('t', 'E', 'l', f.l, 'n', f.n, 's', f.s, 'v', f.v, 'a', f.a, 'w', f.w, 'b', ms(f.b), 'z', ms(f.z), 'e', ms(f.e),
      'x', ms(at), 'r', reason, 'c', f.c)
  offer(f)
end

-- Leases that have run out end when they ran out, however late that is noticed.
local function reclaim(limit)
  local due = redis.call('ZRANGEBYSCORE', P .. 'exp', '-inf', ms(now), 'LIMIT', 0, limit)
  for _, n in ipairs(due) do
    local f = number_of(n)
    end_lease(f, f.e, 'expired')
  end
  return #due
end

-- A visit lasts until its time-out passes without a sign of life; its facts are kept for calls that come later.
local function touch_visit(session, timeout)
  redis.call('ZADD', P .. 'live', ms(now + timeout), session)
  redis.call('PEXPIRE', key('s:', session), ms(timeout + window))
end
