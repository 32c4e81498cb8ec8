-- What an appeal's visitor is called by analytics, in full, so that it can be told them; and old visits are found by site.

ALTER TABLE appeals ADD COLUMN ga_session_id text, ADD COLUMN ym_counter text;
COMMENT ON COLUMN sites.retention_days IS
    'Visits, their pages and ended leases older than this are removed; null: visits are kept, leases as the worker is set.';
