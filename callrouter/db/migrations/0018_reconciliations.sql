-- What each comparison of the appeals with a PBX's own record found; and the way from a time to the callbacks of then.

CREATE TABLE reconciliations (
    account_id bigint NOT NULL REFERENCES accounts,
    id bigint GENERATED ALWAYS AS IDENTITY,
    pbx text NOT NULL,
    ran_at timestamptz NOT NULL DEFAULT now(),
    since timestamptz NOT NULL,
    until timestamptz NOT NULL,
    failure text NOT NULL DEFAULT '',
    agree boolean NOT NULL,
    pbx_calls int NOT NULL DEFAULT 0,
    appeals int NOT NULL DEFAULT 0,
    missing int NOT NULL DEFAULT 0,
    incomplete int NOT NULL DEFAULT 0,
    extra int NOT NULL DEFAULT 0,
    repaired int NOT NULL DEFAULT 0,
    missing_calls text[] NOT NULL DEFAULT '{}',
    extra_calls text[] NOT NULL DEFAULT '{}',
    refused_lines int NOT NULL DEFAULT 0,
    complaint text NOT NULL DEFAULT '',
    PRIMARY KEY (account_id, id)
);
COMMENT ON TABLE reconciliations IS 'PBXs are the operator''s, so all rows are of his account. Kept for a year by those who write them.';
COMMENT ON COLUMN reconciliations.failure IS 'Why nothing could be compared; empty: it was.';
SELECT wall_off('reconciliations');
REVOKE INSERT, UPDATE, DELETE ON reconciliations FROM callrouter_scoped;

CREATE INDEX callback_orders_dialled ON callback_orders (dialled_at) WHERE dialled_at IS NOT NULL;
