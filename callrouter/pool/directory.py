"""What a number is and whose site it serves: the inventory, as one immutable object in memory. Pure.

Read from Postgres by `directory_source`. Knows no visitors and no leases. A call to any number is answered from here
as far as its number, static binding, site and route go, whatever Redis and Postgres do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Literal, TypeVar

import msgspec

from callrouter.callbacks.settings import CallbackSettings
from callrouter.numbers import Number
from callrouter.pool.delay import DelayModel, Models
from callrouter.pool.keys import NAMESPACE, Slot, pool_slot, site_slot
from callrouter.pool.model import DEFAULT_HOLD, DEFAULT_WINDOW, StaticBinding
from callrouter.pool.routing import RouteRule
from callrouter.sessions.model import TrafficSource

K = TypeVar("K")
V = TypeVar("V")

OPERATOR = 1
"""The operator's own account: it owns the shared pools and gets every call that is nobody's."""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    default_route: str = ""
    window: timedelta = DEFAULT_WINDOW
    time_zone: str = "UTC"
    utc_offset: float = 0.0
    """Hours that the account's clocks are ahead of UTC, when this was read."""
    model: DelayModel | None = None
    """As fitted from its own calls, if ever."""


class PoolChoice(msgspec.Struct, frozen=True, kw_only=True):
    """A pool that serves a site; empty regions and sources mean all visitors."""

    pool: int
    regions: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


Consent = Literal["full", "ask", "refused"]
"""Before a visitor says anything: everything; a channel's number only; nothing (issue of lawfulness, the site's)."""


class Widget(msgspec.Struct, frozen=True, kw_only=True):
    """What a site sets for its script (`sites.widget`)."""

    select: str = ""
    """CSS selector of the elements whose numbers are replaced; empty: wherever one of the site's own stands."""
    shadow: str = ""
    """CSS selector of the elements whose shadow roots are searched too."""


class Site(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    account: int
    name: str = ""
    domains: tuple[str, ...] = ()
    excluded_referrers: tuple[str, ...] = ()
    country: str = "RU"
    own_numbers: tuple[Number, ...] = ()
    fallback_number: Number | None = None
    display_pattern: str = ""
    route: str = ""
    routing: tuple[RouteRule, ...] = ()
    """Of which the first that fits a call comes before the route."""
    hold: timedelta = DEFAULT_HOLD
    rest: timedelta = timedelta(0)
    gap: timedelta = timedelta(minutes=30)
    overflow: Literal["fallback", "nearest_end"] = "fallback"
    enabled: bool = True
    consent: Consent = "full"
    widget: Widget = Widget()
    callback: CallbackSettings = CallbackSettings()
    pools: tuple[PoolChoice, ...] = ()
    leases_per_address: int | None = None
    """Numbers that one address may take within a hold; 0: any, None: by the size of the pools."""
    leases_per_site: int | None = None
    """Numbers that all visitors together may take within a hold; likewise."""
    requests_per_second: int | None = None
    """Of each web process; None: as configured there."""

    @property
    def shown_without_lease(self) -> Number | None:
        """What a page shows when no number is leased: the fallback, else the site's own first."""
        return self.fallback_number or (self.own_numbers[0] if self.own_numbers else None)

    def pools_for(self, *, regions: frozenset[str] = frozenset(), source: str = "") -> tuple[int, ...]:
        """The pools that take visitors of this source from a place so called, the first to be tried first."""
        return tuple(
            choice.pool
            for choice in self.pools
            if (not choice.regions or not regions.isdisjoint(choice.regions))
            and (not choice.sources or source in choice.sources)
        )


class NumberEntry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    number: Number
    account: int
    pool: int | None = None
    active: bool = True
    route: str = ""


class Directory(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Accounts, sites, numbers and static bindings as they were at `read_at`."""

    accounts: tuple[Account, ...] = ()
    sites: tuple[Site, ...] = ()
    numbers: tuple[NumberEntry, ...] = ()
    bindings: tuple[StaticBinding, ...] = ()
    pools: tuple[int, ...] = ()
    removed_pools: tuple[int, ...] = ()
    """Of the last weeks: the history may not have all of theirs yet."""
    leased_peaks: dict[int, float] = {}
    """Of pools that have a plan: leases at once in the busiest hour, all sites together, as it expects them."""
    read_at: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    version: int = 0
    """Higher for each newer state of the inventory; 0: not known. The lease store takes no older one than it has."""
    known: bool = True
    """False: neither Postgres nor a snapshot has told anything yet, so that a number missing here proves nothing."""
    namespace: str = NAMESPACE

    def number(self, number: str) -> NumberEntry | None:
        return self._numbers.get(number)

    def site(self, site: int | None) -> Site | None:
        return self._sites.get(site) if site is not None else None

    def account(self, account: int | None) -> Account | None:
        return self._accounts.get(account) if account is not None else None

    def binding(self, number: str, at: datetime) -> StaticBinding | None:
        """What the number was bound to at that moment."""
        for binding in self._bindings.get(number, ()):
            if binding.valid_from <= at and (binding.valid_to is None or at < binding.valid_to):
                return binding
        return None

    def channel_number(self, site: int, traffic: TrafficSource, at: datetime) -> Number | None:
        """The static number of the channel that the visitor came by: the binding that says most of it."""
        fitting = [
            binding for binding in self._channels.get(site, ())
            if binding.valid_from <= at and (binding.valid_to is None or at < binding.valid_to)
            and (binding.source == traffic.source or (binding.source == binding.channel == traffic.channel))
            and binding.medium in {"", traffic.medium} and binding.campaign in {"", traffic.campaign}
        ]  # fmt: skip
        best = max(fitting, key=lambda binding: (bool(binding.campaign), bool(binding.medium)), default=None)
        return best.number if best else None

    def site_of_own_number(self, number: str) -> Site | None:
        """The site whose real or fallback number this is."""
        return self._own.get(number)

    def route(self, number: str, site: int | None, account: int | None, *, ruled: str = "") -> str:
        """Where the dialplan sends the call: the number's route, that of the site's rule which fits (`ruled`), the
        site's, its account's, the operator's."""
        entry = self._numbers.get(number)
        if entry is not None and entry.route:
            return entry.route
        if ruled:
            return ruled
        of_site = self.site(site)
        if of_site is not None and of_site.route:
            return of_site.route
        of_account = self.account(account or (of_site.account if of_site else None))
        if of_account is not None and of_account.default_route:
            return of_account.default_route
        operator = self._accounts.get(OPERATOR)
        return operator.default_route if operator else ""

    def pool_numbers(self, pool: int) -> dict[Number, bool]:
        """The pool's numbers; False: set aside."""
        return {entry.number: entry.active for entry in self._by_pool.get(pool, ())}

    def accounts_of_pool(self, pool: int) -> Sequence[int]:
        """Whose sites share the pool."""
        return self._sharing.get(pool, ())

    def longest_hold(self, pool: int) -> timedelta:
        """Of the sites that share the pool: a number rests for the most careful of them."""
        return self._holds.get(pool, DEFAULT_HOLD)

    def models(self, default: DelayModel) -> Models:
        """How each account's visitors call; who has no fitted model has the operator's, or else `default`.

        Nobody's window is longer than `default`'s, which is for how long the lease store remembers. The strangers of a
        pool are those that the models of the accounts on it know.
        """
        if default not in self._models:
            self._models[default] = self._rated(default)
        return self._models[default]

    def slot_of_pool(self, pool: int) -> Slot:
        return pool_slot(pool, self.namespace)

    def slot_of_site(self, site: int) -> Slot:
        return site_slot(site, self.namespace)

    def slots(self) -> list[Slot]:
        """Every slot that may hold leases, visits or log."""
        pools = (*self.pools, *self.removed_pools)
        return [*map(self.slot_of_pool, pools), *(self.slot_of_site(site.id) for site in self.sites)]

    def slots_of_account(self, account: int) -> Sequence[Slot]:
        """Where calls of this account's callers may be looked up."""
        return self._slots.get(account, ())

    def index(self) -> None:
        """Make all indices that are otherwise made when first needed: with many numbers no call should wait for it."""
        for name, part in vars(Directory).items():
            if isinstance(part, cached_property):
                getattr(self, name)

    def _rated(self, default: DelayModel) -> Models:
        operator = self._accounts.get(OPERATOR)
        common = operator.model if operator and operator.model else default
        rated = {each.id: _of_account(each, common, default.window) for each in self.accounts}
        strangers = {}
        for pool in self.pools:
            fitted = [rated[each].stranger for each in self.accounts_of_pool(pool)
                      if each in rated and self._accounts[each].model]  # fmt: skip
            if fitted:
                strangers[pool] = sum(fitted) / len(fitted)
        common = msgspec.structs.replace(common, window=default.window)
        return Models(default=common, accounts=rated, strangers=strangers)

    @cached_property
    def _models(self) -> dict[DelayModel, Models]:
        return {}

    @cached_property
    def _numbers(self) -> dict[str, NumberEntry]:
        return {entry.number: entry for entry in self.numbers}

    @cached_property
    def _sites(self) -> dict[int, Site]:
        return {site.id: site for site in self.sites}

    @cached_property
    def _accounts(self) -> dict[int, Account]:
        return {account.id: account for account in self.accounts}

    @cached_property
    def _bindings(self) -> dict[str, list[StaticBinding]]:
        return _grouped((binding.number, binding) for binding in self.bindings)

    @cached_property
    def _channels(self) -> dict[int, list[StaticBinding]]:
        return _grouped((binding.site, binding) for binding in self.bindings)

    @cached_property
    def _by_pool(self) -> dict[int, list[NumberEntry]]:
        return _grouped((entry.pool, entry) for entry in self.numbers if entry.pool is not None)

    @cached_property
    def _sharing(self) -> dict[int, list[int]]:
        sharing = _grouped((choice.pool, site.account) for site in self.sites for choice in site.pools)
        return {pool: sorted(set(accounts)) for pool, accounts in sharing.items()}

    @cached_property
    def _holds(self) -> dict[int, timedelta]:
        holds = _grouped((choice.pool, site.hold) for site in self.sites for choice in site.pools)
        return {pool: max(those) for pool, those in holds.items()}

    @cached_property
    def _slots(self) -> dict[int, list[Slot]]:
        """By account: its sites' pools, then the sites."""
        slots = {}
        for account, sites in _grouped((site.account, site) for site in self.sites).items():
            pools = dict.fromkeys(choice.pool for site in sites for choice in site.pools)
            slots[account] = [*map(self.slot_of_pool, pools), *(self.slot_of_site(site.id) for site in sites)]
        return slots

    @cached_property
    def _own(self) -> dict[str, Site]:
        own: dict[str, Site] = {}
        for site in self.sites:
            for number in (*site.own_numbers, *filter(None, (site.fallback_number,))):
                own.setdefault(number, site)
        return own


def _of_account(account: Account, common: DelayModel, longest: timedelta) -> DelayModel:
    return msgspec.structs.replace(
        account.model or common, window=min(account.window, longest), offset=account.utc_offset
    )


def _grouped(pairs: Iterable[tuple[K, V]]) -> dict[K, list[V]]:
    groups: dict[K, list[V]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups
