-- Numbers as the inventory has them. ARGV[4]: its version (0: none is kept). ARGV[5..] in sixes: number, state wanted
-- (1 in use, 0 set aside, - not ours any more, > another pool's now), its record and past leases in the pool that it left, session
-- and record of its last visit there ('' for none).
-- Loading twice changes nothing. A number set aside ends its lease but keeps its history. Returns how many changed, or
-- -1: a newer inventory was loaded already, so this one changes nothing.

local version = tonumber(ARGV[4])
if version > 0 then
  if version < tonumber(call('GET', P .. 'ver') or 0) then return -1 end
  call('SET', P .. 'ver', ARGV[4])
end

call('ZREMRANGEBYSCORE', P .. 'gone', '-inf', now - window)

-- A number that comes from another pool brings its leases: calls that come now are for who had it there.
local function inherit(f, record, past, session, visit)
  if record == '' then return f end
  local there = number_from(f[NUMBER], record)
  if f and f[B] > there[B] then return f end
  there[ST] = 'F'
  if past ~= '' then call('SET', P .. 'h:' .. f[NUMBER], past) end
  if visit ~= '' then call('SET', P .. 's:' .. session, visit, 'NX', 'PX', window) end
  return there
end

local function let_go(f, why)
  if f[ST] == 'L' then
    if f[E] <= now then end_lease(f, f[E], ENDED_EXPIRED) else end_lease(f, now, why) end
  elseif f[ST] == 'F' then
    withdraw(f)
  end
  f[ST] = 'D'
end

local changed = 0
for i = 5, #ARGV, 6 do
  local n, wanted = ARGV[i], ARGV[i + 1]
  local f = number_of(n)
  local was = f and f[ST]
  if wanted == '1' or wanted == '0' then
    call('SADD', P .. 'all', n)
    if not f or was == 'D' and ARGV[i + 2] ~= '' then
      f = inherit(f or {n, 'D', 0, 0, 0, 0, now, 0, 0, 0, 0, 0, 0, '', '', '', '', '', ''}, ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5])
    end
    call('ZREM', P .. 'gone', n)
    if wanted == '1' then
      if not was or was == 'D' then
        f[ST] = 'F'
        offer(f)
        call('SREM', P .. 'off', n)
        changed = changed + 1
      end
    else
      if was ~= 'D' then
        let_go(f, ENDED_DISABLED)
        changed = changed + 1
      end
      f[ST] = 'D'
      call('SADD', P .. 'off', n)
    end
    if was ~= f[ST] or ARGV[i + 2] ~= '' then save(f) else call('PERSIST', P .. 'n:' .. n) end
    call('PERSIST', P .. 'h:' .. n)
  else
    if f and was ~= 'D' then
      let_go(f, wanted == '>' and ENDED_MOVED or ENDED_DISABLED)
      changed = changed + 1
    end
    if f then
      save(f)
      call('PEXPIRE', P .. 'n:' .. n, window)
      call('PEXPIRE', P .. 'h:' .. n, window)
    end
    call('SREM', P .. 'all', n)
    call('SREM', P .. 'off', n)
    if wanted == '>' then call('ZADD', P .. 'gone', now, n) end
  end
end
return changed
