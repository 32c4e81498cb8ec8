-- A ring: the number that was given out longest ago, whether somebody has it or not. Only a call protects it.
local function choose()
  local ring = P .. 'ring'
  if call('EXISTS', ring) == 0 then
    for _, n in ipairs(call('SMEMBERS', P .. 'all')) do call('ZADD', ring, '0', n) end
  end
  for _, n in ipairs(call('ZRANGE', ring, '0', '63')) do
    local f = number_of(n)
    if f[PIN] <= now then
      if f[ST] == 'L' then
        end_lease(f, f[E] < now and f[E] or now, f[E] < now and ENDED_EXPIRED or ENDED_TAKEN)
      else
        withdraw(f)
      end
      call('ZADD', ring, now, n)
      return f
    end
  end
end
