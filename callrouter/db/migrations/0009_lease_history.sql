-- Questions about one number: its standing, who held it, its calls; and numbers that leaked out.

ALTER TABLE leases ADD COLUMN IF NOT EXISTS signs int[];

-- The calls of a number: its timeline, and the search for leaked numbers.
CREATE INDEX appeals_by_called ON appeals (called, started_at) WHERE kind = 'call' AND direction = 'inbound';
-- Retention: what began long ago. Rows come in the order of time, so block ranges tell them at next to no cost.
CREATE INDEX leases_by_age ON leases USING brin (started_at);

-- The functions below see all accounts' rows for an account that sees its own only. They answer for the account that the
-- connection acts for, whatever account they are asked about; what they call is looked up in this schema only.
SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE FUNCTION reader_of(asked bigint) RETURNS bigint LANGUAGE sql STABLE AS
$$ SELECT coalesce(scoped_account(), asked) $$;

-- Which numbers concern an account: its own, those bound to its sites, those of pools that serve its sites, and those
-- that its visitors once had. The operator (1) is concerned with all. Of any other number nothing is told.
CREATE FUNCTION number_concerns(which text, reader bigint) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT reader_of(reader) = 1
        OR EXISTS (SELECT FROM numbers n WHERE n.number = which AND n.account_id = reader_of(reader))
        OR EXISTS (SELECT FROM numbers n JOIN site_pools p ON p.pool_id = n.pool_id AND p.account_id = reader_of(reader)
                   WHERE n.number = which)
        OR EXISTS (SELECT FROM static_bindings b WHERE b.number = which AND b.account_id = reader_of(reader))
        OR EXISTS (SELECT FROM leases l WHERE l.number = which AND l.account_id = reader_of(reader))
$$;

CREATE FUNCTION number_standing(which text, reader bigint)
RETURNS TABLE (account bigint, pool bigint, pool_name text, active boolean, disabled_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT n.account_id, n.pool_id, coalesce(p.name, ''), n.state = 'active', n.disabled_at
    FROM numbers n LEFT JOIN pools p ON p.id = n.pool_id
    WHERE n.number = which AND number_concerns(which, reader)
$$;

-- Whether an account other than the reader's held the number then: yes or no, and nothing else.
CREATE FUNCTION held_by_another(which text, at timestamptz, reader bigint) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT number_concerns(which, reader) AND EXISTS (
        SELECT FROM leases l WHERE l.number = which AND l.account_id <> reader_of(reader)
            AND l.started_at <= at AND (l.ended_at IS NULL OR l.ended_at > at))
$$;

-- The hours in which accounts other than the reader's held the number, so that neither their visits' times nor how many
-- there were can be read off.
CREATE FUNCTION hours_of_others(which text, since timestamptz, until timestamptz, reader bigint)
RETURNS TABLE (started_at timestamptz, ended_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET timezone = 'UTC' AS $$
    SELECT lower(busy), upper(busy)
    FROM unnest((
        SELECT range_agg(tstzrange(date_trunc('hour', l.started_at),
                                   date_trunc('hour', coalesce(l.ended_at, l.expires_at)) + interval '1 hour'))
        FROM leases l
        WHERE l.number = which AND l.account_id <> reader_of(reader) AND l.started_at < until
            AND coalesce(l.ended_at, l.expires_at) > since AND number_concerns(which, reader))) AS busy
$$;

CREATE TABLE number_leaks (
    account_id bigint NOT NULL,
    number text NOT NULL,
    found_at timestamptz NOT NULL DEFAULT now(),
    checked_at timestamptz NOT NULL DEFAULT now(),
    cleared_at timestamptz,
    callers int NOT NULL,
    expected double precision NOT NULL,
    p_value double precision NOT NULL,
    PRIMARY KEY (account_id, number)
);
COMMENT ON TABLE number_leaks IS 'Pool numbers that are called although no visitor was shown them: found, and warned of, once.';
SELECT wall_off('number_leaks');
REVOKE INSERT, UPDATE, DELETE ON number_leaks FROM callrouter_scoped;
