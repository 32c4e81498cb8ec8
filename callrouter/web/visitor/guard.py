"""Who may ask how often, and how many numbers one line or one site may take. Knows no bodies and no pages.

Requests are counted in this process only: they cost this process. Leases are counted across all processes, for a pool
is everybody's: the first quarter of an allowance is given without asking anybody, then each is counted in the store.
Whoever has used up his allowance still gets a page and the site's own number on it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable
from datetime import timedelta
from math import ceil
from typing import Protocol

import msgspec
import structlog

from callrouter.clock import Clock
from callrouter.pool.directory import Directory, Site
from callrouter.web import metrics
from callrouter.web.problem import Refusal
from callrouter.web.visitor.addresses import cut, household

log = structlog.get_logger()

MOST = 100_000
"""Lines, sites and windows kept in memory; beyond that the oldest are forgotten."""
TELL_SECONDS = 60.0
"""A flood is logged once in so long, for each site and reason."""
FORGERY = 10
"""A forged token counts as so many requests."""
HOUR = timedelta(hours=1)
UNASKED = 4
"""This part of an allowance of leases is given by each process without asking the store."""
CLOSED_SECONDS = 1.0
"""Who has used up his allowance is not looked up again for so long."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Of one process. A burst of so many seconds' worth is let through."""

    requests_per_address: float = 50.0
    requests_per_site: float = 5000.0
    address_burst: float = 10.0
    site_burst: float = 4.0
    forms_per_address: int = 30
    forms_per_site: int = 1000
    """Within an hour, of all processes; 0: any."""


class Allowance(msgspec.Struct, frozen=True):
    """Leases within one hold. 0: not limited."""

    address: int
    site: int


class Counter(Protocol):
    """Counts across processes: adds to the number of a window and returns it with that of the window before."""

    def __call__(self, name: str, window: int, amount: int, span: timedelta) -> Awaitable[tuple[int, int]]: ...

    def first(self, name: str, window: int, whom: str, span: timedelta) -> Awaitable[bool]:
        """Whether nobody asked this about `whom` in this window before."""


class Buckets:
    """How often in a while, for many keys: the moment at which a key would be back to rest, if nothing more came."""

    def __init__(self, most: int = MOST) -> None:
        self._rest: dict[object, float] = {}
        self._most = most

    def take(self, key: object, per_second: float, burst_seconds: float, now: float, amount: float = 1.0) -> bool:
        rest = self._rest.get(key, 0.0)
        rest = (max(rest, now)) + amount / per_second
        if rest - now > burst_seconds:
            return False
        if len(self._rest) >= self._most:
            self._forget(now)
        self._rest[key] = rest
        return True

    def _forget(self, now: float) -> None:
        self._rest = {key: rest for key, rest in self._rest.items() if rest > now}
        for key in list(self._rest)[: max(0, len(self._rest) - self._most // 2)]:
            del self._rest[key]


class _Window:
    """Leases that this process gave under one name within one hold."""

    __slots__ = ("asked", "closed_until", "count", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.count = 0
        self.asked = False
        self.closed_until = 0.0


class Guard:
    """`secret` keeps addresses out of the store: what is written there is a keyed hash of a line."""

    def __init__(self, limits: Limits, clock: Clock, counter: Counter, secret: bytes) -> None:
        self._limits = limits
        self._clock = clock
        self._counter = counter
        self._secret = hashlib.blake2b(secret, digest_size=32, person=b"addresses").digest()
        self._lines, self._sites = Buckets(), Buckets()
        self._windows: dict[tuple[int, str], _Window] = {}
        self._allowances = Allowances()
        self._told: dict[tuple[str, int], float] = {}

    def request(self, site: Site, address: str, amount: float = 1.0) -> None:
        """Raises Refusal if the line or the site has asked too much."""
        limits, now = self._limits, self._clock.monotonic()
        # The address first: a flood from one must not use up its site's.
        if address and not self._lines.take(
            household(address), limits.requests_per_address, limits.address_burst, now, amount
        ):
            self._tell("address-rate", site, address, now)
            raise Refusal(429, "address-rate", "Too many requests from this address", retry_s=5)
        of_site = site.requests_per_second or limits.requests_per_site
        if not self._sites.take(site.id, of_site, limits.site_burst, now, amount):
            self._tell("site-rate", site, address, now)
            raise Refusal(429, "site-rate", "This site gets too many requests", retry_s=1)

    async def lease(self, site: Site, address: str, directory: Directory) -> str:
        """Why no number may be leased to this visitor, '' if one may."""
        allowance = self._allowances.of(site, directory)
        line = household(address)
        now = self._clock.now().timestamp()
        number, begun = divmod(now, site.hold.total_seconds())
        # The address first: what it asks for in vain must not count as its site's.
        for allowed, reason, key in (
            (allowance.address if line else 0, "address-leases", (site.id, line)),
            (allowance.site, "site-leases", (site.id, "")),
        ):
            if not allowed:
                continue
            window = self._window_of(key, int(number))
            window.count += 1
            if window.count > allowed // UNASKED and not await self._may(key, window, allowed, site.hold, begun):
                if key[1] == "" and line:
                    await self._give_back((site.id, line), site.hold)
                metrics.REFUSED.labels(reason=reason).inc()
                self._tell(reason, site, address, self._clock.monotonic())
                return reason
        return ""

    async def returned(self, site: Site, address: str) -> None:
        """The visitor took no number after all: he had one, or there was none."""
        await self._give_back((site.id, ""), site.hold)
        if address:
            await self._give_back((site.id, household(address)), site.hold)

    async def goes_on(self, site: Site, address: str, session: str, directory: Directory) -> None:
        """A lease that was counted in an earlier window is held in this one: whoever keeps numbers gets few new ones.

        It moves from the window before, once: a token that is sent again and again fills nobody's allowance.
        """
        allowance, number = self._allowances.of(site, directory), self.window(site)
        keys = [(site.id, household(address))] if address and allowance.address else []
        if allowance.site:
            keys.append((site.id, ""))
        if not keys or not await self.is_first(site, session):
            return
        for key in keys:
            window = self._window_of(key, number)
            window.count += 1
            if window.asked:
                await self._counter(self._name(*key), number, 1, site.hold)
            await self._counter(self._name(*key), number - 1, -1, site.hold)

    def is_first(self, site: Site, session: str) -> Awaitable[bool]:
        """Whether this visit's lease was not heard of in this window before."""
        return self._counter.first(str(site.id), self.window(site), session, site.hold)

    def window(self, site: Site, at: float | None = None) -> int:
        """The number of the window of `at`, or of now."""
        return int((self._clock.now().timestamp() if at is None else at) // site.hold.total_seconds())

    async def _give_back(self, key: tuple[int, str], hold: timedelta) -> None:
        window = self._windows.get(key)
        if window and window.count:
            window.count -= 1
            if window.asked:
                await self._counter(self._name(*key), window.number, -1, hold)

    async def _may(self, key: tuple[int, str], window: _Window, allowed: int, hold: timedelta, begun: float) -> bool:
        """Ask the store: leases of this window, and of the last as far as it reaches into a hold that ends now."""
        now = self._clock.monotonic()
        if now < window.closed_until:
            window.count -= 1
            return False
        amount, window.asked = 1 if window.asked else window.count, True
        name = self._name(*key)
        count, before = await self._counter(name, window.number, amount, hold)
        # Less than none: of those that went on, some had been counted by a process that needed to ask nobody.
        if count + max(0, before) * (1 - begun / hold.total_seconds()) <= allowed:
            return True
        window.closed_until = now + CLOSED_SECONDS
        window.count -= 1
        await self._counter(name, window.number, -1, hold)
        return False

    async def form(self, site: Site, address: str) -> None:
        """Raises Refusal if the line or the site has sent too many forms: each is an appeal that stays."""
        limits = self._limits
        # The address first: a flood from one must not use up its site's.
        for reason, whom, most in (
            ("form-address", address, limits.forms_per_address), ("form-site", "all", limits.forms_per_site),
        ):  # fmt: skip
            if most and whom and await self.is_over(site, reason, whom, most, HOUR):
                raise Refusal(429, reason, "Too many forms within an hour", retry_s=600)

    async def is_over(self, site: Site, what: str, whom: str, most: int, span: timedelta) -> bool:
        """Whether this is more than `most` of its kind within the span, in all processes; then it does not count."""
        number, begun = divmod(self._clock.now().timestamp(), span.total_seconds())
        name = f"{what}:{self._name(site.id, household(whom) if what.endswith('address') else whom)}"
        count, before = await self._counter(name, int(number), 1, span)
        if count + before * (1 - begun / span.total_seconds()) <= most:
            return False
        await self._counter(name, int(number), -1, span)
        self._tell(what, site, "", self._clock.monotonic())
        return True

    def _window_of(self, key: tuple[int, str], number: int) -> _Window:
        found = self._windows.get(key)
        return found if found is not None and found.number == number else self._open(key, number)

    def _open(self, key: tuple[int, str], number: int) -> _Window:
        if len(self._windows) >= MOST:
            kept = ((key, window) for key, window in self._windows.items() if window.number == number)
            self._windows = dict(list(kept)[-MOST // 2 :])
        window = self._windows[key] = _Window(number)
        return window

    def _name(self, site: int, line: str) -> str:
        if not line:
            return str(site)
        return f"{site}:{hashlib.blake2s(line.encode(), key=self._secret, digest_size=8).hexdigest()}"

    def _tell(self, reason: str, site: Site, address: str, now: float) -> None:
        if now >= self._told.get((reason, site.id), 0.0):
            if len(self._told) >= MOST:
                self._told.clear()
            self._told[reason, site.id] = now + TELL_SECONDS
            log.warning("WEB-FLOOD", reason=reason, site=site.id, address=cut(address))


class Allowances:
    """What a site's settings say, else what the size of its pools does, and what they were planned for."""

    ADDRESS_PART, ADDRESS_LEAST, SITE_PART = 4, 5, 0.8
    PLAN_TIMES = 5
    """No site usually has so many times as much leased as its pools were planned for in the busiest hour."""

    def __init__(self) -> None:
        self._directory: Directory | None = None
        self._sizes: dict[int, int] = {}
        self._shared: set[int] = set()
        self._planned: dict[int, float] = {}
        self._known: dict[int, Allowance] = {}

    def of(self, site: Site, directory: Directory) -> Allowance:
        if directory is not self._directory:
            self._read(directory)
        found = self._known.get(site.id)
        if found is None:
            found = self._known[site.id] = self._allowance(site)
        return found

    def _read(self, directory: Directory) -> None:
        self._directory, self._known = directory, {}
        self._sizes = {}
        sites: dict[int, int] = {}
        for entry in directory.numbers:
            if entry.pool is not None and entry.active:
                self._sizes[entry.pool] = self._sizes.get(entry.pool, 0) + 1
        for site in directory.sites:
            for choice in site.pools:
                sites[choice.pool] = sites.get(choice.pool, 0) + 1
        self._shared = {pool for pool, count in sites.items() if count > 1}
        self._planned = directory.leased_peaks

    def _allowance(self, site: Site) -> Allowance:
        pools = {choice.pool for choice in site.pools}
        numbers = sum(self._sizes.get(pool, 0) for pool in pools)
        line = max(1, min(max(self.ADDRESS_LEAST, numbers // self.ADDRESS_PART), numbers // 2))
        part = self._part(pools, numbers) if numbers >= self.ADDRESS_LEAST and pools & self._shared else 0
        return Allowance(
            line if site.leases_per_address is None else site.leases_per_address,
            part if site.leases_per_site is None else site.leases_per_site,
        )

    def _part(self, pools: set[int], numbers: int) -> int:
        part = int(numbers * self.SITE_PART)
        if not pools <= self._planned.keys():
            return part
        planned = sum(self._planned[pool] for pool in pools)
        return min(part, max(self.ADDRESS_LEAST, ceil(planned * self.PLAN_TIMES)))
