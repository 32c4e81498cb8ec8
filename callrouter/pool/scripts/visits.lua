local function visit_of(session)
  local record = call('GET', P .. 's:' .. session)
  return record and {session, open(VISIT_FORMAT, record)}
end

local function visit_record(visit)
  return pack(VISIT_FORMAT, unpack(visit, V_CLOSED, V_FACTS))
end
