-- Visitors, their visits, and the pages of a visit. Visits and pages grow with traffic: partitioned by month.

CREATE TABLE visitors (
    account_id bigint NOT NULL,
    id text NOT NULL,
    first_seen_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, id)
);

CREATE TABLE visits (
    account_id bigint NOT NULL,
    started_at timestamptz NOT NULL,
    session text NOT NULL,
    visitor text NOT NULL,
    site_id bigint NOT NULL,
    seen_at timestamptz NOT NULL,
    ended_at timestamptz,
    channel text NOT NULL,
    source text NOT NULL,
    medium text NOT NULL,
    campaign text NOT NULL DEFAULT '',
    keyword text NOT NULL DEFAULT '',
    content text NOT NULL DEFAULT '',
    click_id text NOT NULL DEFAULT '',
    landing_page text NOT NULL DEFAULT '',
    referrer text NOT NULL DEFAULT '',
    page text NOT NULL DEFAULT '',
    title text NOT NULL DEFAULT '',
    pages int NOT NULL DEFAULT 1,
    user_agent text NOT NULL DEFAULT '',
    device text NOT NULL DEFAULT '',
    os text NOT NULL DEFAULT '',
    browser text NOT NULL DEFAULT '',
    location text NOT NULL DEFAULT '',
    ga_client_id text NOT NULL DEFAULT '',
    ym_client_id text NOT NULL DEFAULT '',
    overflow boolean NOT NULL DEFAULT false,
    number text,
    PRIMARY KEY (account_id, started_at, session)
) PARTITION BY RANGE (started_at);
CREATE INDEX visits_by_visitor ON visits (account_id, visitor, started_at);
CREATE INDEX visits_by_site ON visits (account_id, site_id, started_at);
CREATE INDEX visits_by_session ON visits (session);
COMMENT ON COLUMN visits.number IS 'The substitute number shown first; null: none was leased.';

CREATE TABLE visit_pages (
    account_id bigint NOT NULL,
    at timestamptz NOT NULL,
    session text NOT NULL,
    sequence int NOT NULL,
    url text NOT NULL,
    title text NOT NULL DEFAULT '',
    seconds double precision,
    PRIMARY KEY (account_id, at, session, sequence)
) PARTITION BY RANGE (at);
CREATE INDEX visit_pages_by_session ON visit_pages (session, sequence);
