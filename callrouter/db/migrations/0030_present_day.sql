-- The present day is added up, too: stretch by stretch, as its quarters of an hour are over. And a cube of few rows a day,
-- whatever the traffic: by channel and source only.
--
-- Marks tell the quarter in which what changed began. A day with stretches has no sums as a whole yet: what is in no
-- stretch that holds is counted from its rows. When the day is over it is added up as a whole, and its stretches go.

ALTER TABLE report_marks ADD COLUMN at timestamptz;
COMMENT ON COLUMN report_marks.at IS 'The quarter of an hour in which what changed began; null: any of the day''s.';

ALTER TABLE report_sums ADD COLUMN since timestamptz NOT NULL DEFAULT '-infinity';
COMMENT ON COLUMN report_sums.since IS 'Of a stretch of the present day: where it begins; -infinity: of the whole day.';

CREATE TABLE report_stretches (
    account_id bigint NOT NULL,
    day date NOT NULL,
    part text NOT NULL CHECK (part IN ('appeals', 'visits')),
    since timestamptz NOT NULL,
    until timestamptz NOT NULL CHECK (since < until),
    made_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, day, part, since)
);
COMMENT ON TABLE report_stretches IS 'What of the present day was added up: of a part, one after the other from the day''s first instant on.';
SELECT wall_off('report_stretches');
REVOKE INSERT, UPDATE, DELETE ON report_stretches FROM callrouter_scoped;

-- From the next larger cube: rows of old visits may be gone.
INSERT INTO report_sums (account_id, cube, model, day, part, channel, source, currency, visits, visitors, shown, overflow,
    appeals, calls, outgoing, forms, callbacks, chats, emails, visit_calls, answered, lost, unique_calls, quality,
    unique_quality, multichannel, spam, wait_ms, waits, talk_ms, talks, deals, won, revenue, cost, clicks, impressions)
SELECT account_id, 'source', model, day, part, channel, source, currency,
    nullif(sum(visits), 0), nullif(sum(visitors), 0), nullif(sum(shown), 0), nullif(sum(overflow), 0),
    nullif(sum(appeals), 0), nullif(sum(calls), 0), nullif(sum(outgoing), 0), nullif(sum(forms), 0),
    nullif(sum(callbacks), 0), nullif(sum(chats), 0), nullif(sum(emails), 0), nullif(sum(visit_calls), 0),
    nullif(sum(answered), 0), nullif(sum(lost), 0), nullif(sum(unique_calls), 0), nullif(sum(quality), 0),
    nullif(sum(unique_quality), 0), nullif(sum(multichannel), 0), nullif(sum(spam), 0), nullif(sum(wait_ms), 0),
    nullif(sum(waits), 0), nullif(sum(talk_ms), 0), nullif(sum(talks), 0), nullif(sum(deals), 0), nullif(sum(won), 0),
    nullif(sum(revenue), 0), nullif(sum(cost), 0), nullif(sum(clicks), 0), nullif(sum(impressions), 0)
FROM report_sums WHERE cube = 'channel' GROUP BY account_id, model, day, part, channel, source, currency;
-- A worker of the version before, which knows nothing of this cube, can add no day up.
ALTER TABLE report_sums ALTER since DROP DEFAULT;

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE FUNCTION report_quarter(at timestamptz) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT date_bin('15 minutes', at, TIMESTAMPTZ '2000-01-01 00:00:00+00') $$;

CREATE OR REPLACE FUNCTION mark_new_days() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO report_marks (account_id, part, day, at)
    SELECT DISTINCT n.account_id, TG_ARGV[0], (n.started_at AT TIME ZONE coalesce(a.time_zone, 'UTC'))::date,
        report_quarter(n.started_at)
    FROM new_rows n LEFT JOIN accounts a ON a.id = n.account_id;
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION mark_old_days() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO report_marks (account_id, part, day, at)
    SELECT DISTINCT o.account_id, TG_ARGV[0], (o.started_at AT TIME ZONE coalesce(a.time_zone, 'UTC'))::date,
        report_quarter(o.started_at)
    FROM old_rows o LEFT JOIN accounts a ON a.id = o.account_id;
    RETURN NULL;
END $$;

-- A sign of life changes nothing that is counted: visits that go on for hours would leave no stretch that holds.
CREATE FUNCTION mark_changed_visits() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO report_marks (account_id, part, day, at)
    SELECT DISTINCT account_id, 'visits', (started_at AT TIME ZONE coalesce(a.time_zone, 'UTC'))::date,
        report_quarter(started_at)
    FROM old_rows o FULL JOIN new_rows n USING (account_id, started_at, session) LEFT JOIN accounts a ON a.id = account_id
    WHERE (o.site_id, o.visitor, o.channel, o.source, o.medium, o.campaign, o.keyword, o.content, o.landing_page, o.location,
            o.device, o.overflow, o.number IS NULL) IS DISTINCT FROM
        (n.site_id, n.visitor, n.channel, n.source, n.medium, n.campaign, n.keyword, n.content, n.landing_page, n.location,
            n.device, n.overflow, n.number IS NULL);
    RETURN NULL;
END $$;
DROP TRIGGER report_changed ON visits;
CREATE TRIGGER report_changed AFTER UPDATE ON visits REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION mark_changed_visits();

CREATE OR REPLACE FUNCTION mark_deal_day() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO report_marks (account_id, part, day, at)
        SELECT OLD.account_id, 'appeals', account_day(OLD.account_id, counted), report_quarter(counted)
        FROM coalesce(OLD.appeal_at, OLD.opened_at) counted;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO report_marks (account_id, part, day, at)
        SELECT NEW.account_id, 'appeals', account_day(NEW.account_id, counted), report_quarter(counted)
        FROM coalesce(NEW.appeal_at, NEW.opened_at) counted;
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION mark_noted_day() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO report_marks (account_id, part, day, at)
    SELECT DISTINCT a.account_id, 'appeals', account_day(a.account_id, a.started_at), report_quarter(a.started_at)
    FROM appeals a
    WHERE (TG_OP <> 'INSERT' AND (a.account_id, a.id) = (OLD.account_id, OLD.appeal_id))
       OR (TG_OP <> 'DELETE' AND (a.account_id, a.id) = (NEW.account_id, NEW.appeal_id));
    RETURN NULL;
END $$;
