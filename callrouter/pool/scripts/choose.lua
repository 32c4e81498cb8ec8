-- Which free number a visitor gets. The simulation puts other rules in the place of this file.
-- choose(account, visitor, site, last): the record of a free number, taken out of the sets that offer it, or nil.
-- `last` is the number that this visitor was leased last, '' if none.
--
-- His last number, if it is free: at once if nobody had it since. Else the longest-free of his account, unless the
-- longest-free of all has been free more than `affinity` times as long: callers who kept a number then reach the right
-- company as a rule, and yet the whole pool takes its turn. A number that was never leased has been free for ever.
local affinity = tonumber(ARGV[20])
local LOOKED_AT = 256 -- numbers that wait after all: when the clock went back that may be the whole pool

local function choose(account, visitor, site, last)
  local f = last ~= '' and number_of(last)
  if f and f[ST] == 'L' and f[E] <= now then set_free(f, f[E], ENDED_EXPIRED) end
  if f and f[ST] == 'F' and (f[VISITOR] == visitor and f[SITE] == site or offered_from(f) <= now) then
    withdraw(f)
    return f
  end
  local all, ours = P .. 'free', P .. 'free:' .. account
  for _ = 1, LOOKED_AT do
    local n, score = unpack(call('ZPOPMIN', ours))
    if n then
      local longest = call('ZRANGE', all, '0', '0', 'WITHSCORES')
      local since = tonumber(longest[2])
      if longest[1] ~= n and (since == 0 or now - since > affinity * (now - score)) then
        call('ZADD', ours, score, n)
        n = nil
      else
        call('ZREM', all, n)
        f = number_of(n)
      end
    end
    if not n then
      n = call('ZPOPMIN', all)[1]
      if not n then return nil end
      f = number_of(n)
      if f[ACCOUNT] ~= '' then call('ZREM', P .. 'free:' .. f[ACCOUNT], n) end
    end
    if offered_from(f) <= now then return f end
    offer(f) -- pinned since it was offered, or the clock went back: it waits, and the next one is tried
  end
end
