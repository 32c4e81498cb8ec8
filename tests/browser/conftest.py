"""Chromium, a site, and the real web on real servers: started once for all tests of this folder.

Each test has a browser context of its own: another visitor. Pools are large enough for all of them.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from callrouter.db.connect import connect
from callrouter.lab.servers import EmbeddedValkey
from callrouter.pool.connect import close_client, open_client
from callrouter.pool.directory_source import read_directory
from callrouter.pool.store import LeaseStore
from callrouter.pool.sweeper import load_pools
from tests.browser.office import office, take_seat
from tests.browser.shop import Shop, serving
from tests.browser.web import web_running
from tests.integration.conftest import administer, database_url, migrated_template, postgres_url
from tests.openid_provider import Provider
from tests.openid_provider import serving as provider_serving

__all__ = ["migrated_template", "office", "postgres_url", "take_seat"]

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync --disable-blink-features=AutomationControlled"
)
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"
)
NEEDED = "browser tests need Debian's chromium: apt-get install chromium (make test does, as root)"
FULL, ASK, REFUSED, SELECT, SHADOW, SMALL, FOREIGN, PLAIN = range(1, 9)
"""The test sites: see INVENTORY."""
INVENTORY = """
INSERT INTO accounts (id, name) VALUES (2, 'Окна');
INSERT INTO sites (account_id, id, name, domains, own_numbers, display_pattern, consent, widget, hold) VALUES
    (2, 1, 'full', '{shop.localhost}', '{74952222222,78005553535}', '8 (###) ###-##-##', 'full', '{}', '30 min'),
    (2, 2, 'ask', '{shop.localhost}', '{74952222222}', '8 (###) ###-##-##', 'ask', '{}', '30 min'),
    (2, 3, 'refused', '{shop.localhost}', '{74952222222}', '8 (###) ###-##-##', 'refused', '{}', '30 min'),
    (2, 4, 'select', '{shop.localhost}', '{}', '8 (###) ###-##-##', 'full', '{"select": ".phone"}', '30 min'),
    (2, 5, 'shadow', '{shop.localhost}', '{74952222222}', '8 (###) ###-##-##', 'full', '{"shadow": "*"}', '30 min'),
    (2, 6, 'small', '{shop.localhost}', '{74952222222}', '8 (###) ###-##-##', 'full', '{}', '5 min'),
    (2, 7, 'foreign', '{shop.localhost}', '{493012345678}', '', 'full', '{}', '30 min'),
    (2, 8, 'plain', '{shop.localhost}', '{74952222222}', '8 (###) ###-##-##', 'full', '{}', '30 min');
UPDATE sites SET fallback_number = '74952222299' WHERE id = 6;
UPDATE sites SET country = 'DE' WHERE id = 7;
INSERT INTO pools (id, name) VALUES (1, 'Москва'), (2, 'Малый');
INSERT INTO site_pools (account_id, site_id, pool_id) VALUES
    (2, 1, 1), (2, 2, 1), (2, 3, 1), (2, 4, 1), (2, 5, 1), (2, 6, 2), (2, 7, 1);
INSERT INTO numbers (number, pool_id) SELECT (74951110000 + n)::text, 1 FROM generate_series(0, 299) n;
INSERT INTO numbers (number, pool_id) VALUES ('74953330001', 2);
INSERT INTO numbers (number) VALUES ('74954440001');
INSERT INTO static_bindings (account_id, site_id, number, channel, source, valid_from)
    VALUES (2, 2, '74954440001', 'paid search', 'yandex', '2020-01-01');
"""
LEASED = r"8 \(495\) 111-0\d-\d\d"
"""A number of the large pool, as most pages write it."""


@pytest.fixture(scope="session")
def browser_database(postgres_url: str, migrated_template: str) -> Iterator[str]:
    administer(postgres_url, f"CREATE DATABASE browser TEMPLATE {migrated_template}")
    yield database_url(postgres_url, "browser")
    administer(postgres_url, "DROP DATABASE browser WITH (FORCE)")


@pytest.fixture(scope="session")
def lease_store(tmp_path_factory: pytest.TempPathFactory, browser_database: str) -> Iterator[str]:
    """A Valkey with the test sites' numbers in it."""
    server = EmbeddedValkey(tmp_path_factory.mktemp("browser-valkey"))
    url = server.start()

    async def furnish() -> None:
        connection, client = await connect(browser_database), open_client(url)
        await connection.execute(INVENTORY)
        await load_pools(LeaseStore(client), await read_directory(connection))
        await close_client(client)
        await connection.close()

    try:
        asyncio.run(furnish())
        yield url
    finally:
        server.stop()


@pytest.fixture(scope="session")
def openid_provider() -> Iterator[Provider]:
    """Where people of the office may sign in besides."""
    with provider_serving(Provider()) as provider:
        provider.asks_people = True
        yield provider


@pytest.fixture(scope="session")
def web_url(tmp_path_factory: pytest.TempPathFactory, browser_database: str, lease_store: str) -> Iterator[str]:
    """`callrouter web` for the widget's sites; that for people at work is `office`'s."""
    with web_running(tmp_path_factory.mktemp("web"), postgres=browser_database, redis=lease_store) as url:
        yield url


@pytest.fixture(scope="session")
def shop(web_url: str) -> Iterator[Shop]:
    site = Shop(web_url)
    server = serving(site)
    yield site
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """Ended with this folder's tests, for Playwright runs an event loop in the thread of all the others."""
    program = shutil.which("chromium")
    if not program:
        pytest.skip(NEEDED)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS.split())
        yield browser
        browser.close()


expect.set_options(timeout=15_000)  # a machine may be slow


@pytest.fixture
def new_visitor(chromium: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """Opens browser contexts: visitors who do not know each other."""
    contexts: list[BrowserContext] = []

    def build(**options: object) -> BrowserContext:
        context = chromium.new_context(**{"user_agent": CHROME, "locale": "ru-RU"} | options)  # type: ignore[arg-type]
        context.set_default_timeout(20_000)
        contexts.append(context)
        return context

    yield build
    for context in contexts:
        context.close()


@pytest.fixture
def visitor(new_visitor: Callable[..., BrowserContext]) -> BrowserContext:
    return new_visitor()


@pytest.fixture
def page(visitor: BrowserContext) -> Page:
    return visitor.new_page()
