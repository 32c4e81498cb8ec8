-- A sign of life. ARGV[4..]: session, request, hold, visit time-out, a new page (1/0), page and title, closed (1/0), ids
-- of analytics (visits.lua).
-- Returns packed: outcome, pages, lease expires, now, number. Outcomes: live; bare (a visit without a number); lost (the number
-- has gone: ask again for one); over (the visit has ended: begin a new one).
--
-- The usual one before all else, without any function of its own: a page that is open is open still, and so it stands
-- with its lease. Only the fixed part of the visit's record is read and written.
local request, hold, gap = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
if ARGV[10] == '0' and ARGV[8] ~= '1' and ARGV[11] == '' then
  local skey = P .. 's:' .. ARGV[4]
  local head = call('GETRANGE', skey, '0', '127')
  if head ~= '' then
    local _, over, pages, q, _, begun, seen, shut, signs, latest, from, _, expires, number = open(VISIT_NUMBER_FORMAT, head)
    if shut == 0 and now < seen + gap and now < expires then
      local offset = now - from
      local signed = offset >= 0 and (signs == 0 or offset - latest >= 15000)
      if not signed or signs < 64 and offset <= 4294967295 then
        if signed then
          signs, latest = signs + 1, offset
          call('APPEND', skey, pack('<I4', offset))
        end
        if now + hold > expires then expires = now + hold end
        call('SETRANGE', skey, '0',
          pack(VISIT_HEAD_FORMAT, 0, over, pages, q, gap, begun, now, 0, signs, latest, from, now, expires))
        return pack(RENEWAL_FORMAT, RENEWED_LIVE, pages, expires, now) .. number
      end
    end
  end
end
