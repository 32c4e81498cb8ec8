-- CALLS: each call's id behind a byte of its length, and when it began.
-- Without the call `id`, and without those that began before `oldest`, for their end was never told.
local function calls_without(calls, id, oldest)
  local left, at = '', 1
  while at <= #calls do
    local each, began, following = open('<Bc0d', calls, at)
    if each ~= id and began >= oldest then left = left .. sub(calls, at, following - 1) end
    at = following
  end
  return left
end
