"""What can be configured, with its defaults and checks. Knows no file, environment or server (see `configfile`)."""

from __future__ import annotations

import re
from datetime import timedelta
from email.utils import parseaddr
from ipaddress import ip_network
from typing import Literal
from urllib.parse import urlsplit

import msgspec
import phonenumbers

from callrouter.calls.profile import PbxProfile

Attach = Literal["agi", "ari", "watch"]

LONGEST_DEADLINE_MS = 1000
LONGEST_SESSION_HOURS = 365 * 24
SHORTEST_TOKEN_SECRET = 16
HIGHEST_PORT = 65535
SHORTEST_SWEEP, LONGEST_SWEEP = 0.1, 10.0
"""Late attribution counts on leases that have run out being ended within half a minute."""
LONGEST_WINDOW_HOURS = 90 * 24
FEWEST_LEASE_DAYS = 90
LONGEST_LABEL = 40
LOOPBACK = re.compile(r"(.+\.)?localhost|127\.\d+\.\d+\.\d+|::1")


HTTPS_ORIGIN = re.compile(r"https://[a-z0-9.-]+(:[1-9][0-9]{0,4})?", re.ASCII)
"""A server as a browser names it. Nothing that would end a policy's source."""


def address(text: str) -> tuple[str, int]:
    """`host:port` → (host, port). An IPv6 host stands in brackets. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or not 0 <= int(port) <= HIGHEST_PORT:
        raise ValueError(f"{text!r} is not an address; write host:port, as 127.0.0.1:4573")
    return host, int(port)


def _check_url(text: str, schemes: tuple[str, ...], example: str) -> None:
    parts = urlsplit(text)
    if parts.scheme not in schemes:
        raise ValueError(f"not a URL of the form {example}")
    try:
        _ = parts.port
    except ValueError as error:
        raise ValueError(f"not a URL of the form {example}: {error}") from None


def _require_tls(key: str, url: str) -> None:
    """Elsewhere than on this machine secrets go by TLS only."""
    if not is_safe_url(url) or set(url) & set("?#@ "):
        raise ValueError(f"{key} must be a URL that begins with https://, as https://login.example")


def is_safe_url(url: str) -> bool:
    """TLS, or this machine."""
    if not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    host = parts.hostname or ""
    return (parts.scheme == "https" and bool(host)) or (parts.scheme == "http" and LOOPBACK.fullmatch(host) is not None)


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class PostgresConfig(Section, frozen=True, kw_only=True):
    url: str = "postgresql://callrouter@127.0.0.1:5432/callrouter"
    password_file: str = ""
    """Read the password from this file instead of from `url`."""

    def __post_init__(self) -> None:
        _check_url(self.url, ("postgresql", "postgres"), "postgresql://user@host:5432/database")


class RedisConfig(Section, frozen=True, kw_only=True):
    """Redis ≥ 7 or Valkey ≥ 8: leases and live visits."""

    url: str = "redis://127.0.0.1:6379/0"
    password_file: str = ""
    cluster: bool = False

    def __post_init__(self) -> None:
        _check_url(self.url, ("redis", "rediss", "unix"), "redis://host:6379/0")


class RouterConfig(Section, frozen=True, kw_only=True):
    agi_listen: str = "127.0.0.1:4573"
    http_listen: str = "127.0.0.1:9573"
    """/metrics, /health and /ready."""
    journal: str = "/var/lib/callrouter/journal"
    """Folder in which finished calls wait, durably, for Postgres."""
    deadline_ms: int = 150
    """The dialplan is answered within this time, whatever Redis and Postgres do."""
    default_route: str = ""
    """CALLROUTER_ROUTE of a call that nobody claims."""

    def __post_init__(self) -> None:
        address(self.agi_listen)
        address(self.http_listen)
        if not 1 <= self.deadline_ms <= LONGEST_DEADLINE_MS:
            raise ValueError(f"deadline_ms must lie in 1…{LONGEST_DEADLINE_MS}, for a caller hears the silence")


class WebConfig(Section, frozen=True, kw_only=True):
    listen: str = "127.0.0.1:8080"
    workers: int = 1
    token_secret: str = ""
    """Signs visit tokens; the same on every `web`. At least 16 characters; empty: drawn anew at each start."""
    token_secret_file: str = ""
    journal: str = "/var/lib/callrouter/web"
    """Folder in which what visitors send waits, durably, for Postgres; empty: forms are refused."""
    trusted_proxies: tuple[str, ...] = ("127.0.0.0/8", "::1")
    """Addresses or networks whose X-Forwarded-For is believed."""
    requests_per_address: float = 50.0
    """Requests a second from one address (one /64 of IPv6) that each process answers."""
    requests_per_site: float = 5000.0
    """Requests a second of one site that each process answers."""
    forms_per_address: int = 30
    """Forms from one address to one site within an hour, each of them an appeal; 0: any number."""
    forms_per_site: int = 1000
    """Forms to one site within an hour; 0: any number."""
    recordings: str = ""
    """Folder of the PBX's recordings, as this machine sees it; empty: they are not played."""
    recordings_from: tuple[str, ...] = ()
    """Servers (https://records.example) whose recordings are played, where the PBX tells them by URL."""
    geoip_file: str = ""
    """A database of places in MaxMind's format; without one, places are `(undefined)`."""
    session_idle_hours: float = 24.0
    """A browser that asks for nothing for so long is signed out."""
    session_days: float = 30.0
    """Whoever signed in so long ago signs in again."""
    cut_addresses: bool = True
    """Addresses are cut (/24, IPv6 /48) before a place is looked up. They are never stored, cut or not."""

    def __post_init__(self) -> None:
        address(self.listen)
        for text in self.trusted_proxies:
            ip_network(text)
        for text in self.recordings_from:
            if not HTTPS_ORIGIN.fullmatch(text):
                raise ValueError(f"recordings_from: {text!r} is no server; write https://records.example")
        if self.requests_per_address <= 0 or self.requests_per_site <= 0:
            raise ValueError("requests_per_address and requests_per_site must be positive")
        if self.forms_per_address < 0 or self.forms_per_site < 0:
            raise ValueError("forms_per_address and forms_per_site must not be negative")
        if self.workers < 1:
            raise ValueError("workers must be at least 1")
        if not 0 < self.session_idle_hours <= 24 * self.session_days <= LONGEST_SESSION_HOURS:
            raise ValueError("session_idle_hours must be positive, and session_days no shorter, and a year at most")
        if self.token_secret and len(self.token_secret) < SHORTEST_TOKEN_SECRET:
            raise ValueError(f"token_secret needs at least {SHORTEST_TOKEN_SECRET} characters: openssl rand -hex 32")
        if self.workers > 1 and not self.token_secret and not self.token_secret_file:
            raise ValueError("several workers need one token_secret, or each would refuse the others' visit tokens")


class WorkerConfig(Section, frozen=True, kw_only=True):
    http_listen: str = "127.0.0.1:9574"
    sweep_seconds: float = 5.0
    """How often ended leases are looked for (a lease ends on time without that; only the history waits)."""
    keep_leases_days: int = 730
    """The history of leases is kept so long: who held a number when is what disputes begin with."""

    def __post_init__(self) -> None:
        address(self.http_listen)
        if not SHORTEST_SWEEP <= self.sweep_seconds <= LONGEST_SWEEP:
            raise ValueError(f"sweep_seconds must lie in {SHORTEST_SWEEP:g}…{LONGEST_SWEEP:g}")
        if self.keep_leases_days < FEWEST_LEASE_DAYS:
            raise ValueError(f"keep_leases_days must be at least {FEWEST_LEASE_DAYS}: attribution looks back so far")


class MailConfig(Section, frozen=True, kw_only=True):
    """The mail server that scheduled reports go through."""

    host: str = ""
    """Empty: no mail is sent."""
    port: int = 587
    tls: Literal["starttls", "tls", "none"] = "starttls"
    """`none` only where the way to the server is safe; a password is never sent that way."""
    user: str = ""
    secret: str = ""
    secret_file: str = ""
    sender: str = ""
    """As `Reports <reports@example.com>`."""
    ca: str = ""
    """A file with the certificates that the server's is checked by; empty: the public authorities."""

    def __post_init__(self) -> None:
        if not 0 < self.port <= HIGHEST_PORT:
            raise ValueError(f"port must lie in 1…{HIGHEST_PORT}")
        if self.user and self.tls == "none":
            raise ValueError("tls is none: the password of user would go over the network for all to read")
        if self.host:
            _require_sender(self.sender)


def _require_sender(sender: str) -> None:
    name, mailbox = parseaddr(sender)
    user, _, domain = mailbox.rpartition("@")
    if not (user and domain and mailbox.isascii() and sender.isprintable() and mailbox in sender):
        raise ValueError(f"sender {sender!r} is no e-mail address; write reports@example.com, or {name or 'Name'} <…>")


class ReportsConfig(Section, frozen=True, kw_only=True):
    """Where scheduled reports may go."""

    folder: str = ""
    """They may be put into this folder, which is there, too; empty: into none."""
    recipients: tuple[str, ...] = ()
    """To whom besides those who may sign in to the account: addresses, domains, or `*` for anybody."""

    def __post_init__(self) -> None:
        for each in self.recipients:
            if each != each.lower() or each.startswith("@") or not each.strip():
                raise ValueError(f"recipients: {each!r} is neither an address, nor a domain as example.com, nor *")


class LogConfig(Section, frozen=True, kw_only=True):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["console", "json"] = "console"


class PoolConfig(Section, frozen=True, kw_only=True):
    affinity: float = 4.0
    """An account is leased its own longest-free number unless another has been free more than so many times as long;
    1: the longest-free of all, whoever had it."""

    def __post_init__(self) -> None:
        if not self.affinity >= 1:
            raise ValueError("affinity must be 1 at least")


class AttributionConfig(Section, frozen=True, kw_only=True):
    window_hours: float = 72.0
    """How long after a lease ended its visit may still be credited with a call (rules §2)."""

    def __post_init__(self) -> None:
        if not 0 < self.window_hours <= LONGEST_WINDOW_HOURS:
            raise ValueError(f"window_hours must be positive, and {LONGEST_WINDOW_HOURS} (90 days) at most")

    @property
    def window(self) -> timedelta:
        return timedelta(hours=self.window_hours)


class PbxConfig(PbxProfile, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One Asterisk: its profile (`callrouter.calls.profile`) and how the router attaches to it."""

    name: str = "pbx1"
    attach: Attach = "agi"
    """How the dialplan asks: FastAGI, ARI (`Stasis(callrouter)`), or not at all (calls are watched and attributed)."""
    cel: str = ""
    """The CSV file that asterisk-conf/ has this PBX write (/var/log/asterisk/cel-custom/callrouter.csv), as it is to be
    read here: calls are proven by it. Empty: none is."""
    ami: str = "127.0.0.1:5038"
    ami_user: str = "callrouter"
    ami_secret: str = ""
    ami_secret_file: str = ""
    ari_url: str = "http://127.0.0.1:8088/ari"
    ari_user: str = "callrouter"
    ari_secret: str = ""
    ari_secret_file: str = ""
    callback_user: str = ""
    """The AMI user that may place calls; empty: this PBX carries out no callback orders."""
    callback_secret: str = ""
    callback_secret_file: str = ""
    callback_context: str = "callrouter-routes"
    """Where the routes of callback orders are extensions: whom they ring first."""

    def __post_init__(self) -> None:
        address(self.ami)
        _check_url(self.ari_url, ("http", "https"), "http://127.0.0.1:8088/ari")
        if self.country not in phonenumbers.SUPPORTED_REGIONS:
            raise ValueError(f"country {self.country!r} is no ISO 3166 code such as RU")
        if not self.name:
            raise ValueError("name is empty; it must equal `systemname` in the PBX's asterisk.conf")


class OidcConfig(Section, frozen=True, kw_only=True):
    """Signing in to the pages by OpenID Connect, besides passwords. Without `issuer` there is none."""

    issuer: str = ""
    """As the provider calls itself: its description is at ISSUER/.well-known/openid-configuration."""
    client_id: str = ""
    client_secret: str = ""
    client_secret_file: str = ""
    label: str = "OpenID"
    """What stands on the button: Sign in with …"""
    address: str = ""
    """Where people reach the pages, as https://calls.example; empty: as their browser asks for them."""
    create_as: Literal["", "viewer", "manager"] = ""
    """Who has no user yet becomes one with this role; empty: users are added by hand."""
    create_in: str = ""
    """The account that he is made a user of, by its name."""
    create_domains: tuple[str, ...] = ()
    """Domains whose verified e-mails are enough for that: a public provider knows everybody."""

    def __post_init__(self) -> None:
        if not self.issuer:
            if self.client_id or self.create_as:
                raise ValueError("issuer is empty; without it nobody signs in by OpenID Connect")
            return
        _require_tls("issuer", self.issuer)
        if self.address:
            _require_tls("address", self.address)
            if urlsplit(self.address).path.strip("/"):
                raise ValueError("address is a scheme and a host alone, as https://calls.example")
        if not self.client_id or not (self.client_secret or self.client_secret_file):
            raise ValueError("client_id and client_secret (or client_secret_file) are needed; the provider tells both")
        if not self.label.strip() or len(self.label) > LONGEST_LABEL:
            raise ValueError(f"label has 1 to {LONGEST_LABEL} characters")
        if self.create_as and not (self.create_in and self.create_domains):
            raise ValueError("create_as needs create_in (an account) and create_domains, or everybody could enter")


class Config(Section, frozen=True, kw_only=True):
    postgres: PostgresConfig = PostgresConfig()
    redis: RedisConfig = RedisConfig()
    router: RouterConfig = RouterConfig()
    web: WebConfig = WebConfig()
    worker: WorkerConfig = WorkerConfig()
    mail: MailConfig = MailConfig()
    reports: ReportsConfig = ReportsConfig()
    log: LogConfig = LogConfig()
    pool: PoolConfig = PoolConfig()
    attribution: AttributionConfig = AttributionConfig()
    oidc: OidcConfig = OidcConfig()
    pbx: tuple[PbxConfig, ...] = ()

    def __post_init__(self) -> None:
        names = [pbx.name for pbx in self.pbx]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two [[pbx]] sections are named {name!r}; calls are keyed by that name")
