-- Callers of the second and third day are a part of what an account pays for: they stay attributable by default.
ALTER TABLE accounts ALTER COLUMN attribution_window SET DEFAULT '72 hours';
UPDATE accounts SET attribution_window = '72 hours' WHERE attribution_window = '24 hours';
