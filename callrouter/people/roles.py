"""Which role may do what: one table. Knows neither users nor tokens.

`operator` is a role of account 1 only, which sees all accounts; whatever its scopes say, accounts, pools and numbers
are changed by that account's people and programs alone.
"""

from __future__ import annotations

from typing import Literal, get_args

Scope = Literal[
    "leases:read",
    "numbers:read",
    "appeals:read",
    "appeals:write",
    "clients:read",
    "clients:write",
    "visits:read",
    "deals:read",
    "deals:write",
    "costs:read",
    "costs:write",
    "reports:read",
    "reports:write",
    "settings:read",
    "settings:write",
    "users:read",
    "users:write",
    "audit:read",
    "operate",
]
"""`operate`: accounts, pools and numbers, which are the operator's."""
SCOPES: tuple[Scope, ...] = get_args(Scope)

Role = Literal["operator", "admin", "manager", "viewer"]
ROLES: tuple[Role, ...] = get_args(Role)

VIEWER: frozenset[Scope] = frozenset(
    ["appeals:read", "clients:read", "visits:read", "deals:read", "costs:read", "reports:read"]
)
MANAGER: frozenset[Scope] = VIEWER | {
    "appeals:write", "clients:write", "deals:write", "costs:write", "reports:write", "leases:read", "numbers:read",
    "settings:read",
}  # fmt: skip
ADMIN: frozenset[Scope] = MANAGER | {"settings:write", "users:read", "users:write", "audit:read"}
SCOPES_OF: dict[Role, frozenset[Scope]] = {
    "operator": ADMIN | {"operate"},
    "admin": ADMIN,
    "manager": MANAGER,
    "viewer": VIEWER,
}


def may_give(giver: frozenset[str], given: frozenset[str]) -> bool:
    """Nobody gives, by a role or a token, what he has not got himself."""
    return given <= giver
