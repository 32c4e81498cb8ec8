-- What a site's edge lets through, and what a page tells of its visitor's analytics.

ALTER TABLE sites
    ADD COLUMN leases_per_address int CHECK (leases_per_address >= 0),
    ADD COLUMN leases_per_site int CHECK (leases_per_site >= 0),
    ADD COLUMN requests_per_second int CHECK (requests_per_second > 0);
COMMENT ON COLUMN sites.leases_per_address IS
    'Numbers that one address (one /64 of IPv6) may take within a hold; 0: any; null: by the size of the pools.';
COMMENT ON COLUMN sites.leases_per_site IS
    'Numbers that all visitors of the site together may take within a hold; 0: any; null: by the size of shared pools.';
COMMENT ON COLUMN sites.requests_per_second IS 'Of each web process; null: as configured there.';

ALTER TABLE visits
    ADD COLUMN ga_session_id text NOT NULL DEFAULT '',
    ADD COLUMN ym_counter text NOT NULL DEFAULT '';
COMMENT ON COLUMN visits.location IS 'By the visitor''s address, which itself is not kept; (undefined): no one knows.';
