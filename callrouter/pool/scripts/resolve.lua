-- Who calls? ARGV[4..] in fours, one per call of this batch: number, caller ('' if withheld), call id, and ms for which
-- the number stays pinned while nobody says that the call has ended ('' and 0 to leave it as it is).
-- Returns now, then per call, in one string behind the sizes of all but the last: number's record, its past leases, record
-- of the visit that holds or last held it, what the caller is remembered by, session and record of the latest visit of the
-- visitor he was last credited to; '' for what is not.
-- A caller waits for this: what cannot be there is not read, and what is known by its name is read at once.

local MOST_CALLS = 64 -- of one number whose end was not told; the oldest are given up

local found = {now}
for i = 4, #ARGV, 4 do
  local number, caller, id = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local nkey, hkey = P .. 'n:' .. number, P .. 'h:' .. number
  local known = caller == '' and call('MGET', nkey, hkey) or call('MGET', nkey, hkey, P .. 'm:' .. caller)
  local record, past, memory = known[1], known[2], known[3] -- false for what is not
  local visit, latest, session
  if record then
    local calls, _, _, held_by, after = open('<I2c0sss', record, AT_CALLS)
    if held_by ~= '' then visit = call('GET', P .. 's:' .. held_by) end
    if id ~= '' then -- it joins the calls that have not ended, each an id behind its length and when it began
      local pinned = ARGV[i + 3]
      after = AT_CALLS + 2 + #calls
      if calls ~= '' then
        local left, count, at = {}, 0, 1
        while at <= #calls do
          local each, began, following = open('<Bc0d', calls, at)
          if each ~= id and began >= now - pinned then
            count = count + 1
            left[count] = sub(calls, at, following - 1)
          end
          at = following
        end
        calls = table.concat(left, '', count < MOST_CALLS and 1 or count - MOST_CALLS + 2)
      end
      calls = calls .. pack('<Bc0d', #id, id, now)
      record = sub(record, 1, AT_PIN - 1) .. pack('<d', now + pinned) .. sub(record, AT_PASTS, AT_PASTS)
        .. pack('<I2', #calls) .. calls .. sub(record, after)
      call('SET', nkey, record, 'KEEPTTL')
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
