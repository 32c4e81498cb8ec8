"""The ASGI application: routes around services that are opened when it starts and closed when it stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
from litestar import Litestar, Router
from litestar.exceptions import HTTPException

from callrouter.clock import Clock, SystemClock
from callrouter.db.connect import connect
from callrouter.garbage import settle_collector
from callrouter.journal.live import Feed
from callrouter.people.browser_sessions import Lifetime
from callrouter.pool.connect import close_client, open_client
from callrouter.pool.directory import Directory
from callrouter.pool.directory_source import DirectorySource
from callrouter.pool.holders import Store
from callrouter.pool.inventory import Refused, Unknown
from callrouter.pool.keys import NAMESPACE
from callrouter.pool.store import LeaseStore, Lifetimes, StoreUnavailable
from callrouter.sessions.device import prepare
from callrouter.web.api.access import Access
from callrouter.web.api.accounts import account_handlers
from callrouter.web.api.appeals import appeal_handlers
from callrouter.web.api.audit_route import audit_handler
from callrouter.web.api.clients import client_handlers
from callrouter.web.api.costs import cost_handlers
from callrouter.web.api.deals import deal_handlers
from callrouter.web.api.export import export_handlers
from callrouter.web.api.filtered import Asking
from callrouter.web.api.inventory_changes import inventory_changes
from callrouter.web.api.inventory_lists import inventory_lists
from callrouter.web.api.journal import journal_handlers
from callrouter.web.api.leaks import leak_handlers
from callrouter.web.api.leases import lease_handlers
from callrouter.web.api.live import live_handlers
from callrouter.web.api.reading import Reading
from callrouter.web.api.reconciliations import reconciliation_handlers
from callrouter.web.api.reports import report_handlers
from callrouter.web.api.routes import api_router, openapi_config
from callrouter.web.api.steps import step_handlers
from callrouter.web.api.token_routes import token_handlers
from callrouter.web.api.users import user_handlers
from callrouter.web.api.visits import visit_handlers
from callrouter.web.operation import Check, operation_handlers
from callrouter.web.outbox import Outbox
from callrouter.web.pages.account import account_page, accounts_page
from callrouter.web.pages.entering import Entering
from callrouter.web.pages.ground import Ground
from callrouter.web.pages.own import own_page
from callrouter.web.pages.record import record_page
from callrouter.web.pages.router import Errors, pages_router
from callrouter.web.pages.sign_in import sign_in_page
from callrouter.web.pages.tokens import tokens_page
from callrouter.web.pages.users import users_page
from callrouter.web.problem import Refusal
from callrouter.web.visitor.addresses import Addresses
from callrouter.web.visitor.callbacks import Callbacks
from callrouter.web.visitor.desk import Desk
from callrouter.web.visitor.entrance import Entrance
from callrouter.web.visitor.forms import Forms
from callrouter.web.visitor.guard import Guard, Limits
from callrouter.web.visitor.places import Places
from callrouter.web.visitor.shared_count import SharedCount
from callrouter.web.visitor.tokens import TokenSigner
from callrouter.web.visitor.visits import Visits
from callrouter.web.widget.routes import widget_router

STALE = timedelta(minutes=10)


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
    geoip_file: Path | None = None
    cut_addresses: bool = True
    journal: Path | None = None
    """Folder for what visitors send; None: forms are refused."""
    log_level: str = "info"
    log_format: str = "console"


class Web(Litestar):
    """The application of one worker process: the visitors' calls first, which do without the framework."""

    entrance: Entrance

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.entrance(scope, receive, send)

    async def behind(self, scope: Any, receive: Any, send: Any) -> None:
        """All that is no visitor's call."""
        await super().__call__(scope, receive, send)


def create_app(settings: WebSettings, *, clock: Clock | None = None) -> Web:
    """The application of one worker process."""
    clock = clock or SystemClock()
    client = open_client(
        settings.redis_url, cluster=settings.redis_cluster, timeout=settings.redis_timeout_s,
        connections=settings.redis_connections, retries=1,
    )  # fmt: skip
    store = LeaseStore(client, lifetimes=settings.lifetimes)

    async def link() -> asyncpg.Connection[asyncpg.Record]:
        return await connect(settings.postgres_url)

    source = DirectorySource(
        link, snapshot=settings.snapshot, poll_seconds=settings.directory_poll_s, namespace=settings.namespace,
        clock=clock,
    )  # fmt: skip

    def directory() -> Directory:
        return source.directory

    reading = Reading(settings.postgres_url)

    @asynccontextmanager
    async def services(_: Litestar) -> AsyncIterator[None]:
        prepare()
        await source.start()
        await reading.open()
        await outbox.open()
        settle_collector()
        try:
            yield
        finally:
            await feed.stop()
            await outbox.close()
            await reading.close()
            await source.stop()
            places.close()
            await close_client(client)

    signer, outbox = TokenSigner(settings.token_keys), Outbox(settings.journal, settings.postgres_url, clock)
    places = Places(settings.geoip_file, cut_addresses=settings.cut_addresses)
    count = SharedCount(client, settings.namespace)
    guard = Guard(settings.limits, clock, count, settings.token_keys[0])
    desk = Desk(store, directory, signer, guard, places=places, clock=clock)
    visits = Visits(store, directory, signer, clock=clock)
    forms = Forms(visits, lambda: outbox.journal, clock=clock)
    callbacks = Callbacks(visits, directory, guard, lambda: outbox.journal, clock=clock)
    checks = _checks(settings, store, directory, clock)
    undescribed = Router(
        "/", route_handlers=[widget_router(directory), *operation_handlers(checks)], include_in_schema=False
    )
    addresses = Addresses(settings.trusted_proxies)
    access = Access(reading, addresses, life=settings.signed_in)
    asking, feed = Asking(reading, clock), Feed(link)
    api = api_router(
        [
            *lease_handlers(access, reading, Store(store, client, settings.namespace), clock),
            *leak_handlers(access, reading, clock, settings.lifetimes.window),
            *appeal_handlers(access, reading, visits, directory, lambda: outbox.journal, clock=clock),
            *step_handlers(access, reading),
            *reconciliation_handlers(access, reading),
            *account_handlers(access, reading),
            *user_handlers(access, reading),
            *token_handlers(access, reading),
            audit_handler(access, reading),
            *report_handlers(access, reading, clock),
            *deal_handlers(access, reading),
            *cost_handlers(access, reading),
            *journal_handlers(access, asking),
            *live_handlers(access, asking, feed),
            *client_handlers(access, asking),
            *export_handlers(access, asking),
            *visit_handlers(access, asking),
            *inventory_lists(access, reading),
            *inventory_changes(access, reading),
        ]
    )
    ground = Ground(access, reading)
    errors, pages = Errors(ground), _pages(settings, ground)
    app = Web(
        route_handlers=[undescribed, api, pages],
        lifespan=[services],
        exception_handlers={
            Refusal: errors.refused,
            Refused: errors.cannot_be_done,
            Unknown: errors.unknown,
            HTTPException: errors.refused_by_framework,
            Exception: errors.failed,
        },
        openapi_config=openapi_config(),
        logging_config=None,
    )
    app.entrance = Entrance(desk, guard, addresses, app.behind, forms=forms, callbacks=callbacks)
    return app


def _pages(settings: WebSettings, ground: Ground) -> Router:
    """The pages of people, in the order of their navigation."""
    entering = Entering(ground.reading, settings.token_keys, settings.signed_in)
    return pages_router(
        ground,
        [
            sign_in_page(ground, entering),
            own_page(ground, entering),
            account_page(ground),
            users_page(ground, entering),
            tokens_page(ground),
            record_page(ground),
            accounts_page(ground),
        ],
    )


def _checks(
    settings: WebSettings, store: LeaseStore, directory: Callable[[], Directory], clock: Clock
) -> dict[str, Check]:
    """What /ready asks."""

    async def redis_check() -> str:
        try:
            async with asyncio.timeout(settings.redis_timeout_s):
                await store.ping()
        except (StoreUnavailable, TimeoutError) as error:
            return str(error) or "no answer in time"
        return ""

    async def directory_check() -> str:
        if not directory().known:
            return "not read from Postgres yet"
        age = clock.now() - directory().read_at
        return f"last read {age} ago" if age > max(STALE, 3 * timedelta(seconds=settings.directory_poll_s)) else ""

    return {"redis": redis_check, "directory": directory_check}
