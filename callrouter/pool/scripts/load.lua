-- Numbers as the inventory has them. ARGV[4..] in pairs: number, state wanted (1 in use, 0 set aside, - not ours any more).
-- Loading twice changes nothing. A number set aside ends its lease but keeps its history. Returns how many changed.

local changed = 0
for i = 4, #ARGV, 2 do
  local n, wanted = ARGV[i], ARGV[i + 1]
  local f = number_of(n)
  if not f then
    if wanted ~= '-' then
      f = {n = n, x = 0, p = 0, q = 0}
      redis.call('HSET', key('n:', n), 'st', wanted == '1' and 'F' or 'D')
      redis.call('SADD', P .. 'all', n)
      if wanted == '1' then offer(f) end
      changed = changed + 1
    end
  elseif wanted == '1' and f.st == 'D' then
    redis.call('HSET', key('n:', n), 'st', 'F')
    offer(f)
    changed = changed + 1
  elseif wanted ~= '1' and f.st ~= 'D' then
    if f.st == 'L' then
      local expired = f.e <= now
      end_lease(f, expired and f.e or now, expired and 'expired' or 'disabled')
    end
    withdraw(f)
    redis.call('HSET', key('n:', n), 'st', 'D')
    changed = changed + 1
  end
  if wanted == '-' then
    redis.call('SREM', P .. 'all', n)
    redis.call('PEXPIRE', key('n:', n), ms(window))
  elseif f then
    redis.call('SADD', P .. 'all', n)
    redis.call('PERSIST', key('n:', n))
  end
end
return changed
