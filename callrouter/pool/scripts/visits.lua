-- Visit record: v visitor · w site · a account · b begun · z seen · n pages · num number · g campaign signature ·
-- r latest request that counted · q leases so far · c page closed · o overflow · gap time-out · pg page and title ·
-- f facts of the first hit. The session is kept beside the record.
local V_VISITOR, V_SITE, V_ACCOUNT, V_B, V_Z, V_PAGES, V_NUM, V_CAMPAIGN, V_REQUEST, V_Q, V_CLOSED, V_OVER, V_GAP, V_PAGE,
  V_FACTS, V_SESSION = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16

local function visit_of(session)
  local record = call('GET', P .. 's:' .. session)
  if not record then return nil end
  local visit = {open(record)}
  visit[V_SESSION] = session
  return visit
end
