-- A hit of a visitor: continue his visit or begin a new one, and see that it has a number if it wants one.
-- ARGV[4..]: proposed session (also names the request: asking twice is asking once), site, account, visitor, campaign
-- signature, facts of the first hit, page and title, the same as they are written at the beginning of a visit, hold,
-- visit time-out, wants a number (1/0), policy when the pool is empty (fallback/nearest_end), minimum age of a lease
-- that may be taken, ms a visitor is remembered, rest after this lease, counts as a page (1/0), affinity, and 1 if an
-- empty pool is to leave no trace of this hit, for another one is asked next, ids of analytics (visits.lua).
-- Returns packed: outcome, 1 if the visit is new, pages, lease expires, visit started, now, ms for which the number had
-- been free (-1: for ever, or not leased now), session, number.
-- Outcomes: kept, leased, overflow, none (no number wanted), empty (no trace), foreign (the session is another's).

local asked, site, account, visitor, campaign = ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local hold, gap, wants, policy = tonumber(ARGV[12]), tonumber(ARGV[13]), ARGV[14] == '1', ARGV[15]
local ROUNDS, AT_ONCE = 32, 16
local latest, last, outdated = '', '', false
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
  local f = visit[V_EXPIRES] > 0 and number_of(visit[V_NUM])
  if f and f[ST] == 'L' and f[SESSION] == visit[V_SESSION] then
    if now < f[E] then return f end
    set_free(f, f[E], ENDED_EXPIRED)
  end
  if latest == '' or latest == visit[V_SESSION] or last == '' then return nil end
  f = number_of(last)
  if f and f[ST] == 'L' and f[SESSION] == latest then
    if f[E] <= now then set_free(f, f[E], ENDED_EXPIRED) else set_free(f, now, ENDED_RELEASED) end
  end
end

local function lease(f, visit)
  local idle = -1
  if f[X] > 0 then idle = now > f[X] and now - f[X] or 0 end
  visit[V_Q] = visit[V_Q] + 1
  local begun = f[X] > now and f[X] or now -- the clock went back: leases still do not overlap
  f[ST], f[CLOSED], f[WHY], f[Q], f[REST], f[VB], f[B], f[Z] = 'L', 0, 0, visit[V_Q], tonumber(ARGV[18]), visit[V_B], begun, now
  f[E], f[ACCOUNT], f[SITE], f[SESSION], f[VISITOR], f[SIGNS] = begun + hold, account, site, visit[V_SESSION], visitor, ''
  visit[V_SHUT], visit[V_COUNT], visit[V_LATEST], visit[V_SIGNS] = 0, 0, 0, ''
  visit[V_BEGUN], visit[V_SEEN], visit[V_EXPIRES] = begun, now, begun + hold
  return idle
end

local function keep(visit)
  if visit[V_SHUT] == 1 then call('ZREM', P .. 'shut', visit[V_NUM]) end
  visit[V_SHUT] = 0
  extend(visit, hold)
end

-- Answers the hit of a visit; nil if a new one's name is taken already.
local function serve(visit, is_new)
  local event
  if is_new then
    -- Before anything changes hands: a request whose name is taken gets no number, and leaves no trace on any.
    if not known and taken then return nil end
    visit = {asked, 0, 0, 1, 0, gap, now, now, 0, 0, 0, 0, 0, 0, '', visitor, site, account, campaign, asked, ARGV[11], ARGV[9], ''}
    event = 'V'
  else
    visit[V_Z], visit[V_CLOSED], visit[V_GAP] = now, 0, gap
    if ARGV[19] == '1' and not outdated and visit[V_REQUEST] ~= asked and visit[V_SESSION] ~= asked then
      visit[V_PAGES], visit[V_REQUEST], visit[V_PAGE] = visit[V_PAGES] + 1, asked, ARGV[10]
      event = 'P'
    end
    if retold(visit, ARGV[22]) and not event then event = 'F' end
  end
  local session, outcome, idle, f = visit[V_SESSION], ALLOCATED_NONE, -1, nil
  if wants then
    f = held_by(visit)
    outcome = ALLOCATED_KEPT
    if not f then
      f = find()
      outcome = f and ALLOCATED_LEASED or ALLOCATED_OVERFLOW
      if not f and ARGV[21] == '1' then return pack(ALLOCATION_FORMAT, ALLOCATED_EMPTY, 0, 0, 0, 0, now, -1, '') end
      if f then idle = lease(f, visit) else visit[V_OVER], visit[V_EXPIRES] = 1, 0 end
      visit[V_NUM] = f and f[NUMBER] or ''
    else
      keep(visit)
    end
  end
  local record = visit_record(visit)
  save_visit(visit, record)
  call('SET', vkey, pack('<ss', session, f and f[NUMBER] or last), 'PX', ARGV[17])
  if not f or hold > gap then call('ZADD', P .. 'live', 'NX', now + gap, session) end
  if outcome == ALLOCATED_LEASED then
    local begun = number_record(f)
    call('SET', P .. 'n:' .. f[NUMBER], begun)
    call('ZADD', P .. 'due', f[E], f[NUMBER])
    if event then
      call('XADD', P .. 'log', '*', event, record, 's', session, 'L', begun, 'n', f[NUMBER])
    else
      call('XADD', P .. 'log', '*', 'L', begun, 'n', f[NUMBER])
    end
  else
    if outcome == ALLOCATED_OVERFLOW then event = event and event .. 'O' or 'O' end
    if event then call('XADD', P .. 'log', '*', event, record, 's', session) end
  end
  return pack(ALLOCATION_FORMAT, outcome, is_new and 1 or 0, visit[V_PAGES], f and visit[V_EXPIRES] or 0, visit[V_B], now,
    idle, session) .. (f and f[NUMBER] or '')
end

-- Which visit is this? A repeated request's own, else the visitor's latest, unless it is over or a new campaign came.
local visit = known and visit_of(asked)
if known and not visit then
  visit = visit_of(latest)
  if visit and (now >= visit[V_Z] + gap or campaign ~= '' and campaign ~= visit[V_CAMPAIGN]) then visit = nil end
elseif known and latest ~= asked and visit[V_VISITOR] == visitor and visit[V_SITE] == site then
  -- An earlier visit's request, repeated late: the visit that he began since goes on, and keeps its number.
  local newer = visit_of(latest)
  if newer and now < newer[V_Z] + gap then visit, outdated = newer, true end
end
local reply
if not visit then
  reply = serve(nil, true)
  if reply then return reply end
  visit = visit_of(asked)
end
if visit[V_VISITOR] ~= visitor or visit[V_SITE] ~= site then
  return pack(ALLOCATION_FORMAT, ALLOCATED_FOREIGN, 0, 0, 0, 0, now, -1, '')
end
return serve(visit, false)
