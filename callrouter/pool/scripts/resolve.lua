-- Who calls? ARGV[2]: ms for which a number stays pinned while nobody says that its call has ended. ARGV[3..] in threes, one
-- per call of this batch: number, caller ('' if withheld), call id ('' to leave the pin as it is).
-- Returns per call, in one string behind the time and the sizes of all but the last: number's record, its past leases, record
-- of the visit that holds or last held it, what the caller is remembered by, session and record of the latest visit of the
-- visitor he was last credited to; '' for what is not. Of one call the string itself, for a list costs as much as a command.
-- A caller waits for this: what cannot be there is not read, and what is known by its name is read at once.

local LONG, MOST_CALLS = 2048, 64 -- calls whose end is never told: the oldest are given up
local found

for i = 3, #ARGV, 3 do
  local number, caller, id = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local nkey, hkey = P .. 'n:' .. number, P .. 'h:' .. number
  local known = caller == '' and call('MGET', nkey, hkey) or call('MGET', nkey, hkey, P .. 'm:' .. caller)
  local record, past, memory = known[1] or '', known[2] or '', known[3] or '' -- false for what is not
  local visit, latest, session = '', '', ''
  if record ~= '' then
    local _, _, held_by = open('<sss', record, AT_NAMES)
    if held_by ~= '' then visit = call('GET', P .. 's:' .. held_by) or '' end
    if id ~= '' then -- it joins the calls that have not ended
      local held = ARGV[2] + 0
      if #record > LONG then
        local _, _, _, _, _, names_end = open('<ssssI2c0', record, AT_NAMES)
        local left, at = {}, names_end
        while at <= #record do
          local each, began, _, following = open(CALL_FORMAT, record, at)
          if each ~= id and began >= now - held then left[#left + 1] = sub(record, at, following - 1) end
          at = following
        end
        record = sub(record, 1, names_end - 1) .. table.concat(left, '', #left < MOST_CALLS and 1 or #left - MOST_CALLS + 2)
        call('SET', nkey, record, 'KEEPTTL')
      end
      call('APPEND', nkey, pack(CALL_FORMAT, #id, id, now, held))
    end
  end
  if memory ~= '' then
    local visitor = open('<s', memory)
    local seen = visitor ~= '' and call('GET', P .. 'v:' .. visitor)
    if seen then
      session = open('<s', seen)
      latest = call('GET', P .. 's:' .. session) or ''
    end
  end
  local answer = pack(FOUND_FORMAT, now, #record, #past, #visit, #memory, #session)
    .. record .. past .. visit .. memory .. session .. latest
  if #ARGV == 5 then return answer end
  found = found or {}
  found[#found + 1] = answer
end
return found
