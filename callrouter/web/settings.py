"""What `callrouter web` is told. Light to import: the process that only watches its workers stands on it alone."""

from __future__ import annotations

from pathlib import Path

import msgspec

from callrouter.people.browser_sessions import Lifetime
from callrouter.pool.keys import NAMESPACE
from callrouter.pool.store import Lifetimes
from callrouter.scheduled.model import Outlet
from callrouter.web.openid.settings import OpenIdSettings
from callrouter.web.visitor.guard import Limits


class WebSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What `callrouter web` needs; each worker process opens its own connections from it."""

    redis_url: str
    postgres_url: str
    token_keys: tuple[bytes, ...]
    redis_cluster: bool = False
    redis_timeout_s: float = 0.5
    redis_connections: int = 32
    snapshot: Path | None = None
    directory_poll_s: float = 60.0
    namespace: str = NAMESPACE
    lifetimes: Lifetimes = Lifetimes()
    trusted_proxies: tuple[str, ...] = ("127.0.0.0/8", "::1")
    limits: Limits = Limits()
    signed_in: Lifetime = Lifetime()
    openid: OpenIdSettings | None = None
    """Another way to sign in; None: by password only."""
    geoip_file: Path | None = None
    cut_addresses: bool = True
    journal: Path | None = None
    """Folder for what visitors send; None: forms are refused."""
    outlet: Outlet = Outlet()
    """Where scheduled reports may go."""
    recordings: Path | None = None
    """Folder of the PBX's recordings, as this machine sees it; None: they are not played."""
    recordings_from: tuple[str, ...] = ()
    """Servers whose recordings are played, by URL."""
    log_level: str = "info"
    log_format: str = "console"
