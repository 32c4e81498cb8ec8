"""The whole product on one machine, in one command: servers, PBX, our processes, visitors, calls, and the verdict.

Nothing is staged: visitors come through the HTTP API, calls are real SIP calls through a real Asterisk where one can be
had, appeals are read from Postgres, and each is compared with what the phones and the visitors really did.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import asyncpg
import httpx
import msgspec

from callrouter.db.connect import Connection, connect
from callrouter.db.migrate import migrate
from callrouter.lab import company, shop
from callrouter.lab.asterisk import Attach, Attachment
from callrouter.lab.calls import AsteriskLab
from callrouter.lab.cluster import embedded_valkey_cluster
from callrouter.lab.obtain import LabUnavailable, obtain
from callrouter.lab.phones import Manner
from callrouter.lab.plan import BY_ROUTE, CallPlan, LabPbx, Outcome
from callrouter.lab.servers import embedded_postgres, embedded_valkey
from callrouter.lab.simulated import SimulatedPbx
from callrouter.lab.stack import Stack, running
from callrouter.lab.verdict import Placed, Verdict, judged
from callrouter.lab.visitors import Visitor, visitors
from callrouter.numbers import Number
from callrouter.people import passwords, users
from callrouter.people.roles import Role
from callrouter.pool import inventory
from callrouter.pool.number_file import ListedNumber
from callrouter.pool.number_inventory import bind_static, import_numbers
from callrouter.pool.site_inventory import SiteSettings, WantedPool, add_site, change_site

SITES = {"shop.example": "sales", "service.example": "support"}
"""Domain → route of its calls."""
COMPANY, OPERATOR = "marketing@demo.example", "operator@demo.example"
STATIC_NUMBER = Number("74952220300")
STATIC_SOURCE = "izvestia"
FIRST_NUMBER = 7_495_222_1000
FALLBACK = Number("74952220999")
OUTCOMES = (
    Outcome.ANSWERED_IN_QUEUE, Outcome.RING_GROUP, Outcome.ABANDONED_IN_QUEUE, Outcome.DIRECT,
    Outcome.ANSWERED_IN_QUEUE, Outcome.IVR_THEN_QUEUE, Outcome.BUSY, Outcome.ANSWERED_IN_QUEUE,
    Outcome.BLIND_TRANSFER, Outcome.NO_ANSWER,
)  # fmt: skip
BY_STATIC_NUMBER = 10
"""Every tenth caller has the number from a newspaper."""
LOOKERS = 2
"""Visitors who do not call, for each who does."""
SPARE_NUMBERS = 20
PUBLISH_SECONDS = 20.0
APPEALS = "SELECT * FROM appeals WHERE kind = 'call' AND started_at >= $1 ORDER BY started_at"

Say = Callable[[str], None]
Show = Callable[[Sequence[asyncpg.Record]], None]


class Choices(msgspec.Struct, frozen=True, kw_only=True):
    """What the person at the demo chose."""

    calls: int = 20
    at_once: int = 5
    seed: int = 1
    simulated: bool = False
    attach: Attach = "agi"
    cluster: bool = False
    """Leases in a Valkey cluster of three masters."""
    asterisk: int | None = None
    """Major version to obtain; None: whichever comes first."""


class Demo:
    """A running product with its PBX."""

    def __init__(
        self, stack: Stack, pbx: LabPbx, sites: dict[str, str], postgres: str, *, shop_url: str = "", password: str = ""
    ) -> None:  # fmt: skip
        self.password = password
        """Of the users COMPANY, who sees its calls, and OPERATOR, who sees everything; another with each run."""
        self.shop_url = shop_url
        """A small shop for a person with a browser."""
        self.stack = stack
        self.pbx = pbx
        self.postgres = postgres
        self.sites = sites
        self._conn: asyncpg.Connection[asyncpg.Record]
        self._began: datetime

    async def play(self, choices: Choices, show: Show) -> Verdict:
        """Let visitors come and call; the verdict once every appeal that can be expected stands in Postgres."""
        self._conn = await connect(self.postgres)
        self._began = await self._conn.fetchval("SELECT now()")  # a folder that is used again has older appeals
        async with httpx.AsyncClient(base_url=self.stack.web, timeout=5.0, trust_env=False) as browser:
            watching = asyncio.create_task(self._watch(show))
            try:
                placed = await self._place(choices, browser)
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
            rows = await self._published(len(placed))
        show(rows)
        await self._conn.close()
        return judged(placed, [dict(row) for row in rows])

    async def _place(self, choices: Choices, browser: httpx.AsyncClient) -> list[Placed]:
        chance = random.Random(choices.seed)
        arriving = visitors(self.sites, choices.seed)
        turns = asyncio.Semaphore(choices.at_once)

        async def one(index: int) -> Placed:
            async with turns:
                await asyncio.sleep(chance.uniform(0.0, 0.3))
                return await self._one(index, arriving, browser, chance)

        return await asyncio.gather(*(one(index) for index in range(choices.calls)))

    async def _one(
        self, index: int, arriving: Iterator[Visitor], browser: httpx.AsyncClient, chance: random.Random
    ) -> Placed:
        plan = CallPlan(
            outcome=OUTCOMES[index % len(OUTCOMES)], caller=f"7916555{index:04}", did=STATIC_NUMBER,
            talk_s=round(chance.uniform(0.6, 2.0), 2), wait_s=round(chance.uniform(0.8, 1.5), 2),
        )  # fmt: skip
        if plan.outcome is Outcome.ANSWERED_IN_QUEUE:
            plan = replace(plan, destination=BY_ROUTE)
        if index % BY_STATIC_NUMBER == BY_STATIC_NUMBER - 1:
            return Placed(await self.pbx.place(plan), None, STATIC_SOURCE)
        for _ in range(LOOKERS):
            await next(arriving).open(browser)
        visitor = next(arriving)
        await visitor.open(browser)
        await asyncio.sleep(chance.uniform(0.1, 0.5))
        await visitor.stay(browser, closed=chance.random() < 1 / 4)
        truth = await self.pbx.place(replace(plan, did=visitor.number))
        return Placed(truth, visitor.session, visitor.arrival.source)

    async def _watch(self, show: Show) -> None:
        while True:
            show(await self._conn.fetch(APPEALS, self._began))
            await asyncio.sleep(0.25)

    async def _published(self, calls: int) -> list[asyncpg.Record]:
        """All appeals, once there are as many as calls; or those that came in time."""
        deadline = time.monotonic() + PUBLISH_SECONDS
        while True:
            rows = await self._conn.fetch(APPEALS, self._began)
            if len(rows) >= calls or time.monotonic() > deadline:
                return rows
            await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def product(folder: Path, choices: Choices, say: Say) -> AsyncIterator[Demo]:
    """Everything up and running, for the time of the block."""
    say("starting Postgres and Valkey")
    async with (
        embedded_postgres(folder / "postgres") as postgres,
        _lease_store(folder / "valkey", choices) as redis,
    ):
        say("making the tables")
        await migrate(postgres, lambda _line: None)
        sites = await furnish(postgres, choices)
        password = await _let_in(postgres)
        stack = Stack(folder / "callrouter", postgres=postgres, redis=redis, cluster=choices.cluster)
        async with _pbx(folder / "pbx", stack, choices, say) as pbx:
            say(f"starting callrouter router, web and worker beside {pbx.description}")
            stack.configure(section(pbx, choices.attach))
            if isinstance(pbx, AsteriskLab):
                pbx.phones.usual = Manner(ring_s=2.0, talk_s=10.0)
                await _take_callbacks(postgres)
            async with running(stack):
                with shop.serving(stack.web, await _shop_site(postgres)) as shop_url:
                    yield Demo(stack, pbx, sites, postgres, shop_url=shop_url, password=password)


def _lease_store(folder: Path, choices: Choices) -> contextlib.AbstractAsyncContextManager[str]:
    return embedded_valkey_cluster(folder) if choices.cluster else embedded_valkey(folder, durable=True)


@contextlib.asynccontextmanager
async def _pbx(folder: Path, stack: Stack, choices: Choices, say: Say) -> AsyncIterator[LabPbx]:
    pbx = await asyncio.to_thread(_chosen_pbx, folder, stack, choices, say)
    try:
        await pbx.start()
        yield pbx
    finally:
        await pbx.stop()


def _chosen_pbx(folder: Path, stack: Stack, choices: Choices, say: Say) -> LabPbx:
    """A real Asterisk if one is here or can be had without root, else the simulated one, and it says so."""
    if not choices.simulated:
        say("looking for Asterisk")
        try:
            software = obtain(choices.asterisk, progress=say)
        except LabUnavailable as reason:
            say(f"going on with a simulated PBX, for there is {reason}")
        else:
            return AsteriskLab(software, folder, attachment=Attachment(mode=choices.attach, agi=stack.agi))
    if choices.attach == "ari":
        say("the simulated PBX has no ARI: its dialplan asks by FastAGI")
    return SimulatedPbx(folder, agi="" if choices.attach == "watch" else stack.agi)


def section(pbx: LabPbx, attach: str) -> dict[str, object]:
    """The `[[pbx]]` section that attaches our router to a PBX of the lab; the simulated one has no ARI."""
    profile: dict[str, object] = msgspec.to_builtins(company.profile(pbx.name))
    keys = {
        "attach": "agi" if attach == "ari" and not isinstance(pbx, AsteriskLab) else attach,
        "ami": f"127.0.0.1:{pbx.ami_port}",
        "ami_user": pbx.ami_user,
        "ami_secret": pbx.ami_secret,
    }
    if isinstance(pbx, AsteriskLab):
        keys |= {
            "cel": str(pbx.cel_file),
            "ari_url": pbx.ari_url,
            "ari_user": pbx.ari_user,
            "ari_secret": pbx.ari_password,
        }
        keys |= {"callback_user": pbx.callback_user, "callback_secret": pbx.callback_secret}
        keys |= {"callback_context": company.CALLBACK_CONTEXT}
    return {key: value for key, value in profile.items() if value != {}} | keys


async def _take_callbacks(postgres: str) -> None:
    """A real PBX can call back; the simulated one cannot."""
    conn = await connect(postgres)
    try:
        for domain in (*SITES, shop.DOMAIN):
            callback: dict[str, object] = {"enabled": True, "pause_s": 10}
            await change_site(conn, domain, SiteSettings(callback=callback))
    finally:
        await conn.close()


async def _shop_site(postgres: str) -> str:
    """The key of the site whose pages a person opens."""
    conn = await connect(postgres)
    try:
        return str(await conn.fetchval("SELECT id FROM sites WHERE name = $1", shop.DOMAIN))
    finally:
        await conn.close()


async def _let_in(postgres: str) -> str:
    """A password with which the company and the operator sign in to the pages; that of an earlier run ends."""
    password = passwords.generated()
    hashed = await passwords.Passwords().hash(password)
    conn = await connect(postgres)
    try:
        company = await conn.fetchval("SELECT id FROM accounts WHERE name = 'Demo'")
        await _welcome(conn, company, COMPANY, "admin", hashed)
        await _welcome(conn, inventory.OPERATOR, OPERATOR, "operator", hashed)
    finally:
        await conn.close()
    return password


async def _welcome(conn: Connection, account: int, email: str, role: Role, hashed: str) -> None:
    known = {user.email: user for user in await users.list_users(conn, account)}
    if email in known:
        await users.set_password(conn, account, known[email].id, hashed)
    else:
        await users.add_user(conn, account, email, role=role, name="Demo", password_hash=hashed)


async def furnish(postgres: str, choices: Choices) -> dict[str, str]:
    """The inventory of the demo: an account, two sites and a shop on one pool, a static number. Site key → origin.

    A folder that is used again gets as many numbers more: visitors of the last run hold theirs for half an hour.
    """
    conn = await connect(postgres)
    try:
        if not await conn.fetchval("SELECT 1 FROM accounts WHERE name = 'Demo'"):
            await inventory.add_account(conn, "Demo")
            await inventory.add_pool(conn, "demo")
            for domain, route in (*SITES.items(), (shop.DOMAIN, "sales")):
                settings = SiteSettings(
                    fallback_number=FALLBACK, route=route, display_pattern="8 (###) ###-##-##",
                    hold=timedelta(minutes=30), quality_s=1.0, pools=(WantedPool("demo"),),
                )  # fmt: skip
                await add_site(conn, domain, account="Demo", settings=settings)
            await bind_static(conn, STATIC_NUMBER, site="shop.example", channel="newspaper", source=STATIC_SOURCE)
        there = await conn.fetchval(
            "SELECT count(*) FROM numbers n JOIN pools p ON p.id = n.pool_id AND p.name = 'demo'"
        )
        first = FIRST_NUMBER + there
        wanted = choices.calls * (1 + LOOKERS) + SPARE_NUMBERS
        listed = [ListedNumber(Number(str(first + n))) for n in range(wanted)]
        await import_numbers(conn, "demo", listed)
        rows = await conn.fetch("SELECT id, name FROM sites WHERE name = ANY($1)", list(SITES))
        return {str(row["id"]): f"https://{row['name']}" for row in rows}
    finally:
        await conn.close()
