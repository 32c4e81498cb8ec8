-- Who calls? ARGV[4..] in fours, one per call of this batch: number, caller ('' if withheld), call id, and ms for which
-- the number stays pinned while nobody says that the call has ended ('' and 0 to leave it as it is).
-- Returns now, then per call: number's record, record of the visit that holds or last held it, what the caller is
-- remembered by, session and record of the latest visit of the visitor he was last credited to; '' for what is not.
-- A caller waits for this: what cannot be there is not read.

-- A record with this call among those that have not ended. All that stands before PIN and between it and CALLS stays.
local function pinned(record, pin_at, signs_at, id, held)
  local signs, after = open('<I2c0', record, signs_at)
  local calls, past = open('<I2c0', record, after)
  if calls ~= '' then calls = calls_without(calls, id, 0) end
  calls = calls .. pack('<Bc0d', #id, id, now)
  return sub(record, 1, pin_at - 1) .. pack('<d', now + held) .. sub(record, pin_at + 8, after - 1) .. pack('<I2', #calls) .. calls
    .. sub(record, past)
end

local found = {now}
for i = 4, #ARGV, 4 do
  local number, caller, id = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local record = call('GET', P .. 'n:' .. number)
  local visit, latest, session, memory = '', '', '', ''
  if record then
    local _, _, held_by, _, signs_at = open('<ssss', record, 58)
    if held_by ~= '' then visit = call('GET', P .. 's:' .. held_by) or '' end
    if id ~= '' then
      record = pinned(record, 50, signs_at, id, ARGV[i + 3])
      call('SET', P .. 'n:' .. number, record, 'KEEPTTL')
    end
  end
  if caller ~= '' then
    memory = call('HGETALL', P .. 'm:' .. caller)
    for j = 1, #memory, 2 do
      if memory[j] == 'v' then
        local known = call('GET', P .. 'v:' .. memory[j + 1])
        session = known and open('<s', known) or ''
        latest = known and call('GET', P .. 's:' .. session) or ''
      end
    end
  end
  found[#found + 1] = {record or '', visit, memory, session, latest}
end
return found
