-- Who calls? ARGV[4..] in fours, one per call of this batch: number, caller ('' if withheld), call id, and ms for which
-- the number stays pinned while nobody says that the call has ended ('' and 0 to leave it as it is).
-- Returns now, then per call, in one string behind the sizes of all but the last: number's record, its past leases, record
-- of the visit that holds or last held it, what the caller is remembered by, session and record of the latest visit of the
-- visitor he was last credited to; '' for what is not.
-- A caller waits for this: what cannot be there is not read, and what is known by its name is read at once.

local LONG, MOST_CALLS = 2048, 64 -- calls whose end is never told: the oldest are given up

local function without(id, earliest, record)
  local _, _, _, _, _, at = open('<ssssI2c0', record, AT_NAMES)
  local fields, left = sub(record, 1, at - 1), {}
  while at <= #record do
    local each, began, _, following = open(CALL_FORMAT, record, at)
    if each ~= id and began >= earliest then left[#left + 1] = sub(record, at, following - 1) end
    at = following
  end
  return fields .. table.concat(left, '', #left < MOST_CALLS and 1 or #left - MOST_CALLS + 2)
end

local found = {now}
for i = 4, #ARGV, 4 do
  local number, caller, id = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local nkey, hkey = P .. 'n:' .. number, P .. 'h:' .. number
  local known = caller == '' and call('MGET', nkey, hkey) or call('MGET', nkey, hkey, P .. 'm:' .. caller)
  local record, past, memory = known[1], known[2], known[3] -- false for what is not
  local visit, latest, session
  if record then
    local _, _, held_by = open('<sss', record, AT_NAMES)
    if held_by ~= '' then visit = call('GET', P .. 's:' .. held_by) end
    if id ~= '' then -- it joins the calls that have not ended
      local held = tonumber(ARGV[i + 3])
      if #record > LONG then
        record = without(id, now - held, record)
        call('SET', nkey, record, 'KEEPTTL')
      end
      call('APPEND', nkey, pack(CALL_FORMAT, #id, id, now, held))
    end
  end
  if memory then
    local visitor = open('<s', memory)
    if visitor ~= '' then
      local seen = call('GET', P .. 'v:' .. visitor)
      session = seen and open('<s', seen)
      latest = seen and call('GET', P .. 's:' .. session)
    end
  end
  record, past, visit, memory, session = record or '', past or '', visit or '', memory or '', session or ''
  found[#found + 1] = pack(FOUND_FORMAT, #record, #past, #visit, #memory, #session)
    .. record .. past .. visit .. memory .. session .. (latest or '')
end
return found
