-- What the lease store still knows of erased clients: written with the erasure, so that it is not lost while the store is
-- away; removed when it is forgotten there, too.
CREATE TABLE erasures (
    account_id bigint NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    phones text[] NOT NULL,
    visitors text[] NOT NULL,
    names text[] NOT NULL,
    sessions text[] NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT now(),
    due_at timestamptz NOT NULL DEFAULT now(),
    carried_out_at timestamptz,
    PRIMARY KEY (account_id, id)
);
CREATE INDEX erasures_due ON erasures (due_at);
COMMENT ON COLUMN erasures.names IS 'What the visitors are called since.';
COMMENT ON COLUMN erasures.carried_out_at IS
    'When the store forgot him; once more some minutes later, for what was on its way to Postgres meanwhile.';
SELECT wall_off('erasures');
REVOKE INSERT, UPDATE, DELETE ON erasures FROM callrouter_scoped;
