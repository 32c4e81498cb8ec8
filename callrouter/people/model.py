"""Who asks: a program with a token, or a person whose browser is signed in. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from callrouter.people.roles import SCOPES_OF, Role

Locale = Literal["ru", "en"]


class Caller(msgspec.Struct, frozen=True):
    """The account that is acted for, and what may be done. Of `token` and `user` one is known."""

    account: int
    token: int | None
    scopes: frozenset[str]
    user: int | None = None


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A user with a signed-in browser, as the pages know him."""

    account: int
    user: int
    email: str
    name: str
    role: Role
    locale: Locale
    account_name: str
    time_zone: str
    currency: str
    session: int
    form_key: str
    """Stands in each form and in the header X-Form-Key of each script's write: other sites cannot know it."""
    must_change_password: bool
    secret_is_old: bool
    """It is time for another cookie."""
    signed_in_at: datetime

    @property
    def caller(self) -> Caller:
        return Caller(self.account, None, frozenset(SCOPES_OF[self.role]), self.user)

    @property
    def shown_name(self) -> str:
        return self.name or self.email
