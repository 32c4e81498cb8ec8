-- Visits, and what they know of their lease.
local rest, window = tonumber(ARGV[2]), tonumber(ARGV[3])

local function visit_of(session)
  local record = call('GET', P .. 's:' .. session)
  if not record then return nil end
  local visit = {session, open(VISIT_FORMAT, record)}
  visit[V_SIGNS] = sub(record, visit[V_SIGNS]) -- there stood where the fields end
  return visit
end

-- The facts end in the ids that analytics gave the visitor: `"…","…","…","…"]`. Those told now take the place of those
-- told before; an empty one says nothing. Whether that changed anything.
local function retold(visit, ids)
  local facts, each = visit[V_FACTS], '"([%w_.-]*)"'
  if ids == '' or sub(facts, -#ids) == ids then return false end
  local four = each .. ',' .. each .. ',' .. each .. ',' .. each .. '%]$'
  local head, a, b, c, d = string.match(facts, '^(.*,)' .. four)
  local e, f, g, h = string.match(ids, '^' .. four)
  if not (a and e) then return false end
  if e == '' then e = a end
  if f == '' then f = b end
  if g == '' then g = c end
  if h == '' then h = d end
  visit[V_FACTS] = head .. '"' .. e .. '","' .. f .. '","' .. g .. '","' .. h .. '"]'
  return visit[V_FACTS] ~= facts
end

local function visit_record(visit)
  return pack(VISIT_BEGIN_FORMAT, unpack(visit, V_CLOSED, V_REQUEST))
    .. visit[V_PAGE] .. '\0' .. visit[V_FACTS] .. '\0' .. visit[V_SIGNS]
end

-- While a lease of it runs a visit is kept, afterwards for the attribution window.
local function save_visit(visit, record)
  if visit[V_EXPIRES] > 0 then
    call('SET', P .. 's:' .. visit[V_SESSION], record)
  else
    call('SET', P .. 's:' .. visit[V_SESSION], record, 'PX', visit[V_GAP] + window)
  end
end

-- A sign of life of the lease: one in 15 s is kept, the latest 64.
local function sign(visit)
  local offset = now - visit[V_BEGUN]
  if offset < 0 or offset > 4294967295 then return end
  if visit[V_COUNT] > 0 and offset - visit[V_LATEST] < 15000 then return end
  visit[V_SIGNS] = sub(visit[V_SIGNS] .. pack('<I4', offset), -256)
  visit[V_COUNT], visit[V_LATEST] = #visit[V_SIGNS] / 4, offset
end

local function extend(visit, hold)
  visit[V_SEEN] = now
  if now + hold > visit[V_EXPIRES] then visit[V_EXPIRES] = now + hold end
  sign(visit)
end
