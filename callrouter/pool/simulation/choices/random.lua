-- Any free number, whoever had it. By a hash of who asks when, so that the same run gives the same numbers.
local function choose(account, visitor, site)
  for try = 1, 1000 do
    local free = call('ZCARD', P .. 'free')
    if free == 0 then return nil end
    local draw = tonumber(string.sub(redis.sha1hex(site .. visitor .. now .. try), 1, 8), 16)
    local f = number_of(call('ZRANGE', P .. 'free', draw % free, draw % free)[1])
    withdraw(f)
    if offered_from(f) <= now then return f end
    offer(f)
  end
end
