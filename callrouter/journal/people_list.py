"""Accounts, users and tokens as lists of which each column can be filtered and sorted by. Knows their tables."""

from __future__ import annotations

from callrouter.journal.columns import Column, Table
from callrouter.people import accounts, users

ACCOUNTS = Table(
    fields=accounts.FIELDS,
    tables="accounts",
    owner="id",
    key="id",
    columns={
        "id": Column("id", "whole"), "name": Column("name"), "time_zone": Column("time_zone"),
        "currency": Column("currency"), "multichannel": Column("multichannel", "flag"),
        "multichannel_touches": Column("multichannel_touches", "whole"),
        "multichannel_days": Column("multichannel_days", "whole"), "created_at": Column("created_at", "moment"),
    },
)  # fmt: skip
USERS = Table(
    fields=users.FIELDS,
    tables="users",
    key="id",
    columns={
        "id": Column("id", "whole"), "email": Column("email"), "name": Column("name"), "role": Column("role"),
        "locale": Column("locale"), "password": Column("(password_hash IS NOT NULL)", "flag"),
        "openid": Column("(oidc_subject IS NOT NULL)", "flag"),
        "disabled_at": Column("disabled_at", "moment", gaps=True), "created_at": Column("created_at", "moment"),
        "signed_in_at": Column("signed_in_at", "moment", gaps=True),
    },
)  # fmt: skip
MAKER = "coalesce(nullif(u.name, ''), u.email)"
TOKENS = Table(
    fields=f"""t.id, t.account_id AS account, a.name AS account_name, t.name, t.scopes, t.created_at, t.expires_at,
            t.last_used_at, t.revoked_at, {MAKER} AS maker, u.role, u.disabled_at""",
    tables="""tokens t JOIN accounts a ON a.id = t.account_id
        LEFT JOIN users u ON u.account_id = t.account_id AND u.id = t.user_id""",
    owner="t.account_id",
    key="id",
    columns={
        "id": Column("t.id", "whole"), "account_name": Column("a.name"), "name": Column("t.name"),
        "created_at": Column("t.created_at", "moment"), "expires_at": Column("t.expires_at", "moment", gaps=True),
        "last_used_at": Column("t.last_used_at", "moment", gaps=True),
        "revoked_at": Column("t.revoked_at", "moment", gaps=True), "maker": Column(MAKER, gaps=True),
        "stopped": Column("(u.disabled_at IS NOT NULL)", "flag"),
    },
)  # fmt: skip
"""Not by `scopes`: those that its maker's role still allows are known to `roles`, not to Postgres."""
