-- Saved views of the journal, and what each person has chosen for himself.

CREATE TABLE views (
    account_id bigint NOT NULL REFERENCES accounts,
    id bigint GENERATED ALWAYS AS IDENTITY,
    user_id bigint,
    name text NOT NULL CHECK (name <> ''),
    shared boolean NOT NULL DEFAULT false,
    query text NOT NULL DEFAULT '',
    columns text[] NOT NULL DEFAULT '{}',
    sort text NOT NULL DEFAULT '',
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, id),
    CHECK (shared OR user_id IS NOT NULL)
);
CREATE INDEX views_by_user ON views (account_id, user_id);
COMMENT ON COLUMN views.user_id IS
    'Whose it is; null: a program made it. Without a key to users: the operator''s people save views of other accounts.';
COMMENT ON COLUMN views.query IS 'Filters as a URL says them: so that "today" stays today. No columns: the reader''s own.';

CREATE TABLE view_choices (
    account_id bigint NOT NULL REFERENCES accounts,
    user_id bigint NOT NULL,
    columns text[] NOT NULL DEFAULT '{}',
    opens text NOT NULL DEFAULT '',
    PRIMARY KEY (account_id, user_id)
);
COMMENT ON COLUMN view_choices.opens IS 'The view that the journal opens with: an id, or the name of one that everybody has.';

SELECT wall_off(tab::regclass) FROM unnest(ARRAY['views', 'view_choices']) tab;
