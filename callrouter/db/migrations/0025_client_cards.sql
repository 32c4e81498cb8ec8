-- What the pages of clients stand on: who was heard of lately, and what each user chose to see.

CREATE INDEX client_identities_by_activity ON client_identities (account_id, last_seen_at, client_id);

CREATE TABLE user_preferences (
    account_id bigint NOT NULL,
    user_id bigint NOT NULL,
    name text NOT NULL CHECK (length(name) <= 64),
    value jsonb NOT NULL CHECK (length(value::text) <= 20000),
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, user_id, name),
    FOREIGN KEY (account_id, user_id) REFERENCES users ON DELETE CASCADE
);
COMMENT ON TABLE user_preferences IS 'How a user likes his pages, by the page''s own name for it: {"fields": [...]}.';
SELECT wall_off('user_preferences');
