-- The journal's pages by filters: what most of them ask about stands in one index, so that a month of a large account is
-- looked through without its rows. Texts from the web do not stand in it, for together they may be longer than an index
-- holds (what does is cut: callrouter.appeals.enrich); campaigns and keywords, whose tails are long, have indexes of their
-- own. Nor does it have what is judged after a row is written, which would write all indexes anew.

CREATE INDEX appeals_in_brief ON appeals (account_id, started_at, id) INCLUDE (
    kind, direction, status, site_id, client_id, customer, called, final_group, employee, channel, method, confidence, wait_s,
    talk_s, is_unique, quality, late
);
CREATE INDEX appeals_by_campaign ON appeals (account_id, campaign, started_at) WHERE campaign <> '';
CREATE INDEX appeals_by_keyword ON appeals (account_id, keyword, started_at) WHERE keyword <> '';
-- Whom a client that is no more became.
CREATE INDEX client_merges_by_merged ON client_merges (account_id, merged_id) WHERE undone_at IS NULL;
