"""Loads the settings of sites from Postgres and keeps the snapshot fresh. Knows the directory's tables."""

from __future__ import annotations

from callrouter.appeals.settings import Owner, Settings, SiteSettings
from callrouter.clock import Clock
from callrouter.db.connect import Connection

REFRESH_SECONDS = 30.0

SITES = """
SELECT id, account_id AS account, quality_s, unique_scope, unique_days FROM sites"""

OWNERS = """
SELECT number, account_id, NULL::bigint AS site_id FROM numbers WHERE account_id <> 1
UNION ALL
SELECT b.number, b.account_id, b.site_id FROM static_bindings b WHERE b.valid_to IS NULL OR b.valid_to > now()
UNION ALL
SELECT fallback_number, account_id, id FROM sites WHERE fallback_number IS NOT NULL
UNION ALL
SELECT unnest(own_numbers), account_id, id FROM sites"""


async def load_settings(connection: Connection) -> Settings:
    """The directory as it stands now."""
    accounts = await connection.fetch("SELECT id FROM accounts")
    sites = await connection.fetch(SITES)
    owners = await connection.fetch(OWNERS)
    return Settings(
        accounts=frozenset(row["id"] for row in accounts),
        sites={row["id"]: SiteSettings(**dict(row)) for row in sites},
        owners={row["number"]: Owner(row["account_id"], row["site_id"]) for row in owners},
    )


class SettingsCache:
    """Settings at most half a minute old, and at once when something unknown turns up."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._settings = Settings()
        self._loaded_at: float | None = None
        self._absent: frozenset[tuple[str, int]] = frozenset()

    @property
    def snapshot(self) -> Settings:
        """What was loaded last; empty before the first `get`."""
        return self._settings

    def knows(self, accounts: frozenset[int], sites: frozenset[int]) -> bool:
        """Whether the snapshot has all of these, or is known to lack them."""
        return self._loaded_at is not None and not self._missing(accounts, sites) - self._absent

    async def get(self, connection: Connection, accounts: frozenset[int], sites: frozenset[int]) -> Settings:
        """A snapshot; loaded anew if it is old or lacks one of these for the first time (it may be just made)."""
        too_old = self._loaded_at is None or self._clock.monotonic() - self._loaded_at > REFRESH_SECONDS
        if too_old or self._missing(accounts, sites) - self._absent:
            self._settings = await load_settings(connection)
            self._loaded_at = self._clock.monotonic()
            self._absent = self._missing(accounts, sites) | (frozenset() if too_old else self._absent)
        return self._settings

    def _missing(self, accounts: frozenset[int], sites: frozenset[int]) -> frozenset[tuple[str, int]]:
        return frozenset(
            [("account", account) for account in accounts - self._settings.accounts]
            + [("site", site) for site in sites - self._settings.sites.keys()]
        )
