"""The ASGI application: which route is answered by what. `parts` has what the handlers stand on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar, Router
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler

from callrouter.clock import Clock, SystemClock
from callrouter.pool.inventory import Refused, Unknown
from callrouter.web.api.accounts import account_handlers
from callrouter.web.api.appeals import appeal_handlers
from callrouter.web.api.audit_route import audit_handler
from callrouter.web.api.clients import client_handlers
from callrouter.web.api.costs import cost_handlers
from callrouter.web.api.deals import deal_handlers
from callrouter.web.api.export import export_handlers
from callrouter.web.api.files import Files
from callrouter.web.api.inventory_changes import inventory_changes
from callrouter.web.api.inventory_lists import inventory_lists
from callrouter.web.api.journal import journal_handlers
from callrouter.web.api.leaks import leak_handlers
from callrouter.web.api.leases import lease_handlers
from callrouter.web.api.list_exports import list_export_handlers
from callrouter.web.api.listed import Lists
from callrouter.web.api.live import live_handlers
from callrouter.web.api.pool_routes import pool_handlers
from callrouter.web.api.reconciliations import reconciliation_handlers
from callrouter.web.api.reports import report_handlers
from callrouter.web.api.routes import api_router, openapi_config
from callrouter.web.api.schedules import schedule_handlers
from callrouter.web.api.site_routes import site_handlers
from callrouter.web.api.steps import step_handlers
from callrouter.web.api.token_routes import token_handlers
from callrouter.web.api.users import user_handlers
from callrouter.web.api.views import view_handlers
from callrouter.web.api.visits import visit_handlers
from callrouter.web.openid.attempts import Attempts
from callrouter.web.operation import operation_handlers
from callrouter.web.pages.account import account_page, accounts_page
from callrouter.web.pages.appeal import appeal_page
from callrouter.web.pages.client_actions import client_actions
from callrouter.web.pages.clients import clients_page
from callrouter.web.pages.costs import costs_page
from callrouter.web.pages.deals import deals_page
from callrouter.web.pages.entering import Entering
from callrouter.web.pages.ground import Ground
from callrouter.web.pages.journal import journal_page
from callrouter.web.pages.number import number_page
from callrouter.web.pages.openid import OpenIdEntering, openid_page
from callrouter.web.pages.own import own_page
from callrouter.web.pages.pool import pool_page
from callrouter.web.pages.pools import pools_page
from callrouter.web.pages.record import record_page
from callrouter.web.pages.recording import Recordings
from callrouter.web.pages.reports.page import reports_page
from callrouter.web.pages.router import Errors, pages_router
from callrouter.web.pages.schedules import schedules_page
from callrouter.web.pages.sign_in import sign_in_page
from callrouter.web.pages.site import site_page
from callrouter.web.pages.sites import sites_page
from callrouter.web.pages.static_numbers import static_page
from callrouter.web.pages.tokens import tokens_page
from callrouter.web.pages.users import users_page
from callrouter.web.pages.visit import visit_page
from callrouter.web.parts import Parts
from callrouter.web.problem import JsonRequest, Refusal
from callrouter.web.settings import WebSettings
from callrouter.web.visitor.callbacks import Callbacks
from callrouter.web.visitor.desk import Desk
from callrouter.web.visitor.entrance import Entrance
from callrouter.web.visitor.forms import Forms
from callrouter.web.widget.routes import widget_router


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
    parts = Parts(settings, clock or SystemClock())
    ground = Ground(parts.access, parts.reading)
    errors = Errors(ground)
    undescribed = Router(
        "/",
        route_handlers=[widget_router(parts.directory, parts.traces), *operation_handlers(parts.checks())],
        include_in_schema=False,
    )

    @asynccontextmanager
    async def services(_: Litestar) -> AsyncIterator[None]:
        async with parts.opened():
            yield

    app = Web(
        route_handlers=[undescribed, api_router(_resources(parts)), _pages(parts, ground)],
        lifespan=[services],
        exception_handlers={
            Refusal: errors.refused,
            Refused: errors.cannot_be_done,
            Unknown: errors.unknown,
            HTTPException: errors.refused_by_framework,
            Exception: errors.failed,
        },
        openapi_config=openapi_config(),
        request_class=JsonRequest,
        logging_config=None,
    )
    app.entrance = _entrance(parts, app)
    return app


def _entrance(parts: Parts, app: Web) -> Entrance:
    """What pages of visitors call."""
    clock, visits, directory = parts.clock, parts.visits, parts.directory
    desk = Desk(parts.store, directory, parts.signer, parts.guard, places=parts.places, clock=clock)
    forms = Forms(visits, parts.guard, parts.journal, clock=clock)
    callbacks = Callbacks(visits, directory, parts.guard, parts.journal, clock=clock)
    return Entrance(
        desk, parts.guard, parts.addresses, app.behind, forms=forms, callbacks=callbacks, traces=parts.traces,
    )  # fmt: skip


def _resources(parts: Parts) -> list[HTTPRouteHandler]:
    """What programs ask."""
    access, reading, asking, clock = parts.access, parts.reading, parts.asking, parts.clock
    files = Files()
    return [
        *lease_handlers(access, reading, parts.holders, clock),
        *leak_handlers(access, reading, clock, parts.settings.lifetimes.window),
        *appeal_handlers(access, reading, parts.visits, parts.directory, parts.journal, clock=clock),
        *step_handlers(access, reading),
        *reconciliation_handlers(access, reading),
        *account_handlers(access, reading),
        *user_handlers(access, reading, parts.newcomers),
        *token_handlers(access, reading),
        audit_handler(access, reading),
        *report_handlers(access, asking),
        *deal_handlers(access, reading),
        *cost_handlers(access, reading),
        *schedule_handlers(access, reading, parts.settings.outlet),
        *journal_handlers(access, asking),
        *view_handlers(access, reading, asking),
        *live_handlers(access, asking, parts.feed),
        *client_handlers(access, asking),
        *export_handlers(access, asking, files),
        *list_export_handlers(access, asking, files),
        *visit_handlers(access, asking),
        *inventory_lists(Lists(access, reading)),
        *site_handlers(access, reading, parts.traces),
        *pool_handlers(access, reading, parts.holders, clock),
        *inventory_changes(access, reading),
    ]


def _pages(parts: Parts, ground: Ground) -> Router:
    """The pages of people, in the order of their navigation."""
    settings, openid = parts.settings, None
    recordings = Recordings(settings.recordings, settings.recordings_from)
    entering = Entering(ground.reading, settings.token_keys, settings.signed_in)
    if parts.provider:
        openid = OpenIdEntering(parts.provider, Attempts(settings.token_keys), ground, entering)
    return pages_router(
        ground,
        [
            sign_in_page(ground, entering, openid=settings.openid.label if settings.openid else ""),
            openid_page(ground, openid),
            journal_page(ground, parts.asking, recordings),
            appeal_page(ground, parts.asking, recordings),
            clients_page(ground, *client_actions(ground)),
            visit_page(ground),
            reports_page(ground, parts.asking),
            schedules_page(ground, parts.settings.outlet),
            deals_page(ground),
            costs_page(ground),
            own_page(ground, entering),
            sites_page(ground, parts.traces),
            site_page(ground, parts.traces),
            static_page(ground, parts.clock),
            pools_page(ground, parts.holders, parts.clock),
            pool_page(ground, parts.holders, parts.clock),
            number_page(ground, parts.holders, parts.clock),
            account_page(ground),
            users_page(ground, entering, parts.newcomers),
            tokens_page(ground),
            record_page(ground),
            accounts_page(ground),
        ],
    )
