-- A pool that was removed may have left visits and entries of its log in the lease store: they still come to the history.
CREATE TABLE removed_pools (
    account_id bigint NOT NULL,
    id bigint NOT NULL,
    removed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, id)
);
COMMENT ON TABLE removed_pools IS 'Pools that are no more, and whose last entries the history may still have to take.';
SELECT wall_off('removed_pools');
