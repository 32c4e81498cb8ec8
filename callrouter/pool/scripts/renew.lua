-- Whatever is not as usual.
local closed = tonumber(ARGV[10])
local visit = visit_of(ARGV[4])
if not visit or now >= visit[V_Z] + gap then return pack(RENEWAL_FORMAT, RENEWED_OVER, 0, 0, now) end

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
local number, expires = visit[V_NUM], visit[V_EXPIRES]
if now < expires then
  extend(visit, hold)
  if closed == 1 then
    call('ZADD', P .. 'shut', visit[V_EXPIRES], number)
  elseif visit[V_SHUT] == 1 then
    call('ZREM', P .. 'shut', number)
  end
  visit[V_SHUT] = closed
end
local record = visit_record(visit)
save_visit(visit, record)
if event then call('XADD', P .. 'log', '*', event, record, 's', ARGV[4]) end

if number == '' then return pack(RENEWAL_FORMAT, RENEWED_BARE, visit[V_PAGES], 0, now) end
if now < expires then return pack(RENEWAL_FORMAT, RENEWED_LIVE, visit[V_PAGES], visit[V_EXPIRES], now) .. number end
local f = expires > 0 and number_of(number)
if f and f[VISIT] then set_free(f, f[E], ENDED_EXPIRED) end
return pack(RENEWAL_FORMAT, RENEWED_LOST, visit[V_PAGES], 0, now)
