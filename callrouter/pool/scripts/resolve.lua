-- Who calls? ARGV[4..] in fours, one per call of this batch: number, caller ('' if withheld), call id, and ms for which
-- the number stays pinned while nobody says that the call has ended ('' and 0 to leave it as it is).
-- Returns now, then per call: number's record, its past leases, record of the visit that holds or last held it, what the caller is
-- remembered by, session and record of the latest visit of the visitor he was last credited to; '' for what is not.
-- A caller waits for this: what cannot be there is not read.

local MOST_CALLS = 64 -- of one number whose end was not told; the oldest are given up

local found = {now}
for i = 4, #ARGV, 4 do
  local number, caller, id = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local record = call('GET', P .. 'n:' .. number)
  local past, visit, latest, session, memory = '', '', '', '', ''
  if record then
    local pasts, _, _, _, held_by = open('<BI2c0sss', record, AT_PASTS)
    if pasts > 0 then past = call('GET', P .. 'h:' .. number) or '' end
    if held_by ~= '' then visit = call('GET', P .. 's:' .. held_by) or '' end
    if id ~= '' then -- it joins the calls that have not ended, each an id behind its length and when it began
      local calls, after = open('<I2c0', record, AT_CALLS)
      local left, count, at = {}, 0, 1
      while at <= #calls do
        local each, began, following = open('<Bc0d', calls, at)
        if each ~= id and began >= now - ARGV[i + 3] then
          count = count + 1
          left[count] = sub(calls, at, following - 1)
        end
        at = following
      end
      calls = table.concat(left, '', count < MOST_CALLS and 1 or count - MOST_CALLS + 2)
      record = sub(record, 1, AT_PIN - 1) .. pack('<d', now + ARGV[i + 3]) .. sub(record, AT_PASTS, AT_PASTS)
        .. pack('<I2', #calls + #id + 9) .. calls .. pack('<Bc0d', #id, id, now) .. sub(record, after)
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
  found[#found + 1] = {record or '', past, visit, memory, session, latest}
end
return found
