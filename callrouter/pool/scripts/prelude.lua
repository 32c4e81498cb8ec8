-- What every script of a pool shares: names of its keys, what they hold, and the clock.
-- KEYS[1] is the prefix of the pool's slot, hash tag included; every key a script touches begins with it.
-- ARGV[1..3]: now in ms (0: the server's clock), rest after a lease in ms, attribution window in ms.
--
--   <prefix>n:<number>          number record: its running or latest lease, pins, and the leases before (below)
--   <prefix>s:<session>         visit record: facts of the first hit, and what changes (below)
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
--   <prefix>m:<caller>          hash   what we remember of a caller
--   <prefix>log                 stream what happened, for the history in Postgres
--   <prefix>ver                 version of the inventory that was loaded last
--
-- A record is a row of MessagePack values, so that one GET and one SET carry a state and no number is printed. Times are
-- in ms, flags 0 or 1, ids text. What a number's record means when st is F (free): the same lease, ended at x.
local call, pack, open = redis.call, cmsgpack.pack, cmsgpack.unpack
local P = KEYS[1]
local now, rest, window = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
if now == 0 then
  local t = call('TIME')
  now = t[1] * 1000 + math.floor(t[2] / 1000)
end

-- Number record: st F free, L leased, D set aside · s session · q which lease of that visit · v visitor · a account ·
-- w site · vb visit begun · b begun · z seen · e expires · c page closed · r rest asked for by its site · x ended ·
-- why · p pinned until · calls that have not ended: '' or call → started · zs signs of life, four bytes each: ms after
-- the beginning · past leases, at most eight, the oldest first, each behind two bytes of its length and a first byte
-- for their count. The number itself is kept beside the record.
local ST, SESSION, Q, VISITOR, ACCOUNT, SITE, VB, B, Z, E, CLOSED, REST, X, WHY, PIN, CALLS, SIGNS, PAST, NUMBER =
  1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19
