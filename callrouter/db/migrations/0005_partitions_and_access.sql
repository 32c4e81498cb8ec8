-- Monthly partitions, and the wall between accounts.

-- Makes the partitions of this month, the one before and the next `ahead`, in every table partitioned by time; rows that
-- waited in a default partition move into theirs. Returns how many partitions were made. Run by the worker and by migrate.
CREATE FUNCTION ensure_partitions(ahead int DEFAULT 3, at timestamptz DEFAULT now()) RETURNS int
LANGUAGE plpgsql SET timezone = 'UTC' AS $$
DECLARE
    parent record;
    month timestamptz;
    part text;
    made int := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('callrouter.ensure_partitions'));
    FOR parent IN
        SELECT c.oid, c.relname, n.nspname, a.attname AS key
        FROM pg_partitioned_table p
        JOIN pg_class c ON c.oid = p.partrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.partattrs[0]
        WHERE p.partstrat = 'r' AND n.nspname = current_schema() AND c.relname = ANY (time_partitioned())
    LOOP
        IF to_regclass(format('%I.%I', parent.nspname, parent.relname || '_default')) IS NULL THEN
            EXECUTE format('CREATE TABLE %I PARTITION OF %I DEFAULT', parent.relname || '_default', parent.relname);
            EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', parent.relname || '_default');
        END IF;
        FOR month IN
            SELECT generate_series(date_trunc('month', at) - interval '1 month',
                                   date_trunc('month', at) + make_interval(months => ahead), interval '1 month')
        LOOP
            part := parent.relname || to_char(month, '_YYYY_MM');
            CONTINUE WHEN to_regclass(format('%I.%I', parent.nspname, part)) IS NOT NULL;
            EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', part, parent.relname);
            EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', part);
            EXECUTE format('WITH moved AS (DELETE FROM %I WHERE %I >= %L AND %I < %L RETURNING *) INSERT INTO %I SELECT * FROM moved',
                           parent.relname || '_default', parent.key, month, parent.key, month + interval '1 month', part);
            EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                           parent.relname, part, month, month + interval '1 month');
            made := made + 1;
        END LOOP;
    END LOOP;
    RETURN made;
END $$;

CREATE FUNCTION time_partitioned() RETURNS name[] LANGUAGE sql IMMUTABLE AS
$$ SELECT ARRAY['visits', 'visit_pages', 'appeals', 'deliveries']::name[] $$;

SELECT ensure_partitions();

-- Services connect as the owner and see all accounts. Whatever acts for one account takes the role callrouter_scoped, which
-- sees the rows of the account named by the setting callrouter.account and no others (callrouter.db.connect.scoped).
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'callrouter_scoped') THEN
        CREATE ROLE callrouter_scoped NOLOGIN;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN
        NULL; -- another database of this server was migrated at the same moment
    WHEN insufficient_privilege THEN
        RAISE EXCEPTION 'the role callrouter_scoped is missing and % may not create it', current_user
            USING HINT = format('As a superuser: CREATE ROLE callrouter_scoped NOLOGIN; GRANT callrouter_scoped TO %I;', current_user);
END $$;
DO $$
BEGIN
    IF NOT pg_has_role(current_user, 'callrouter_scoped', 'MEMBER') THEN
        EXECUTE format('GRANT callrouter_scoped TO %I', current_user);
    END IF;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE EXCEPTION '% is not a member of the role callrouter_scoped and may not make itself one', current_user
            USING HINT = format('As a superuser: GRANT callrouter_scoped TO %I;', current_user);
END $$;

CREATE FUNCTION scoped_account() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT nullif(current_setting('callrouter.account', true), '')::bigint $$;

-- Later migrations call this for each table they add.
CREATE FUNCTION wall_off(tab regclass, account_column name DEFAULT 'account_id') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', tab);
    EXECUTE format('CREATE POLICY account_only ON %s USING (%I = (SELECT scoped_account()))', tab, account_column);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO callrouter_scoped', tab);
END $$;

DO $$
DECLARE
    tab text;
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO callrouter_scoped', current_schema());
    PERFORM wall_off('accounts', 'id');
    FOREACH tab IN ARRAY ARRAY['users', 'tokens', 'audit', 'sites', 'pools', 'site_pools', 'numbers', 'static_bindings', 'leases',
        'visitors', 'visits', 'visit_pages', 'clients', 'client_identities', 'client_merges', 'appeals', 'appeal_notes',
        'deals', 'costs', 'integrations', 'deliveries']
    LOOP
        PERFORM wall_off(tab::regclass);
    END LOOP;
    FOR part IN 0..7 LOOP
        EXECUTE format('ALTER TABLE leases_%s ENABLE ROW LEVEL SECURITY', part);
    END LOOP;
END $$;
-- An account reads what is set for it; it may change neither accounts nor the inventory, nor rewrite the record of what was done.
REVOKE INSERT, UPDATE, DELETE ON accounts, pools, numbers, leases FROM callrouter_scoped;
REVOKE UPDATE, DELETE ON audit FROM callrouter_scoped;
