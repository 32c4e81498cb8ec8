-- People who sign in by OpenID Connect: which identity each user is bound to, and which browsers came in by it.

-- Nothing has written the old column yet.
ALTER TABLE users
    DROP CONSTRAINT users_oidc_subject_key,
    ADD COLUMN oidc_issuer text,
    ADD CONSTRAINT users_oidc_identity UNIQUE (oidc_issuer, oidc_subject),
    ADD CONSTRAINT users_oidc_whole CHECK ((oidc_issuer IS NULL) = (oidc_subject IS NULL));
COMMENT ON COLUMN users.oidc_issuer IS 'Of the OpenID Connect identity that signs in as this user; bound when it first proved his e-mail.';
COMMENT ON COLUMN users.oidc_subject IS 'The issuer''s own name for the person, which outlives his e-mail.';

ALTER TABLE browser_sessions ADD COLUMN openid boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN browser_sessions.openid IS
    'Signed in by OpenID Connect: a password that was given to the user and has to be changed is not asked for.';
