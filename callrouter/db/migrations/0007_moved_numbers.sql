-- Numbers move between pools while they are in use.

ALTER TABLE leases DROP CONSTRAINT leases_end_reason_check;
ALTER TABLE leases ADD CONSTRAINT leases_end_reason_check
    CHECK (end_reason IN ('expired', 'released', 'taken', 'disabled', 'moved'));

-- Each state of the inventory has a number of its own, higher than those of all states before: a process that still has an
-- older one in memory is refused by the lease store, so that no number is in two pools at once. The row's lock makes
-- writers of the inventory wait for each other.
CREATE TABLE directory_version (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    version bigint NOT NULL
);
INSERT INTO directory_version (version) VALUES (1);

-- Whoever may write the inventory need not be allowed to write its version.
CREATE OR REPLACE FUNCTION directory_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE directory_version SET version = version + 1;
    PERFORM pg_notify('callrouter_directory', TG_TABLE_NAME);
    RETURN NULL;
END $$;
