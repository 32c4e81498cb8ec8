"""What sites have set for their appeals: thresholds, uniqueness, numbers of their own. A snapshot, as data; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec


class SiteSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What of a site's settings decides about its appeals (rules §5)."""

    id: int
    account: int
    quality_s: float = 60.0
    unique_scope: Literal["account", "site"] = "account"
    unique_days: int | None = None


class Owner(msgspec.Struct, frozen=True):
    """Whose a number is for good, apart from leases."""

    account: int
    site: int | None


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot of the directory. `owners` by number: a site's own numbers count before other ties."""

    accounts: frozenset[int] = frozenset()
    sites: Mapping[int, SiteSettings] = {}
    owners: Mapping[str, Owner] = {}


DEFAULT_SITE = SiteSettings(id=0, account=0)
