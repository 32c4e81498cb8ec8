-- A session gives its number back. ARGV[4]: session. Returns the number, or '' if it held none.

local visit = visit_of(ARGV[4])
local number = visit and visit[V_NUM] or ''
if number == '' then return '' end
local f = visit[V_EXPIRES] > 0 and number_of(number)
if not f or not f[VISIT] then
  visit[V_NUM] = ''
  call('SET', P .. 's:' .. ARGV[4], visit_record(visit), 'KEEPTTL')
  return ''
end
f[VISIT][V_NUM] = ''
if f[E] <= now then
  set_free(f, f[E], ENDED_EXPIRED)
  return ''
end
set_free(f, now, ENDED_RELEASED)
return number
