-- What was planned for a pool: what its worker compares the live pool with. The newest plan of a pool is in force.
CREATE TABLE pool_plans (
    account_id bigint NOT NULL REFERENCES accounts,
    id bigint GENERATED ALWAYS AS IDENTITY,
    pool_id bigint NOT NULL REFERENCES pools (id) ON DELETE CASCADE,
    numbers int NOT NULL CHECK (numbers > 0),
    right_share double precision NOT NULL CHECK (right_share BETWEEN 0 AND 1),
    overflow_share double precision NOT NULL CHECK (overflow_share BETWEEN 0 AND 1),
    leased_peak double precision NOT NULL CHECK (leased_peak >= 0),
    rest interval NOT NULL CHECK (rest >= interval '0'),
    visits_per_hour double precision NOT NULL CHECK (visits_per_hour >= 0),
    hold interval NOT NULL,
    details jsonb NOT NULL DEFAULT '{}',
    made_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, id)
);
CREATE INDEX pool_plans_by_pool ON pool_plans (pool_id, made_at);
COMMENT ON TABLE pool_plans IS 'Belongs to the account of the pool; a shared pool''s plan is the operator''s.';
COMMENT ON COLUMN pool_plans.right_share IS 'Target: share of attributable calls credited to the right visit.';
COMMENT ON COLUMN pool_plans.overflow_share IS 'Target: share of visitors who may find the pool empty, at most.';
COMMENT ON COLUMN pool_plans.leased_peak IS 'Leases at once in the busiest hour.';
COMMENT ON COLUMN pool_plans.rest IS 'How long a number rests in the busiest hours before it is leased again.';
SELECT wall_off('pool_plans');
REVOKE INSERT, UPDATE, DELETE ON pool_plans FROM callrouter_scoped;
