-- Reports that are sent at their time; files that wait to be imported; by what a deal found its client.

ALTER TABLE deals ADD COLUMN linked_by text NOT NULL DEFAULT '';
COMMENT ON COLUMN deals.linked_by IS
    'client (by hand), phone, email, crm, ga_client_id, ym_client_id; empty: no client, or linked before this was kept.';

CREATE TABLE uploads (
    account_id bigint NOT NULL REFERENCES accounts,
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    user_id bigint NOT NULL,
    kind text NOT NULL CHECK (kind IN ('deals', 'costs')),
    name text NOT NULL,
    content bytea NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, id)
);
CREATE INDEX uploads_by_age ON uploads (at);
COMMENT ON TABLE uploads IS 'Files between their preview and its confirmation; those of yesterday are removed.';
SELECT wall_off('uploads');

CREATE TABLE scheduled_reports (
    account_id bigint NOT NULL REFERENCES accounts,
    id bigint GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL,
    report text NOT NULL,
    site_id bigint,
    model text NOT NULL,
    period text NOT NULL,
    format text NOT NULL CHECK (format IN ('csv', 'xlsx', 'html')),
    every text NOT NULL CHECK (every IN ('day', 'week', 'month')),
    day int NOT NULL DEFAULT 1,
    minute int NOT NULL CHECK (minute BETWEEN 0 AND 1439),
    locale text NOT NULL CHECK (locale IN ('ru', 'en')),
    recipients text[] NOT NULL DEFAULT '{}',
    to_folder boolean NOT NULL DEFAULT false,
    enabled boolean NOT NULL DEFAULT true,
    done_until timestamptz NOT NULL DEFAULT now(),
    user_id bigint,
    version int NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, id),
    UNIQUE (account_id, name)
);
COMMENT ON COLUMN scheduled_reports.day IS 'Of a week (1: Monday) or of a month (31: its last).';
COMMENT ON COLUMN scheduled_reports.minute IS 'Of the day, on the account''s clock.';
COMMENT ON COLUMN scheduled_reports.done_until IS 'Due times up to here are dealt with: nothing before it is sent.';
SELECT wall_off('scheduled_reports');

CREATE TABLE report_sendings (
    account_id bigint NOT NULL,
    report_id bigint NOT NULL,
    due_at timestamptz NOT NULL,
    recipient text NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sending', 'sent', 'failed', 'doubtful')),
    attempts int NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    note text NOT NULL DEFAULT '',
    PRIMARY KEY (account_id, report_id, due_at, recipient),
    FOREIGN KEY (account_id, report_id) REFERENCES scheduled_reports ON DELETE CASCADE
);
CREATE INDEX report_sendings_waiting ON report_sendings (next_at) WHERE state IN ('waiting', 'sending');
COMMENT ON TABLE report_sendings IS 'One row for each due time and recipient, however many workers there are.';
COMMENT ON COLUMN report_sendings.recipient IS 'An e-mail; empty: the folder.';
COMMENT ON COLUMN report_sendings.state IS
    'sending: the mail server is being given the mail; doubtful: the worker ended while it was, and it is not sent again.';
SELECT wall_off('report_sendings');
-- An account asks for a sending; what became of it is the worker's to tell.
REVOKE UPDATE, DELETE ON report_sendings FROM callrouter_scoped;
