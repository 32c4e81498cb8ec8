-- The usual hit, before all else and without any function of its own, for setting those up takes longer than the rest:
-- a visitor whom nobody knows wants a number, none is overdue, and one may be offered. It does what allocate.lua and
-- choose.lua do, whose arguments and answers see; whatever is not as usual is left to them as it was.
local vkey = P .. 'v:' .. ARGV[5] .. ':' .. ARGV[7]
local skey = P .. 's:' .. ARGV[4]
local known, taken = unpack(call('MGET', vkey, skey))
if not known and not taken and ARGV[14] == '1' then
  local due = call('ZRANGE', P .. 'due', '0', '0', 'WITHSCORES')[2]
  if not due or due - now > 0 then
    local all, ours = P .. 'free', P .. 'free:' .. ARGV[6]
    local found = call('ZPOPMIN', ours)
    local n, since = found[1], found[2]
    local longest
    if n then
      found = call('ZRANGE', all, '0', '0', 'WITHSCORES')
      longest = found[2]
      if found[1] ~= n and (longest == '0' or now - longest > ARGV[20] * (now - since)) then
        call('ZADD', ours, since, n)
        n = nil
      end
    end
    if n then
      call('ZREM', all, n)
    else
      found = call('ZPOPMIN', all)
      n, since = found[1], found[2]
    end
    if n then
      local nkey = P .. 'n:' .. n
      local record = call('GET', nkey)
      local ended, pin, pasts, last, _, _, _, _, calls = open('<ddBssssI2c0', record, AT_ENDED)
      local rested = ended > 0 and open('<I4', record, AT_REST) or 0
      if ended > 0 and ARGV[2] - rested > 0 then rested = ARGV[2] + 0 end
      local session = ARGV[4]
      local expires, gap = now + ARGV[12], ARGV[13] + 0
      if calls > #record and pin <= now and (ended == 0 or ended + rested <= now) then
        if last ~= '' and last ~= ARGV[6] then call('ZREM', P .. 'free:' .. last, n) end
        local lease = pack(NUMBER_FORMAT, 'L', 0, 0, 1, ARGV[18], now, now, now, expires, ended, pin, pasts,
          ARGV[6], ARGV[5], session, ARGV[7], 0, '')
        local visit = pack(VISIT_BEGIN_FORMAT, 0, 0, 1, 1, gap, now, now, 0, 0, 0, now, now, expires, n, ARGV[7], ARGV[5],
          ARGV[6], ARGV[8], session) .. ARGV[11] .. '\0' .. ARGV[9] .. '\0'
        call('MSET', nkey, lease, skey, visit)
        call('SET', vkey, pack('<ss', session, n), 'PX', ARGV[17])
        call('ZADD', P .. 'due', expires, n)
        if expires > now + gap then call('ZADD', P .. 'live', 'NX', now + gap, session) end
        call('XADD', P .. 'log', '*', 'V', visit, 's', session, 'L', lease, 'n', n)
        return pack(ALLOCATION_FORMAT, ALLOCATED_LEASED, 1, 1, expires, now, now, ended > 0 and now - ended or -1, session) .. n
      end
      call('ZADD', all, since, n)
      if last ~= '' then call('ZADD', P .. 'free:' .. last, since, n) end
    end
  end
end
