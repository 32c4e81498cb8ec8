local function visit_of(session)
  local record = call('GET', P .. 's:' .. session)
  return record and {session, open(VISIT_FORMAT, record)}
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
  return pack(VISIT_FORMAT, unpack(visit, V_CLOSED, V_FACTS))
end
