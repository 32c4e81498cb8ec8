-- A callback order is kept as long as its appeal, for a call that is told again finds its appeal by it; whom it was to call is
-- forgotten with the visits of its site.
ALTER TABLE callback_orders ALTER COLUMN phone DROP NOT NULL;
ALTER TABLE callback_orders ADD CONSTRAINT callback_orders_open_has_phone
    CHECK (phone IS NOT NULL OR state IN ('called', 'missed'));
CREATE INDEX callback_orders_known ON callback_orders (account_id, site_id, settled_at) WHERE phone IS NOT NULL;
COMMENT ON COLUMN callback_orders.phone IS 'Null: forgotten, since the order is older than what its site keeps.';
COMMENT ON COLUMN sites.retention_days IS
    'Visits, their pages, ended leases, and the phones of settled callback orders older than this are removed; null: visits and orders are kept, leases as the worker is set.';
