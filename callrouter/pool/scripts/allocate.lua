-- A hit of a visitor: continue his visit or begin a new one, and see that it has a number if it wants one.
-- ARGV[4..]: proposed session (also names the request: asking twice is asking once), site, account, visitor, campaign
-- signature, facts of the first hit, page and title, the same as they are written at the beginning of a visit, hold,
-- visit time-out, wants a number (1/0), policy when the pool is empty (fallback/nearest_end), minimum age of a lease
-- that may be taken, ms a visitor is remembered, rest after this lease, counts as a page (1/0), affinity, and 1 if an
-- empty pool is to leave no trace of this hit, for another one is asked next, ids of analytics (visits.lua).
-- Returns outcome, session, 1 if the visit is new, number, lease expires, visit started, pages, now, ms for which the
-- number had been free (-1: for ever, or not leased now).
-- Outcomes: kept, leased, overflow, none (no number wanted), empty (no trace), foreign (the session is another's).

local asked, site, account, visitor, campaign = ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local hold, gap, wants, policy = tonumber(ARGV[12]), tonumber(ARGV[13]), ARGV[14] == '1', ARGV[15]
local ROUNDS, AT_ONCE = 32, 16
local latest, last = '', ''
if known then latest, last = open('<ss', known) end

-- The closed lease nearest to its end, if the site's policy is to take it.
local function nearest_end()
  local young = tonumber(ARGV[16])
  for _, n in ipairs(call('ZRANGE', P .. 'shut', '0', AT_ONCE - 1)) do
    local f = number_of(n)
    if f[B] + young <= now and f[PIN] <= now then
      end_lease(f, now, ENDED_TAKEN)
      return f
    end
  end
end

-- Pinned or resting numbers are no help, so go on reclaiming until one may be offered, or enough was looked at.
local function find()
  reclaim(AT_ONCE)
  for _ = 1, ROUNDS do
    local f = choose(account, visitor, site, last)
    if f then return f end
    if reclaim(AT_ONCE) == 0 then break end
  end
  return policy == 'nearest_end' and nearest_end() or nil
end

-- The number that this visit still holds; a lease of the visitor's earlier visit ends now and the number stays his.
local function held_by(visit)
  local f = visit[V_NUM] ~= '' and number_of(visit[V_NUM])
  if f and f[ST] == 'L' and f[SESSION] == visit[V_SESSION] and now < f[E] then return f end
  if latest == '' or latest == visit[V_SESSION] or last == '' then return nil end
  f = number_of(last)
  if f and f[ST] == 'L' and f[SESSION] == latest then
    if f[E] <= now then set_free(f, f[E], ENDED_EXPIRED) else set_free(f, now, ENDED_RELEASED) end
  end
end

local function lease(f, visit)
  local idle = -1
  if f[X] > 0 then
    idle = now > f[X] and now - f[X] or 0
    f[PASTS] = remember_lease(f[NUMBER], number_record(f), f[PASTS])
  end
  visit[V_Q] = visit[V_Q] + 1
  local begun = f[X] > now and f[X] or now -- the clock went back: leases still do not overlap
  f[ST], f[CLOSED], f[WHY], f[Q], f[REST], f[VB], f[B], f[Z] = 'L', 0, 0, visit[V_Q], tonumber(ARGV[18]), visit[V_B], begun, now
  f[E], f[ACCOUNT], f[SITE], f[SESSION], f[VISITOR], f[SIGNS] = begun + hold, account, site, visit[V_SESSION], visitor, ''
  return idle
end

local function keep(f)
  if f[CLOSED] == 1 then call('ZREM', P .. 'shut', f[NUMBER]) end
  f[Z], f[CLOSED] = now, 0
  if now + hold > f[E] then f[E] = now + hold end
  sign(f)
  save(f)
end

-- Answers the hit of a visit; nil if a new one's name is taken already.
local function serve(visit, is_new)
  local event
  if is_new then
    -- Before anything changes hands: a request whose name is taken gets no number, and leaves no trace on any.
    if not known and call('EXISTS', P .. 's:' .. asked) == 1 then return nil end
    visit = {asked, 0, 0, 1, 0, gap, now, now, visitor, site, account, '', campaign, asked, ARGV[11], ARGV[9]}
    event = 'V'
  else
    visit[V_Z], visit[V_CLOSED], visit[V_GAP] = now, 0, gap
    if ARGV[19] == '1' and visit[V_REQUEST] ~= asked and visit[V_SESSION] ~= asked then
      visit[V_PAGES], visit[V_REQUEST], visit[V_PAGE] = visit[V_PAGES] + 1, asked, ARGV[10]
      event = 'P'
    end
    if retold(visit, ARGV[22]) and not event then event = 'F' end
  end
  local session, outcome, idle, f = visit[V_SESSION], 'none', -1, nil
  if wants then
    f = held_by(visit)
    outcome = 'kept'
    if not f then
      f = find()
      outcome = f and 'leased' or 'overflow'
      if not f and ARGV[21] == '1' then return {'empty', now} end
      if f then idle = lease(f, visit) else visit[V_OVER] = 1 end
      visit[V_NUM] = f and f[NUMBER] or ''
    end
  end
  local record = visit_record(visit)
  call('SET', P .. 's:' .. session, record, 'PX', gap + window)
  call('SET', vkey, pack('<ss', session, f and f[NUMBER] or last), 'PX', ARGV[17])
  if not f or hold > gap then call('ZADD', P .. 'live', 'NX', now + gap, session) end
  if outcome == 'leased' then
    local begun = number_record(f)
    call('SET', P .. 'n:' .. f[NUMBER], begun)
    call('ZADD', P .. 'due', f[E], f[NUMBER])
    if event then
      call('XADD', P .. 'log', '*', event, record, 's', session, 'L', begun, 'n', f[NUMBER])
    else
      call('XADD', P .. 'log', '*', 'L', begun, 'n', f[NUMBER])
    end
  else
    if outcome == 'kept' then keep(f) end
    if outcome == 'overflow' then event = event and event .. 'O' or 'O' end
    if event then call('XADD', P .. 'log', '*', event, record, 's', session) end
  end
  return {outcome, session, is_new and 1 or 0, f and f[NUMBER] or '', f and f[E] or 0, visit[V_B], visit[V_PAGES], now, idle}
end

-- Which visit is this? A repeated request's own, else the visitor's latest, unless it is over or a new campaign came.
local visit = known and visit_of(asked)
if known and not visit then
  visit = visit_of(latest)
  if visit and (now >= visit[V_Z] + gap or campaign ~= '' and campaign ~= visit[V_CAMPAIGN]) then visit = nil end
end
local reply
if not visit then
  reply = serve(nil, true)
  if reply then return reply end
  visit = visit_of(asked)
end
if visit[V_VISITOR] ~= visitor or visit[V_SITE] ~= site then return {'foreign', now} end
return serve(visit, false)
