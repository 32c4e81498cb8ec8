"""Number + caller + time → who calls, in at most one round trip: what the router asks on every inbound call.

Joins the directory (in memory), the lease store and the pure `attribution`. Knows no dialplan and no deadline: the
caller of `resolve` waits as long as he can afford and goes on without.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from time import perf_counter

import msgspec

from callrouter.log import OncePerKind
from callrouter.numbers import Number
from callrouter.pool import metrics
from callrouter.pool.attribution import Evidence, credit
from callrouter.pool.delay import DEFAULT_MODEL, DelayModel, Models
from callrouter.pool.directory import Directory
from callrouter.pool.keys import Slot
from callrouter.pool.live import Live
from callrouter.pool.model import Attribution, Resolution, StaticBinding, traffic_of
from callrouter.pool.routing import fitting
from callrouter.pool.store import Ask, LeaseStore, StoreUnavailable
from callrouter.sessions.model import Visit

HINTS_SECONDS = 0.05
"""How long a call that needs no lease waits for what is known of its caller."""
NO_POOL = 0


class Resolver:
    """`directory` gives the newest directory at any time, so that a change needs no new resolver.

    `model` rates the visits of accounts that have none of their own; its window is for how long the store remembers.
    """

    def __init__(
        self, store: LeaseStore, directory: Callable[[], Directory], *, model: DelayModel = DEFAULT_MODEL
    ) -> None:
        self._store = store
        self._directory = directory
        self._model = model
        self._rated: tuple[Directory, Models] | None = None
        self._say = OncePerKind()

    async def resolve(
        self, number: Number, caller: Number | None, at: datetime, *, live: bool = True, call: str = ""
    ) -> Resolution:
        """Who calls. With a `call` id the number is pinned until `call_ended`.

        `live`: the call comes now, and the store's clock says when that is; otherwise `at` counts, at most as far back
        as the store remembers. Raises StoreUnavailable only where the answer needs the store: not for static numbers,
        if the directory is known.
        """
        began = perf_counter()
        directory = self._directory()
        if not directory.known:
            raise StoreUnavailable("the numbers have not been read from Postgres yet")
        binding = directory.binding(number, at)
        entry = directory.number(number)
        if entry is not None and entry.pool is not None and binding is None:
            resolution = await self._from_pool(directory, entry.pool, number, caller, at, live=live, call=call)
        else:
            resolution = await self._without_lease(directory, number, caller, at, binding)
        metrics.RESOLUTIONS.inc(resolution.attribution.method)
        return _timed(resolution, perf_counter() - began)

    async def call_ended(self, number: Number, call: str) -> None:
        """Let the number's pin run out a hold from now. Nothing to do for numbers that are not leased."""
        directory = self._directory()
        entry = directory.number(number)
        if entry is not None and entry.pool is not None:
            slot = directory.slot_of_pool(entry.pool)
            await self._store.call_ended(slot, number, call, hold=directory.longest_hold(entry.pool))

    async def remember(self, resolution: Resolution, *, client: str = "") -> None:
        """Keep who was credited with this call wherever the account's next calls are looked up."""
        account = resolution.attribution.account
        if account is None or resolution.caller is None:
            return
        directory = self._directory()
        own = self._slot(directory, resolution)
        slots = dict.fromkeys([*filter(None, (own,)), *directory.slots_of_account(account)])
        await asyncio.gather(
            *(
                self._store.remember(
                    slot, resolution.caller, account=account, at=resolution.at, number=resolution.number,
                    client=client, visit=resolution.visit, own_number=slot == own,
                    credited=resolution.attribution,
                )
                for slot in slots
            )
        )  # fmt: skip

    async def _from_pool(
        self,
        directory: Directory,
        pool: int,
        number: Number,
        caller: Number | None,
        at: datetime,
        *,
        live: bool,
        call: str,
    ) -> Resolution:
        known = await self._store.resolve(Ask(directory.slot_of_pool(pool), pool, number, caller, call))
        evidence = Evidence(
            number=number, caller=caller, at=known.at if live else at, leases=known.leases,
            same_number=known.same_number, newest=known.newest, newest_visit=known.newest_visit,
        )  # fmt: skip
        attribution = credit(evidence, self._models(directory))
        visit = _credited_visit(attribution, known)
        provisional = (
            attribution.method == "unattributed" and not known.leases and not self._remembers(known, evidence.at)
        )
        if provisional:
            self._note_provisional(pool, known=known.known)
        return complete(
            directory, number, caller, at, attribution, visit=visit, regulars=known, provisional=provisional
        )

    def _remembers(self, known: Live, at: datetime) -> bool:
        """Whether nobody had the number, as far as the store should know: it has had it for the whole window."""
        return known.since is not None and known.since <= at - self._store.lifetimes.window

    def _note_provisional(self, pool: int, *, known: bool) -> None:
        metrics.PROVISIONAL.inc()
        if not known:
            self._say.warning("NUMBER-NOT-IN-STORE", pool=pool)

    async def _without_lease(
        self,
        directory: Directory,
        number: Number,
        caller: Number | None,
        at: datetime,
        binding: StaticBinding | None,
    ) -> Resolution:
        attribution = credit_without_lease(directory, number, caller, at, binding)
        regulars = None
        if caller and attribution.site is not None:
            regulars = await self._regulars(directory.slot_of_site(attribution.site), number, caller)
        return complete(directory, number, caller, at, attribution, binding=binding, regulars=regulars)

    async def _regulars(self, slot: Slot, number: Number, caller: Number) -> Live | None:
        """What is known of the caller, if the store says so soon: the answer does not depend on it."""
        try:
            async with asyncio.timeout(HINTS_SECONDS):
                return await self._store.resolve(Ask(slot, NO_POOL, number, caller))
        except (StoreUnavailable, TimeoutError):
            return None

    def _models(self, directory: Directory) -> Models:
        """Worked out once per directory."""
        if self._rated is None or self._rated[0] is not directory:
            self._rated = directory, directory.models(self._model)
        return self._rated[1]

    def _slot(self, directory: Directory, resolution: Resolution) -> Slot | None:
        entry = directory.number(resolution.number)
        if entry is not None and entry.pool is not None and resolution.binding is None:
            return directory.slot_of_pool(entry.pool)
        site = resolution.attribution.site
        return directory.slot_of_site(site) if site is not None else None


def credit_without_lease(
    directory: Directory, number: Number, caller: Number | None, at: datetime, binding: StaticBinding | None
) -> Attribution:
    """A static number's channel; a site's own number is that site's; any other is nobody's."""
    attribution = credit(Evidence(number=number, caller=caller, at=at, binding=binding))
    site = directory.site_of_own_number(number)
    if binding is None and site is not None:
        return Attribution(method="unattributed", confidence=0.0, account=site.account, site=site.id, session=None)
    return attribution


def complete(
    directory: Directory,
    number: Number,
    caller: Number | None,
    at: datetime,
    attribution: Attribution,
    *,
    visit: Visit | None = None,
    binding: StaticBinding | None = None,
    regulars: Live | None = None,
    late: bool = False,
    provisional: bool = False,
) -> Resolution:
    """The resolution that follows from an attribution: route, client, uniqueness as far as they are known.

    `regulars`: what is remembered of the caller; None: the store has not said.
    `unique` is a hint for the dialplan: true if no call of this caller to the account is remembered. None: not known.
    """
    account = attribution.account
    unique, client, manager = None, None, ""
    if account is not None and regulars is not None:
        unique = caller is not None and account not in regulars.clients
        client = regulars.clients.get(account) or None
        manager = regulars.managers.get(account, "")
    site = directory.site(attribution.site)
    rule = fitting(site.routing, traffic_of(visit, binding), unique=unique, manager=manager) if site else None
    return Resolution(
        number=number, caller=caller, at=at, attribution=attribution, visit=visit, binding=binding,
        overflow=visit.overflow if visit else False, client=client, unique=unique,
        manager=manager, late=late, provisional=provisional,
        route=directory.route(number, attribution.site, account, ruled=rule.route if rule else ""),
    )  # fmt: skip


def _credited_visit(attribution: Attribution, known: Live) -> Visit | None:
    if known.visit and known.visit.session == attribution.session:
        return known.visit
    memories = (known.same_number, known.newest)
    visits = (known.newest_visit, *(memory.visit for memory in memories if memory))
    return next((visit for visit in visits if visit and visit.session == attribution.session), None)


def _timed(resolution: Resolution, seconds: float) -> Resolution:
    """Not shared yet, so its one late field may be set: a copy of all fields costs microseconds on every call."""
    msgspec.structs.force_setattr(resolution, "took_ms", seconds * 1000)
    return resolution
