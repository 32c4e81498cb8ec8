-- Who calls? ARGV[4..] in fours, one per call of this batch: number, caller ('' if withheld), call id, and ms for which
-- the number stays pinned while nobody says that the call has ended ('' and 0 to leave it as it is).
-- Returns per call: number's fields, ended leases, facts of the visit that holds or last held it, what the caller
-- is remembered by, the latest visit of the visitor he was last credited to.
-- A caller waits for this: what is the same for the whole batch is computed once, and what cannot be there is not read.

local call = redis.call
local NOW = ms(now)
local NUMBER, ENDED, CALLS, CALLER, VISITOR, VISIT = P .. 'n:', P .. 'h:', P .. 'c:', P .. 'm:', P .. 'v:', P .. 's:'
local NOTHING = {}

local function facts_of(session)
  return call('HMGET', VISIT .. session, 'f', 'b', 'z', 'n', 'pg', 'ti', 'o')
end

local function latest_of(memory)
  for i = 1, #memory, 2 do
    if memory[i] == 'v' then
      local session = call('HGET', VISITOR .. memory[i + 1], 's')
      if not session then return NOTHING end
      local latest = facts_of(session)
      latest[#latest + 1] = session
      return latest
    end
  end
  return NOTHING
end

local function pin(number, id, held)
  local ckey = CALLS .. number
  call('HSET', ckey, id, NOW)
  call('PEXPIRE', ckey, held)
  call('HSET', NUMBER .. number, 'p', ms(now + held))
end

local function one(number, caller, id, held)
  local f = call('HMGET', NUMBER .. number, 'st', 'l', 's', 'v', 'a', 'w', 'b', 'z', 'e', 'c', 'x')
  local ended = f[11] and call('LRANGE', ENDED .. number, 0, -1) or NOTHING -- x is set whenever a lease ends
  local visit = f[3] and facts_of(f[3]) or NOTHING
  local memory = caller ~= '' and call('HGETALL', CALLER .. caller) or NOTHING
  if id ~= '' and f[1] then
    pin(number, id, held)
    if f[1] == 'F' then offer(number_of(number)) end
  end
  return {f, ended, visit, memory, #memory > 0 and latest_of(memory) or NOTHING}
end

local found = {NOW}
for i = 4, #ARGV, 4 do
  found[#found + 1] = one(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3])
end
return found
