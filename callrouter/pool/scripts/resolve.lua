-- Who calls? ARGV[4..] in fours, one per call of this batch: number, caller ('' if withheld), call id, and ms for which
-- the number stays pinned while nobody says that the call has ended ('' and 0 to leave it as it is).
-- Returns per call: number's fields, ended leases, facts of the visit that holds or last held it, what the caller
-- is remembered by, the latest visit of the visitor he was last credited to.

local VISIT = {'f', 'b', 'z', 'n', 'pg', 'ti', 'o'}

local function facts_of(session)
  return redis.call('HMGET', key('s:', session), unpack(VISIT))
end

local function pin(number, call, held)
  local ckey = key('c:', number)
  redis.call('HSET', ckey, call, ms(now))
  redis.call('PEXPIRE', ckey, ms(held))
  redis.call('HSET', key('n:', number), 'p', ms(now + held))
end

local function one(number, caller, call, held)
  local f = redis.call('HMGET', key('n:', number), 'st', 'l', 's', 'v', 'a', 'w', 'b', 'z', 'e', 'c', 'x')
  local ended = redis.call('LRANGE', key('h:', number), 0, -1)
  local visit = f[3] and facts_of(f[3]) or {}
  local memory, latest = {}, {}
  if caller ~= '' then
    memory = redis.call('HGETALL', key('m:', caller))
    for i = 1, #memory, 2 do
      if memory[i] == 'v' then
        local session = redis.call('HGET', P .. 'v:' .. memory[i + 1], 's')
        if session then
          latest = facts_of(session)
          latest[#latest + 1] = session
        end
      end
    end
  end
  if call ~= '' and f[1] then
    pin(number, call, held)
    if f[1] == 'F' then offer(number_of(number)) end
  end
  return {f, ended, visit, memory, latest}
end

local found = {ms(now)}
for i = 4, #ARGV, 4 do
  found[#found + 1] = one(ARGV[i], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3]))
end
return found
