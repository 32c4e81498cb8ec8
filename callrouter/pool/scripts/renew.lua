-- A sign of life. ARGV[4..]: session, request, hold, visit time-out, a new page (1/0), page and title, closed (1/0), ids of analytics
-- (visits.lua).
-- Returns outcome, number, lease expires, pages, now. Outcomes: live; bare (a visit without a number); lost (the number
-- has gone: ask again for one); over (the visit has ended: begin a new one).

local request, hold, gap = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
local closed = tonumber(ARGV[10])
local visit = visit_of(ARGV[4])
if not visit or now >= visit[V_Z] + gap then return {'over', '', 0, 0, now} end

-- The page that was left is not the one opened last: that one is open still, whatever order the two were told in.
if closed == 1 and ARGV[8] ~= '1' and request ~= '' and visit[V_REQUEST] ~= request then closed = 0 end
local event
if closed == 1 and visit[V_CLOSED] ~= 1 then event = 'U' end
if ARGV[8] == '1' and visit[V_REQUEST] ~= request then
  visit[V_PAGES], visit[V_REQUEST], visit[V_PAGE] = visit[V_PAGES] + 1, request, ARGV[9]
  event = 'P'
end
if retold(visit, ARGV[11]) and not event then event = 'F' end
visit[V_Z], visit[V_CLOSED], visit[V_GAP] = now, closed, gap
local record = visit_record(visit)
call('SET', P .. 's:' .. ARGV[4], record, 'PX', gap + window)
if event then call('XADD', P .. 'log', '*', event, record, 's', ARGV[4]) end

if visit[V_NUM] == '' then return {'bare', '', 0, visit[V_PAGES], now} end
local f = number_of(visit[V_NUM])
if not f or f[ST] ~= 'L' or f[SESSION] ~= ARGV[4] then return {'lost', '', 0, visit[V_PAGES], now} end
if f[E] <= now then
  set_free(f, f[E], ENDED_EXPIRED)
  return {'lost', '', 0, visit[V_PAGES], now}
end
if now + hold > f[E] then f[E] = now + hold end
if closed == 1 then
  call('ZADD', P .. 'shut', f[E], f[NUMBER])
elseif f[CLOSED] == 1 then
  call('ZREM', P .. 'shut', f[NUMBER])
end
f[Z], f[CLOSED] = now, closed
sign(f)
save(f)
return {'live', f[NUMBER], f[E], visit[V_PAGES], now}
