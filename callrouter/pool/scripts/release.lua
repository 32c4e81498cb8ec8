-- A session gives its number back. ARGV[4]: session. Returns the number, or '' if it held none.

local visit = visit_of(ARGV[4])
local number = visit and visit[V_NUM] or ''
if number == '' then return '' end
visit[V_NUM] = ''
call('SET', P .. 's:' .. ARGV[4], visit_record(visit), 'KEEPTTL')
local f = number_of(number)
if not f or f[ST] ~= 'L' or f[SESSION] ~= ARGV[4] then return '' end
if f[E] <= now then
  set_free(f, f[E], ENDED_EXPIRED)
  return ''
end
set_free(f, now, ENDED_RELEASED)
return number
