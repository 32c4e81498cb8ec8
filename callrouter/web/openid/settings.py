"""Which provider people sign in by, and whom it may bring: what each web process is told of the configuration."""

from __future__ import annotations

import msgspec

from callrouter.config import OidcConfig
from callrouter.people.openid import Newcomers


class OpenIdSettings(msgspec.Struct, frozen=True, kw_only=True):
    issuer: str
    client_id: str
    client_secret: str
    label: str = "OpenID"
    """Of the button."""
    address: str = ""
    """Where people reach the pages, as https://calls.example; '': as their browser asks for them."""
    newcomers: Newcomers | None = None
    """Who is made a user when he first signs in; None: nobody."""


def settings_of(oidc: OidcConfig) -> OpenIdSettings | None:
    """None if no provider is configured."""
    if not oidc.issuer:
        return None
    newcomers = None
    if oidc.create_as:
        domains = tuple(domain.lower() for domain in oidc.create_domains)
        newcomers = Newcomers(role=oidc.create_as, account=oidc.create_in, domains=domains)
    return OpenIdSettings(
        issuer=oidc.issuer, client_id=oidc.client_id, client_secret=oidc.client_secret, label=oidc.label.strip(),
        address=oidc.address.rstrip("/"), newcomers=newcomers,
    )  # fmt: skip
