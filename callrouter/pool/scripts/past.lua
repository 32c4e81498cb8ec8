-- The ended lease of a record joins those before it, for the next one takes its place. Returns how many there are then.
local function remember_lease(n, record, count)
  local key = P .. 'h:' .. n
  call('APPEND', key, pack('<I2', #record) .. record)
  if count < 15 then return count + 1 end
  local past, at = call('GET', key), 1
  for _ = 1, 8 do at = at + 2 + open('<I2', past, at) end
  call('SET', key, sub(past, at))
  return 8
end

