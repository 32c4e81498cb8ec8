-- An account forgets a client. ARGV[4..]: account, how many phones are told, how many visitors, then the phones, the
-- visitors ("site:visitor" each) and sessions of his. Returns how many keys were changed.
-- Callers' records are shared by the accounts of a pool: what others know of the same caller stays.

local account, phones, visitors = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local ours = {['a:' .. account] = true, ['e:' .. account] = true, ['s:' .. account] = true}
local changed = 0

local function forget_visit(session)
  local visit = visit_of(session)
  if not visit or visit[V_ACCOUNT] ~= account then return end
  local f = visit[V_EXPIRES] > 0 and number_of(visit[V_NUM])
  if f and f[VISIT] and f[SESSION] == session then
    if f[E] <= now then set_free(f, f[E], ENDED_EXPIRED) else set_free(f, now, ENDED_RELEASED) end
  end
  call('ZREM', P .. 'live', session)
  changed = changed + call('DEL', P .. 's:' .. session)
end

local function forget_visitor(visitor)
  local vkey = P .. 'v:' .. visitor
  local record = call('GET', vkey)
  if not record then return end
  forget_visit((open('<s', record)))
  changed = changed + call('DEL', vkey)
end

local function visit_in(memory)
  return cjson.decode(memory).visit
end

local function forget_caller(caller)
  local mkey = P .. 'm:' .. caller
  local record = call('GET', mkey)
  if not record then return end
  local names, values = {}, {}
  local credited, newest, place = open('<sd', record)
  while place <= #record do
    local name, value
    name, value, place = open('<I4c0I4c0', record, place)
    local told, kind = ours[name], sub(name, 1, 2)
    if kind == 'n:' or name == 'last' then
      told = string.format('%.0f', visit_in(value).account) == account
    elseif kind == 't:' then
      told = not values['n:' .. sub(name, 3)]
    end
    if not told then names[#names + 1], values[name] = name, value end
  end
  if not values['last'] then -- the newest of what others know
    credited, newest = '', 0
    for _, name in ipairs(names) do
      local at = sub(name, 1, 2) == 't:' and open('<d', values[name])
      if at and at >= newest then newest, values['last'] = at, values['n:' .. sub(name, 3)] end
    end
    if values['last'] then
      local visit = visit_in(values['last'])
      credited = string.format('%.0f', visit.site) .. ':' .. visit.visitor
      names[#names + 1] = 'last'
    end
  end
  local parts = {pack('<sd', credited, newest)}
  for _, name in ipairs(names) do
    parts[#parts + 1] = pack('<I4c0I4c0', #name, name, #values[name], values[name])
  end
  local left = table.concat(parts)
  if left == record then return end
  changed = changed + 1
  if #names == 0 then call('DEL', mkey) else call('SET', mkey, left, 'KEEPTTL') end
end

for i = 7, #ARGV do
  if i < 7 + phones then
    forget_caller(ARGV[i])
  elseif i < 7 + phones + visitors then
    forget_visitor(ARGV[i])
  else
    forget_visit(ARGV[i])
  end
end
return changed
