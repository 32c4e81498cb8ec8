-- Where a site's calls go by what is known of them, and whose number a number is, asked by those who may not see it.

ALTER TABLE sites ADD COLUMN routing jsonb NOT NULL DEFAULT '[]';
COMMENT ON COLUMN sites.routing IS 'Rules in their order, the first that fits; none fits: the route. See callrouter.pool.routing.';

-- What follows sees all accounts' rows for an account that sees its own only, and is looked up in this schema only.
SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

-- Why an account may not call numbers its site's own: they are leased to visitors, or another account's. Of whom is not told.
-- Where an account acts itself it is the one asked about, whatever it says.
CREATE FUNCTION numbers_not_for(owner bigint, wanted text[]) RETURNS TABLE (number text, why text, pool text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT n.number, 'pool', CASE WHEN scoped_account() IS NULL THEN p.name ELSE '#' || p.id END
    FROM numbers n JOIN pools p ON p.id = n.pool_id WHERE n.number = ANY (wanted)
    UNION
    SELECT n.number, 'other', '' FROM numbers n
    WHERE n.number = ANY (wanted) AND n.pool_id IS NULL AND n.account_id NOT IN (1, reader_of(owner))
    UNION
    SELECT b.number, 'other', '' FROM static_bindings b
    WHERE b.number = ANY (wanted) AND b.account_id <> reader_of(owner) AND coalesce(b.valid_to, 'infinity') > now()
    UNION
    SELECT own, 'other', '' FROM sites s, unnest(s.own_numbers || s.fallback_number) AS own
    WHERE own = ANY (wanted) AND s.account_id <> reader_of(owner)
    ORDER BY 1
$$;
