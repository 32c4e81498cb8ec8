-- The ways a number changes hands.
local MOST_CALLS = 64 -- of one number whose end was not told; the oldest are given up

-- Calls as they were added: each pins the number anew, and takes the place of itself and of those that cannot last so
-- long. One that has been looked at is written with 0 for how long.
local function look_at_calls(f)
  local left, at = {}, 1
  while at <= #f[CALLS] do
    local id, began, held, following = open(CALL_FORMAT, f[CALLS], at)
    if held > 0 then
      f[PIN] = began + held
      for place = #left, 1, -1 do
        if left[place][1] == id or left[place][2] < began - held then table.remove(left, place) end
      end
    end
    left[#left + 1] = {id, began, pack(CALL_FORMAT, #id, id, began, 0)}
    at = following
  end
  f[CALLS] = ''
  for place = #left > MOST_CALLS and #left - MOST_CALLS + 1 or 1, #left do f[CALLS] = f[CALLS] .. left[place][3] end
end

local function number_from(n, record)
  local f = {n, open(NUMBER_FORMAT, record)}
  f[CALLS] = sub(record, f[CALLS]) -- there stood where the fields end
  if f[CALLS] ~= '' then look_at_calls(f) end
  return f
end

local function number_of(n)
  local record = call('GET', P .. 'n:' .. n)
  if not record then return nil end
  local f = number_from(n, record)
  local visit = f[ST] == 'L' and visit_of(f[SESSION]) or nil
  if visit and (visit[V_NUM] ~= n or visit[V_Q] ~= f[Q]) then visit = nil end
  if visit then f[CLOSED], f[Z], f[E], f[SIGNS] = visit[V_SHUT], visit[V_SEEN], visit[V_EXPIRES], visit[V_SIGNS] end
  f[VISIT] = visit
  return f
end

local function number_record(f)
  return pack(NUMBER_FORMAT, f[ST], f[CLOSED], f[WHY], f[Q], f[REST], f[VB], f[B], f[Z], f[E], f[X], f[PIN], f[PASTS],
    f[ACCOUNT], f[SITE], f[SESSION], f[VISITOR], #f[SIGNS], f[SIGNS]) .. f[CALLS]
end

local function save(f)
  call('SET', P .. 'n:' .. f[NUMBER], number_record(f))
end

-- From when on anybody may have a free number; its last visitor may have it back at once.
local function offered_from(f)
  local from, rested = f[PIN], f[X]
  if rested > 0 then rested = rested + (f[REST] > rest and f[REST] or rest) end
  return rested > from and rested or from
end

local function offer(f)
  local from = offered_from(f)
  if from > now then
    call('ZADD', P .. 'due', from, f[NUMBER])
    call('SADD', P .. 'resting', f[NUMBER])
  else
    call('ZADD', P .. 'free', f[X], f[NUMBER])
    if f[ACCOUNT] ~= '' then call('ZADD', P .. 'free:' .. f[ACCOUNT], f[X], f[NUMBER]) end
  end
end

-- Take a free number out of all sets that offer it.
local function withdraw(f)
  call('ZREM', P .. 'free', f[NUMBER])
  if f[ACCOUNT] ~= '' then call('ZREM', P .. 'free:' .. f[ACCOUNT], f[NUMBER]) end
  if call('SREM', P .. 'resting', f[NUMBER]) == 1 then call('ZREM', P .. 'due', f[NUMBER]) end
end

-- The ended lease of a record joins those before it: the eighth oldest of sixteen and all before are forgotten.
local function remember_lease(n, record, count)
  local key = P .. 'h:' .. n
  call('APPEND', key, pack('<I2', #record) .. record)
  if count < 16 then return end
  local past, at = call('GET', key), 1
  for _ = 1, 8 do at = at + 2 + open('<I2', past, at) end
  call('SET', key, sub(past, at))
end

-- End a lease. The caller then offers the number, or leases it again.
local function end_lease(f, at, why)
  if at < f[B] then at = f[B] end
  f[ST], f[X], f[WHY] = 'F', at, why
  local pasts = f[PASTS] + 1
  f[PASTS] = pasts < 16 and pasts or 8
  local record = number_record(f)
  call('SET', P .. 'n:' .. f[NUMBER], record)
  remember_lease(f[NUMBER], record, pasts)
  call('ZREM', P .. 'due', f[NUMBER])
  if f[CLOSED] == 1 then call('ZREM', P .. 'shut', f[NUMBER]) end
  call('XADD', P .. 'log', '*', 'E', record, 'n', f[NUMBER])
  call('ZADD', P .. 'live', 'NX', at, f[SESSION])
  local visit = f[VISIT]
  if visit then
    visit[V_EXPIRES], f[VISIT] = 0, nil
    save_visit(visit, visit_record(visit))
  end
end

local function set_free(f, at, why)
  end_lease(f, at, why)
  offer(f)
end

-- Leases that have run out end when they ran out, however late that is noticed. Looks at `limit` numbers at most;
-- returns how many it looked at, and how many leases it ended.
local function reclaim(limit)
  local first = call('ZRANGE', P .. 'due', '0', '0', 'WITHSCORES')
  if not first[1] or tonumber(first[2]) > now then return 0, 0 end
  local due, ended = call('ZRANGEBYSCORE', P .. 'due', '-inf', now, 'LIMIT', '0', limit), 0
  for _, n in ipairs(due) do
    local f = number_of(n)
    if f and f[ST] == 'L' and f[E] > now then
      call('ZADD', P .. 'due', f[E], n)
    elseif f and f[ST] == 'L' then
      set_free(f, f[E], ENDED_EXPIRED)
      ended = ended + 1
    else
      call('ZREM', P .. 'due', n)
      call('SREM', P .. 'resting', n)
      if f and f[ST] == 'F' then offer(f) end
    end
  end
  return #due, ended
end
