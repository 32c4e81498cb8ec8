-- What every script of a pool shares: names of its keys, what they hold, and the clock.
-- KEYS[1] is the prefix of the pool's slot, hash tag included; every key a script touches begins with it.
-- ARGV[1..3]: now in ms (0: the server's clock), rest after a lease in ms, attribution window in ms.
--
--   <prefix>n:<number>          number record: its running or latest lease, what pins it, and its calls (below)
--   <prefix>h:<number>          the leases that have ended: eight to fifteen records, each behind two bytes of its length,
--                               the oldest first; fewer while there were no more
--   <prefix>s:<session>         visit record: facts of the first hit, what changes, and its running lease (below)
--   <prefix>v:<site>:<visitor>  a visitor's latest session, and the number that he was leased last
--   <prefix>free, free:<acct>   zset   numbers that anybody may have, by the end of their last lease (0: never leased);
--                                      the same by the account that had them
--   <prefix>due                 zset   leased and resting numbers by a time not later than their lease's or rest's end:
--                                      a renewal leaves it as it is, whoever comes by at that time puts in the new one
--   <prefix>resting             set    numbers in `due` that are not leased but pinned or resting
--   <prefix>off                 set    numbers set aside
--   <prefix>all                 set    the pool's numbers
--   <prefix>gone                zset   numbers that moved to another pool, by when
--   <prefix>shut                zset   leased numbers whose page is closed, by the time their lease runs out
--   <prefix>live                zset   visits by a time not later than their end; one that has a lease waits for its end
--   <prefix>m:<caller>          what we remember of a caller (remember.lua)
--   <prefix>log                 stream what happened, for the history in Postgres
--   <prefix>ver                 version of the inventory that was loaded last
--
-- A record is one packed string (layout.py), so that one GET and one SET carry a state; the scripts have it as a list, whose
-- places have the names below. Times are in ms, flags 0 or 1. No number is printed: that costs as much as a command.
--
-- Number record: ST F free, L leased, D set aside · CLOSED page closed · WHY it ended · Q which lease of that visit · REST
-- asked for by its site · VB visit begun (never leased: when it was loaded) · B begun · Z seen · E expires · X ended ·
-- PIN pinned until · PASTS how many leases there are in h: · ACCOUNT · SITE · SESSION · VISITOR · SIGNS of life, four
-- bytes each: ms after the beginning · CALLS, each as it was added (numbers.lua). When ST is F, the lease told is the
-- latest, ended at X. While it is L, the visit knows better than the number what a sign of life changes: CLOSED, Z, E
-- and SIGNS, so that renewing touches the visit's record only; number_of puts them in. AT_… are bytes.
--
-- Visit record: V_CLOSED page closed · V_OVER overflow · V_PAGES · V_Q leases so far · V_GAP time-out · V_B begun · V_Z
-- seen · of its running lease: V_SHUT page closed, V_COUNT and V_LATEST of its signs of life, V_BEGUN, V_SEEN, V_EXPIRES
-- (0: none runs) · V_NUM number · V_VISITOR · V_SITE · V_ACCOUNT · V_CAMPAIGN signature · V_REQUEST latest that counted ·
-- V_PAGE and its title · V_FACTS of the first hit · V_SIGNS of the lease. It has a time-out once no lease of it runs.
local call, pack, open, sub = redis.call, struct.pack, struct.unpack, string.sub
local P = KEYS[1]
local now = ARGV[1]
if now == '0' then
  local t = call('TIME')
  local ms = t[2] / 1000
  now = t[1] * 1000 + (ms - ms % 1)
else
  now = tonumber(now)
end
