-- How soon the visitors of an account call, as fitted from its own calls (callrouter pool fit). The newest row counts.

CREATE TABLE delay_models (
    account_id bigint NOT NULL REFERENCES accounts,
    fitted_at timestamptz NOT NULL DEFAULT now(),
    since timestamptz NOT NULL,
    until timestamptz NOT NULL CHECK (until > since),
    calls int NOT NULL CHECK (calls >= 0),
    model jsonb NOT NULL,
    fit jsonb NOT NULL,
    PRIMARY KEY (account_id, fitted_at)
);
COMMENT ON COLUMN delay_models.model IS 'callrouter.pool.delay.DelayModel. A fit of account 1 holds for all accounts without one.';
COMMENT ON COLUMN delay_models.fit IS 'What the fit said of itself: likelihoods, intervals, delays seen and expected.';
CREATE TRIGGER directory_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON delay_models
    FOR EACH STATEMENT EXECUTE FUNCTION directory_changed();
SELECT wall_off('delay_models');
REVOKE INSERT, UPDATE, DELETE ON delay_models FROM callrouter_scoped;

ALTER TABLE leases ADD COLUMN IF NOT EXISTS signs int[];
