-- The first of the list that is free.
local function choose()
  while true do
    local n = call('SORT', P .. 'free', 'ALPHA', 'LIMIT', '0', '1')[1]
    if not n then return nil end
    local f = number_of(n)
    withdraw(f)
    if offered_from(f) <= now then return f end
    offer(f)
  end
end
