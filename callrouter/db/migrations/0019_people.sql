-- Signed-in browsers, writes that are told twice, and what else is known of users.

ALTER TABLE users
    ADD COLUMN password_at timestamptz,
    ADD COLUMN must_change_password boolean NOT NULL DEFAULT false,
    ADD COLUMN oidc_subject text UNIQUE,
    ADD COLUMN signed_in_at timestamptz,
    ADD CONSTRAINT users_locale CHECK (locale IN ('ru', 'en')),
    ADD CONSTRAINT users_operator CHECK (role <> 'operator' OR account_id = 1);
COMMENT ON COLUMN users.must_change_password IS 'Somebody else knows it: it was given, not chosen.';
COMMENT ON COLUMN users.oidc_subject IS 'issuer and subject of the OpenID Connect identity that signed in first by this e-mail.';

CREATE TABLE browser_sessions (
    account_id bigint NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    user_id bigint NOT NULL,
    hash bytea NOT NULL UNIQUE,
    previous_hash bytea UNIQUE,
    form_key text NOT NULL,
    browser text NOT NULL DEFAULT '',
    address text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    renewed_at timestamptz NOT NULL DEFAULT now(),
    confirmed_at timestamptz,
    seen_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, id),
    FOREIGN KEY (account_id, user_id) REFERENCES users ON DELETE CASCADE
);
CREATE INDEX browser_sessions_by_user ON browser_sessions (account_id, user_id);
COMMENT ON COLUMN browser_sessions.hash IS 'SHA-256 of the cookie''s secret, which is not kept.';
COMMENT ON COLUMN browser_sessions.previous_hash IS
    'Of the secret before the last renewal: taken until the new one has been shown, and a minute longer.';
COMMENT ON COLUMN browser_sessions.confirmed_at IS 'When the browser first showed the new secret; null: not yet.';
COMMENT ON COLUMN browser_sessions.address IS 'Cut (/24, IPv6 /48), so that its owner knows it again.';
SELECT wall_off('browser_sessions');
-- An account sees and ends its sessions; who signs in is found out before an account is known.
REVOKE INSERT, UPDATE ON browser_sessions FROM callrouter_scoped;

CREATE TABLE repeated_writes (
    account_id bigint NOT NULL,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    answer jsonb,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, key)
);
CREATE INDEX repeated_writes_by_age ON repeated_writes (at);
COMMENT ON TABLE repeated_writes IS 'Idempotency keys of a day: what was asked (its hash) and what was answered.';
SELECT wall_off('repeated_writes');

-- An account sets how its own figures are told; its name and what the operator grants it stay the operator's.
GRANT UPDATE (time_zone, currency, multichannel, multichannel_touches, multichannel_days) ON accounts TO callrouter_scoped;
