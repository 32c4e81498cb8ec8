-- What is kept of a caller after his call, so that his next one is understood. ARGV[4..]: caller, number dialled,
-- account, client ('' if unknown), memory of the credited visit ('' if none was), "site:visitor" of it, when, ms kept,
-- the employee who talked with him ('' if nobody did, or nobody knows).
-- The record: the visitor of the newest memory, when that was, then by turns a name and a value, each behind four bytes
-- of its length. a:<account> → client; e:<account> → employee; s:<account> → when they talked;
-- n:<number> → memory for calls on the same number, the latest told first; t:<number> → when that call was;
-- last → the newest memory. Calls may be told in another order than they came.

local caller, number, account, client = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local memory, visitor, at, kept, employee = ARGV[8], ARGV[9], tonumber(ARGV[10]), ARGV[11], ARGV[12]
local KEPT_NUMBERS = 8
local mkey = P .. 'm:' .. caller
local values, accounts, employees, talked, numbers = {}, {}, {}, {}, {}
local credited, newest = '', 0
local record = call('GET', mkey)
if record then
  local place, name, value
  credited, newest, place = open('<sd', record)
  while place <= #record do
    name, value, place = open('<I4c0I4c0', record, place)
    values[name] = value
    local kind = sub(name, 1, 2)
    if kind == 'a:' then accounts[#accounts + 1] = name end
    if kind == 'e:' then employees[#employees + 1] = name end
    if kind == 's:' then talked[#talked + 1] = name end
    if kind == 'n:' then numbers[#numbers + 1] = name end
  end
end
local function put(names, name, value)
  if not values[name] then names[#names + 1] = name end
  values[name] = value
end

if client ~= '' or not values['a:' .. account] then put(accounts, 'a:' .. account, client) end
local spoke = values['s:' .. account]
if employee ~= '' and (not spoke or at >= open('<d', spoke)) then
  put(employees, 'e:' .. account, employee)
  put(talked, 's:' .. account, pack('<d', at))
end
if memory ~= '' then
  if number ~= '' then
    local kept_numbers = {'n:' .. number}
    for _, each in ipairs(numbers) do
      if each ~= kept_numbers[1] and #kept_numbers < KEPT_NUMBERS then kept_numbers[#kept_numbers + 1] = each end
    end
    numbers = kept_numbers
    local before = values['t:' .. number]
    if not before or at >= open('<d', before) then
      values['n:' .. number], values['t:' .. number] = memory, pack('<d', at)
    end
  end
  if at >= newest then credited, newest, values['last'] = visitor, at, memory end
end
local parts = {pack('<sd', credited, newest)}
local times = {}
for _, name in ipairs(numbers) do times[#times + 1] = 't:' .. sub(name, 3) end
for _, names in ipairs({accounts, employees, talked, numbers, times, {'last'}}) do
  for _, name in ipairs(names) do
    local value = values[name]
    if value then parts[#parts + 1] = pack('<I4c0I4c0', #name, name, #value, value) end
  end
end
call('SET', mkey, table.concat(parts), 'PX', kept)
return 1
