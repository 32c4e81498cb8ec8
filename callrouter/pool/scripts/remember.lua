-- What is kept of a caller after his call, so that his next one is understood. ARGV[4..]: caller, number dialled,
-- account, client ('' if unknown), memory of the credited visit ('' if none was), "site:visitor" of it, when, ms kept.
-- Fields: a:<account> → client; n:<number> → memory for calls on the same number, t:<number> → when that was called; last → newest memory; v → its visitor.

local caller, number, account, client = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local memory, visitor, at, kept = ARGV[8], ARGV[9], tonumber(ARGV[10]), ARGV[11]
local KEPT_NUMBERS = 8
local mkey = P .. 'm:' .. caller
if client ~= '' or call('HEXISTS', mkey, 'a:' .. account) == 0 then
  call('HSET', mkey, 'a:' .. account, client)
end
if memory ~= '' then
  local newest = tonumber(call('HGET', mkey, 't') or 0)
  if number ~= '' then
    if at >= tonumber(call('HGET', mkey, 't:' .. number) or 0) then -- calls may be told in another order than they came
      call('HSET', mkey, 'n:' .. number, memory, 't:' .. number, ARGV[10])
    end
    local order = call('HGET', mkey, 'k') or ''
    local kept_numbers, count = number, 1
    for each in string.gmatch(order, '[^ ]+') do
      if each ~= number then
        count = count + 1
        if count > KEPT_NUMBERS then call('HDEL', mkey, 'n:' .. each, 't:' .. each) else kept_numbers = kept_numbers .. ' ' .. each end
      end
    end
    call('HSET', mkey, 'k', kept_numbers)
  end
  if at >= newest then call('HSET', mkey, 'last', memory, 'v', visitor, 't', ARGV[10]) end
end
call('PEXPIRE', mkey, kept)
return 1
