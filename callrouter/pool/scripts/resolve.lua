-- Who calls? ARGV[4..] in fours, one per call of this batch: number, caller ('' if withheld), call id, and ms for which
-- the number stays pinned while nobody says that the call has ended ('' and 0 to leave it as it is).
-- Returns now, then per call: number's record, record of the visit that holds or last held it, what the caller is
-- remembered by, session and record of the latest visit of the visitor he was last credited to; '' for what is not.
-- A caller waits for this: what cannot be there is not read.

local NOTHING = {}

local function pin(record, number, id, held)
  local f = {open(record)}
  local calls = f[CALLS] ~= '' and f[CALLS] or {}
  calls[id] = now
  f[CALLS], f[PIN] = calls, now + held
  record = pack(unpack(f, 1, PAST))
  call('SET', P .. 'n:' .. number, record, 'KEEPTTL')
end

local found = {now}
for i = 4, #ARGV, 4 do
  local number, caller = ARGV[i], ARGV[i + 1]
  local record = call('GET', P .. 'n:' .. number)
  local visit, latest, session = false, false, false
  local memory = caller ~= '' and call('HGETALL', P .. 'm:' .. caller) or NOTHING
  if record then
    local _, held_by = open(record)
    if held_by ~= '' then visit = call('GET', P .. 's:' .. held_by) end
    if ARGV[i + 2] ~= '' then pin(record, number, ARGV[i + 2], tonumber(ARGV[i + 3])) end
  end
  for j = 1, #memory, 2 do
    if memory[j] == 'v' then
      local known = call('GET', P .. 'v:' .. memory[j + 1])
      session = known and open(known)
      latest = session and call('GET', P .. 's:' .. session)
    end
  end
  found[#found + 1] = {record or '', visit or '', memory, latest and session or '', latest or ''}
end
return found
