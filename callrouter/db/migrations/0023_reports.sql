-- Days added up beforehand, so that a year is not counted row by row; and what must be known for that.
--
-- Whoever changes a row marks its day, in the same transaction. A day with a mark is counted from its rows; a day without
-- one from its sums, or has no rows at all. Marks are only ever added: writers do not wait for each other. Who adds a day up
-- removes the marks that his snapshot shows, in the transaction that counts under that snapshot: what is committed later
-- leaves its mark standing. So a report is the sum of the rows that its own snapshot shows, always.

CREATE TABLE report_marks (
    account_id bigint NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    part text NOT NULL CHECK (part IN ('appeals', 'visits', 'costs')),
    day date NOT NULL,
    PRIMARY KEY (account_id, id)
);
CREATE INDEX report_marks_by_day ON report_marks (account_id, day, part);
COMMENT ON TABLE report_marks IS
    'Days on the account''s clock whose sums do not hold. The parts change apart: old visits are removed, their counts stay.';

CREATE TABLE report_sums (
    account_id bigint NOT NULL,
    cube text NOT NULL,
    model text NOT NULL,
    day date NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    part text NOT NULL,
    site bigint,
    channel text,
    source text,
    medium text,
    campaign text,
    keyword text,
    landing_page text,
    location text,
    device text,
    "group" text,
    employee text,
    hour int,
    currency text NOT NULL DEFAULT '',
    visits bigint NOT NULL DEFAULT 0,
    visitors bigint NOT NULL DEFAULT 0,
    shown bigint NOT NULL DEFAULT 0,
    overflow bigint NOT NULL DEFAULT 0,
    appeals bigint NOT NULL DEFAULT 0,
    calls bigint NOT NULL DEFAULT 0,
    outgoing bigint NOT NULL DEFAULT 0,
    forms bigint NOT NULL DEFAULT 0,
    callbacks bigint NOT NULL DEFAULT 0,
    chats bigint NOT NULL DEFAULT 0,
    emails bigint NOT NULL DEFAULT 0,
    visit_calls bigint NOT NULL DEFAULT 0,
    answered bigint NOT NULL DEFAULT 0,
    lost bigint NOT NULL DEFAULT 0,
    unique_calls bigint NOT NULL DEFAULT 0,
    quality bigint NOT NULL DEFAULT 0,
    unique_quality bigint NOT NULL DEFAULT 0,
    multichannel bigint NOT NULL DEFAULT 0,
    spam bigint NOT NULL DEFAULT 0,
    wait_ms numeric NOT NULL DEFAULT 0,
    waits bigint NOT NULL DEFAULT 0,
    talk_ms numeric NOT NULL DEFAULT 0,
    talks bigint NOT NULL DEFAULT 0,
    deals bigint NOT NULL DEFAULT 0,
    won bigint NOT NULL DEFAULT 0,
    revenue numeric NOT NULL DEFAULT 0,
    cost numeric NOT NULL DEFAULT 0,
    clicks bigint NOT NULL DEFAULT 0,
    impressions bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, cube, model, day, id)
);
CREATE INDEX report_sums_by_day ON report_sums (account_id, part, day);
COMMENT ON COLUMN report_sums.model IS 'By whom appeals and deals are shared out; of visits and costs, which have no model: their part.';
COMMENT ON TABLE report_sums IS
    'A day''s sums by the dimensions of a cube (others are null). Appeals and deals are counted in millionths: models share them out.';

CREATE TABLE exchange_rates (
    account_id bigint NOT NULL REFERENCES accounts,
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    day date NOT NULL,
    rate numeric(24, 10) NOT NULL CHECK (rate > 0),
    PRIMARY KEY (account_id, currency, day)
);
COMMENT ON TABLE exchange_rates IS 'What one unit was worth in the account''s currency from that day on. Without a rate currencies stay apart.';

CREATE INDEX costs_by_origin ON costs (account_id, imported_from, day);

SELECT wall_off(tab::regclass) FROM unnest(ARRAY['report_marks', 'report_sums', 'exchange_rates']) tab;
-- An account reads its sums; its own changes mark them, and daemons make them.
REVOKE INSERT, UPDATE, DELETE ON report_sums FROM callrouter_scoped;
REVOKE UPDATE, DELETE ON report_marks FROM callrouter_scoped;

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE FUNCTION account_day(account bigint, at timestamptz) RETURNS date LANGUAGE sql STABLE SET search_path FROM CURRENT AS
$$ SELECT (at AT TIME ZONE coalesce((SELECT time_zone FROM accounts WHERE id = account), 'UTC'))::date $$;

-- Of a batch of rows, whatever table it is of: TG_ARGV[0] is the part.
CREATE FUNCTION mark_new_days() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO report_marks (account_id, part, day)
    SELECT DISTINCT n.account_id, TG_ARGV[0], (n.started_at AT TIME ZONE coalesce(a.time_zone, 'UTC'))::date
    FROM new_rows n LEFT JOIN accounts a ON a.id = n.account_id;
    RETURN NULL;
END $$;
CREATE FUNCTION mark_old_days() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO report_marks (account_id, part, day)
    SELECT DISTINCT o.account_id, TG_ARGV[0], (o.started_at AT TIME ZONE coalesce(a.time_zone, 'UTC'))::date
    FROM old_rows o LEFT JOIN accounts a ON a.id = o.account_id;
    RETURN NULL;
END $$;

CREATE TRIGGER report_written AFTER INSERT ON appeals REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION mark_new_days('appeals');
CREATE TRIGGER report_changed_from AFTER UPDATE ON appeals REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION mark_old_days('appeals');
CREATE TRIGGER report_changed_to AFTER UPDATE ON appeals REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION mark_new_days('appeals');
CREATE TRIGGER report_removed AFTER DELETE ON appeals REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION mark_old_days('appeals');

-- Visits that are removed because they are old were there all the same: no mark.
CREATE TRIGGER report_written AFTER INSERT ON visits REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION mark_new_days('visits');
CREATE TRIGGER report_changed AFTER UPDATE ON visits REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION mark_new_days('visits');

CREATE FUNCTION mark_cost_day() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO report_marks (account_id, part, day) SELECT DISTINCT account_id, 'costs', day FROM old_rows;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO report_marks (account_id, part, day) SELECT DISTINCT account_id, 'costs', day FROM new_rows;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER report_written AFTER INSERT ON costs REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION mark_cost_day();
CREATE TRIGGER report_changed AFTER UPDATE ON costs REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION mark_cost_day();
CREATE TRIGGER report_removed AFTER DELETE ON costs REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION mark_cost_day();

-- A deal counts on the day of the appeal that it is owed to.
CREATE FUNCTION mark_deal_day() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO report_marks (account_id, part, day)
        VALUES (OLD.account_id, 'appeals', account_day(OLD.account_id, coalesce(OLD.appeal_at, OLD.opened_at)));
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO report_marks (account_id, part, day)
        VALUES (NEW.account_id, 'appeals', account_day(NEW.account_id, coalesce(NEW.appeal_at, NEW.opened_at)));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER report_written AFTER INSERT OR UPDATE OR DELETE ON deals FOR EACH ROW EXECUTE FUNCTION mark_deal_day();

CREATE FUNCTION mark_noted_day() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO report_marks (account_id, part, day)
    SELECT DISTINCT a.account_id, 'appeals', account_day(a.account_id, a.started_at) FROM appeals a
    WHERE (TG_OP <> 'INSERT' AND (a.account_id, a.id) = (OLD.account_id, OLD.appeal_id))
       OR (TG_OP <> 'DELETE' AND (a.account_id, a.id) = (NEW.account_id, NEW.appeal_id));
    RETURN NULL;
END $$;
CREATE TRIGGER report_noted AFTER INSERT OR UPDATE OR DELETE ON appeal_notes FOR EACH ROW EXECUTE FUNCTION mark_noted_day();

-- On another clock days are other days: all is counted anew.
CREATE FUNCTION mark_all_days() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO report_marks (account_id, part, day)
    SELECT DISTINCT k.account_id, k.part, k.day + n
    FROM (SELECT account_id, part, day FROM report_sums WHERE account_id = NEW.id
          UNION SELECT account_id, part, day FROM report_marks WHERE account_id = NEW.id) k,
         generate_series(-1, 1) n
    WHERE k.part <> 'costs';
    RETURN NULL;
END $$;
CREATE TRIGGER report_clock AFTER UPDATE OF time_zone ON accounts
    FOR EACH ROW WHEN (NEW.time_zone <> OLD.time_zone) EXECUTE FUNCTION mark_all_days();

-- What there is already.
INSERT INTO report_marks (account_id, part, day)
SELECT DISTINCT r.account_id, 'appeals', (r.started_at AT TIME ZONE coalesce(a.time_zone, 'UTC'))::date
FROM appeals r LEFT JOIN accounts a ON a.id = r.account_id;
INSERT INTO report_marks (account_id, part, day)
SELECT DISTINCT r.account_id, 'visits', (r.started_at AT TIME ZONE coalesce(a.time_zone, 'UTC'))::date
FROM visits r LEFT JOIN accounts a ON a.id = r.account_id;
INSERT INTO report_marks (account_id, part, day) SELECT DISTINCT account_id, 'costs', day FROM costs;
INSERT INTO report_marks (account_id, part, day)
SELECT DISTINCT account_id, 'appeals', account_day(account_id, opened_at) FROM deals;
