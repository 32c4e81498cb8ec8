-- What led to appeals: whose visits are whose, which clients are to be judged again, and what deals are owed to.
--
-- Whoever changes what a verdict rests on leaves a mark in the same transaction; a daemon judges the marked clients again.
-- Marks are only ever added, never changed: writers do not wait for each other, and one who judges removes the marks that
-- he saw before he read, so that what is written meanwhile is judged once more.

ALTER TABLE appeals ADD COLUMN credits jsonb;
COMMENT ON COLUMN appeals.multichannel IS 'Rules §7; null: not judged yet.';
COMMENT ON COLUMN appeals.touches IS 'The chain of a multichannel appeal, where the account has switched that on.';
COMMENT ON COLUMN appeals.credits IS 'Touches with their share by each attribution model; null: all is the appeal''s own.';

CREATE TABLE client_visitors (
    account_id bigint NOT NULL,
    visitor text NOT NULL,
    client_id bigint NOT NULL,
    judged_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, visitor, client_id)
);
CREATE INDEX client_visitors_by_client ON client_visitors (account_id, client_id);
COMMENT ON TABLE client_visitors IS
    'Whose visits are a client''s touches: he told it himself, or a call of his was credited to them with more than an even chance.';
COMMENT ON COLUMN client_visitors.judged_at IS 'Visits that began before, and are written later, came late: appeals may be owed to them.';
SELECT wall_off('client_visitors');

CREATE TABLE touch_marks (
    account_id bigint NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    client_id bigint NOT NULL,
    since timestamptz NOT NULL,
    PRIMARY KEY (account_id, id)
);
COMMENT ON TABLE touch_marks IS 'Clients whose appeals from `since` on are to be judged again; -infinity: also whose visits are his.';
SELECT wall_off('touch_marks');

CREATE INDEX visits_by_ga ON visits (account_id, ga_client_id) WHERE ga_client_id <> '';
CREATE INDEX visits_by_ym ON visits (account_id, ym_client_id) WHERE ym_client_id <> '';

ALTER TABLE deals
    ADD COLUMN version int NOT NULL DEFAULT 1,
    ADD COLUMN ga_client_id text NOT NULL DEFAULT '',
    ADD COLUMN ym_client_id text NOT NULL DEFAULT '',
    ADD COLUMN appeal_id uuid,
    ADD COLUMN appeal_at timestamptz,
    ADD COLUMN created_at timestamptz NOT NULL DEFAULT now();
COMMENT ON COLUMN deals.appeal_at IS
    'Of the appeal that the deal is owed to: the client''s last one before it was opened, else his first after. Null: he has none.';
COMMENT ON COLUMN deals.history IS 'What was changed when, by whom: [{"at", "by", "changes": {field: [before, after]}}].';
CREATE INDEX deals_by_time ON deals (account_id, opened_at, id);
CREATE INDEX deals_by_appeal ON deals (account_id, appeal_at) WHERE appeal_at IS NOT NULL;
CREATE INDEX deals_without_appeal ON deals (account_id, opened_at) WHERE appeal_at IS NULL;

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE FUNCTION appeals_written_touch() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO touch_marks (account_id, client_id, since)
    SELECT account_id, client_id, min(started_at) FROM new_rows WHERE client_id IS NOT NULL GROUP BY 1, 2;
    RETURN NULL;
END $$;
CREATE TRIGGER touch_written AFTER INSERT ON appeals REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION appeals_written_touch();

CREATE FUNCTION appeals_changed_touch() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO touch_marks (account_id, client_id, since)
    SELECT DISTINCT o.account_id, c.client_id, '-infinity'::timestamptz
    FROM old_rows o JOIN new_rows n USING (account_id, id)
    CROSS JOIN LATERAL (VALUES (o.client_id), (n.client_id)) c (client_id)
    WHERE c.client_id IS NOT NULL AND (o.client_id, o.started_at, o.visitor, o.session, o.confidence)
        IS DISTINCT FROM (n.client_id, n.started_at, n.visitor, n.session, n.confidence);
    RETURN NULL;
END $$;
CREATE TRIGGER touch_changed AFTER UPDATE ON appeals REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION appeals_changed_touch();

CREATE FUNCTION appeals_removed_touch() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO touch_marks (account_id, client_id, since)
    SELECT DISTINCT account_id, client_id, '-infinity'::timestamptz FROM old_rows WHERE client_id IS NOT NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER touch_removed AFTER DELETE ON appeals REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION appeals_removed_touch();

-- Who judges reads visits behind the same lock: a visit is either seen by him, or sees here whose it is.
CREATE FUNCTION visits_written_touch() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('callrouter.touches', 0));
    INSERT INTO touch_marks (account_id, client_id, since)
    SELECT v.account_id, c.client_id, min(v.started_at)
    FROM new_rows v JOIN client_visitors c ON c.account_id = v.account_id AND c.visitor = v.visitor
    WHERE c.judged_at > v.started_at GROUP BY 1, 2;
    RETURN NULL;
END $$;
CREATE TRIGGER touch_written AFTER INSERT ON visits REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION visits_written_touch();

CREATE FUNCTION identity_moved_touch() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO touch_marks (account_id, client_id, since) VALUES (OLD.account_id, OLD.client_id, '-infinity');
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO touch_marks (account_id, client_id, since) VALUES (NEW.account_id, NEW.client_id, '-infinity');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER touch_told AFTER INSERT ON client_identities
    FOR EACH ROW WHEN (NEW.kind = 'visitor') EXECUTE FUNCTION identity_moved_touch();
CREATE TRIGGER touch_moved AFTER UPDATE ON client_identities
    FOR EACH ROW WHEN (NEW.kind = 'visitor' AND NEW.client_id <> OLD.client_id) EXECUTE FUNCTION identity_moved_touch();
CREATE TRIGGER touch_forgotten AFTER DELETE ON client_identities
    FOR EACH ROW WHEN (OLD.kind = 'visitor') EXECUTE FUNCTION identity_moved_touch();

-- A deal without a client is owed to nobody.
CREATE FUNCTION deal_written_touch() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NEW.client_id IS NULL THEN
        NEW.appeal_id := NULL;
        NEW.appeal_at := NULL;
    ELSE
        INSERT INTO touch_marks (account_id, client_id, since) VALUES (NEW.account_id, NEW.client_id, 'infinity');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER touch_written BEFORE INSERT OR UPDATE OF client_id, opened_at ON deals
    FOR EACH ROW EXECUTE FUNCTION deal_written_touch();

CREATE FUNCTION account_changed_touch() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO touch_marks (account_id, client_id, since)
    SELECT DISTINCT account_id, client_id, '-infinity'::timestamptz FROM client_visitors WHERE account_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER touch_changed AFTER UPDATE OF multichannel, multichannel_touches, multichannel_days ON accounts
    FOR EACH ROW EXECUTE FUNCTION account_changed_touch();

-- What there is already.
INSERT INTO touch_marks (account_id, client_id, since) SELECT account_id, id, '-infinity' FROM clients;
