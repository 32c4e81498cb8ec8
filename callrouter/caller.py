"""Carries out the callback orders of one PBX: an employee is rung first, then the client is called.

Knows orders (`appeals.orders`) and the manager interface; how the call went is the call tracker's to tell, and reaches
the order's appeal through the journal as any call does. An order is claimed for a short while, again and again as long
as its call goes on: what a killed router leaves behind is taken up by another, or by itself when it is back. Whether
the client had been called by then, the PBX remembers (`callbacks.line.memory_of`).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta

import structlog
from prometheus_client import Counter, Gauge, Histogram

from callrouter.ami.connection import AmiSettings
from callrouter.ami.occasional import Occasional
from callrouter.ami.wire import Event
from callrouter.appeals import orders
from callrouter.appeals.orders import Order, Outcome
from callrouter.background import Background
from callrouter.callbacks import line
from callrouter.callbacks.dialable import NotDialable, dialable
from callrouter.callbacks.line import Attempt, attempt_of, linkedid_of
from callrouter.callbacks.settings import CallbackSettings, is_route
from callrouter.calls.events import CallEnded, CallEvent
from callrouter.calls.record import CallRecord, LostReason
from callrouter.clock import Clock
from callrouter.config import PbxConfig, address
from callrouter.db.connect import TROUBLE, Pool
from callrouter.log import OncePerKind
from callrouter.ops import Part
from callrouter.pbx import PbxLink
from callrouter.pool.directory import Directory, Site

log = structlog.get_logger()

ATTEMPTS = Counter(
    "callrouter_callback_attempts_total",
    "Attempts at callback orders, by how they ended: client_called, no_employee (none answered), refused (by "
    "Asterisk), no_line (the client could not be dialled), unknown (the connection to Asterisk was lost meanwhile).",
    ["pbx", "outcome"],
)
GIVEN_UP = Counter(
    "callrouter_callback_missed_total",
    "Callback orders that were given up: no_employee, too_late, withdrawn (the site takes none any more, or not this "
    "number), unseen (the client was called while no router looked on).",
    ["outcome"],
)
IN_HAND = Gauge("callrouter_callbacks_in_hand", "Callback orders that are being carried out now.", ["pbx"])
DELAY = Histogram(
    "callrouter_callback_delay_seconds",
    "From when a callback order was due to when an employee was rung for the first time.",
    buckets=(0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600),
)

POLL_SECONDS = 1.0
LEASE_SECONDS = 30.0
HOLD_SECONDS = 8.0
"""How often a claim is renewed while its call goes on."""
MARGIN_SECONDS = 5.0
"""A claim this near to its end is not begun upon: another router may be about to take the order up."""
AT_ONCE = 20
ANSWER_SECONDS = 10.0
"""How much longer than the ringing Asterisk may take to say how it ended."""
NEWS_TRAVEL, NEWS_PAUSE = timedelta(seconds=30), timedelta(seconds=3)
"""What a site has just set may be known to the page's server and not yet here."""
REFUSED_PAUSE = timedelta(seconds=60)
LONGEST_CALL = 4 * 3600.0


class Caller:
    """`start()` it once its link is; orders are carried out until `stop()`."""

    def __init__(
        self, link: PbxLink, postgres: Pool, directory: Callable[[], Directory], clock: Clock,
        *, lease_seconds: float = LEASE_SECONDS,
    ) -> None:  # fmt: skip
        self.link = link
        self.pbx: PbxConfig = link.pbx
        self._postgres = postgres
        self._directory = directory
        self._clock = clock
        self._lease = timedelta(seconds=lease_seconds)
        self._name = f"{self.pbx.name}/{secrets.token_hex(4)}"
        host, port = address(self.pbx.ami)
        settings = AmiSettings(
            name=f"{self.pbx.name} callbacks", host=host, port=port, username=self.pbx.callback_user,
            secret=self.pbx.callback_secret, events=("DBGetResponse", "DBGetComplete"), variables=None, mask="call",
        )  # fmt: skip
        self._line = Occasional(settings, clock)
        self._in_hand: dict[int, Order] = {}
        self._ends: dict[str, asyncio.Future[CallRecord]] = {}
        """Of calls that carry out orders, by linkedid."""
        self._background = Background()
        self._say = OncePerKind(clock.monotonic)
        IN_HAND.labels(self.pbx.name).set_function(lambda: len(self._in_hand))

    async def start(self) -> None:
        await self._line.start()
        self._background.keep("callbacks-line", self._line.tend)
        self._background.keep("callbacks", self._run)
        self._background.keep("hold-callbacks", self._keep_holding)

    async def stop(self) -> None:
        """Calls go on without us; their orders are taken up again as what they are."""
        await self._background.stop()
        await self._line.stop()

    def parts(self) -> dict[str, Part]:
        return {f"callbacks {self.pbx.name}": Part(ok=self._line.ok, detail=self._line.detail)}

    def take(self, events: Iterable[CallEvent]) -> None:
        """What the call tracker tells: here the ends of the calls that were begun here."""
        for event in events:
            if isinstance(event, CallEnded):
                waiting = self._ends.pop(event.record.linkedid, None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(event.record)

    async def _run(self) -> None:
        while True:
            if self.link.attached and self._directory().known:
                try:
                    if await self._are_due() and await self._line.wake():
                        await self._take_up()
                except TROUBLE as error:
                    self._say.warning("CALLBACK-ORDERS-UNKNOWN", pbx=self.pbx.name, reason=str(error) or "no answer")
            await asyncio.sleep(POLL_SECONDS)

    async def _are_due(self) -> bool:
        async with self._postgres.acquire() as connection:
            return await orders.are_due(connection, self.pbx.name)

    async def _take_up(self) -> None:
        room = AT_ONCE - len(self._in_hand)
        if room <= 0:
            return
        claimed_at = self._clock.monotonic()
        async with self._postgres.acquire() as connection:
            found = await orders.claim(connection, self.pbx.name, self._name, self._lease, room)
        for order in found:
            if order.serial not in self._in_hand:
                self._in_hand[order.serial] = order
                self._background.start("callback", self._carry_out(order, claimed_at))

    async def _keep_holding(self) -> None:
        while True:
            await asyncio.sleep(min(HOLD_SECONDS, self._lease.total_seconds() / 4))
            if self._in_hand:
                try:
                    async with self._postgres.acquire() as connection:
                        await orders.hold(connection, list(self._in_hand), self._name, self._lease)
                except TROUBLE as error:
                    self._say.warning("CALLBACK-ORDERS-UNKNOWN", pbx=self.pbx.name, reason=str(error) or "no answer")

    async def _carry_out(self, order: Order, claimed_at: float) -> None:
        try:
            await self._settle(order, claimed_at)
        except TROUBLE as error:
            self._say.warning("CALLBACK-ORDERS-UNKNOWN", pbx=self.pbx.name, reason=str(error) or "no answer")
        finally:
            del self._in_hand[order.serial]

    async def _settle(self, order: Order, claimed_at: float) -> None:
        if order.left_behind and await self._was_begun(order):
            return
        site = self._directory().site(order.site)
        if order.is_late:
            await self._miss(order, "too_late", "failed")
        elif site is None or not self._may_call(site, order):
            await self._withdraw(order)
        elif order.attempt > site.callback.attempts:
            await self._miss(order, "no_employee", "no_answer")
        elif self._clock.monotonic() - claimed_at < self._lease.total_seconds() - MARGIN_SECONDS:
            await self._call(order, site)

    async def _withdraw(self, order: Order) -> None:
        if self._clock.now() - order.ordered_at < NEWS_TRAVEL:
            await self._put_off(order, NEWS_PAUSE, uncounted=True)
        else:
            await self._miss(order, "withdrawn", "rejected")

    async def _was_begun(self, order: Order) -> bool:
        """A router began it and is gone: its call may go on, or be over."""
        for call in self.link.tracker.snapshot():
            found = attempt_of(call.linkedid)
            if found is not None and found.serial == order.serial:
                record = await self._end_of(call.linkedid)
                if record is not None and record.direction == "outbound":
                    return True
        if not await self._was_called(order):
            return False
        await self._miss(order, "unseen", None)
        return True

    def _may_call(self, site: Site, order: Order) -> bool:
        """As the site has it now, not as it had it when the order was taken."""
        if not (site.enabled and site.callback.enabled and is_route(self._route(site))):
            return False
        try:
            return dialable("+" + order.phone, site.callback, site.country) == order.phone
        except NotDialable:
            return False

    def _route(self, site: Site) -> str:
        return site.callback.route or self._directory().route("", site.id, site.account)

    async def _call(self, order: Order, site: Site) -> None:
        settings = site.callback
        attempt = Attempt(order.serial, order.attempt)
        linkedid = linkedid_of(self.pbx.name, attempt, self._clock.now())
        action = line.originate(
            attempt, linkedid, order.phone, route=self._route(site), context=self.pbx.callback_context,
            shown=settings.shown or site.shown_without_lease or "", site=site.name, settings=settings,
        )  # fmt: skip
        if order.attempt == 1:
            DELAY.observe(max(0.0, (self._clock.now() - order.due_at).total_seconds()))
        self._expect(linkedid)
        try:
            await self._place(order, settings, linkedid, action)
        finally:
            self._ends.pop(linkedid, None)

    async def _place(self, order: Order, settings: CallbackSettings, linkedid: str, action: Mapping[str, str]) -> None:
        try:
            async with self._line.connected() as connection:
                answers = await connection.action(action, timeout=settings.ring_s + ANSWER_SECONDS)
        except (ConnectionError, TimeoutError) as error:
            self._count("unknown")
            self._say.warning(
                "CALLBACK-UNKNOWN", pbx=self.pbx.name, order=order.serial, reason=str(error) or "no answer"
            )
            return  # it is nobody's soon, and then it is found out what became of it
        except ValueError as error:
            answers = [{"Response": "Error", "Message": str(error)}]
        await self._judge(order, settings, linkedid, answers)

    async def _judge(self, order: Order, settings: CallbackSettings, linkedid: str, answers: list[Event]) -> None:
        if answers[0].get("Response") != "Success":
            self._count("refused")
            reason = answers[0].get("Message", "")
            self._say.error("CALLBACK-REFUSED", pbx=self.pbx.name, user=self.pbx.callback_user, reason=reason)
            await self._put_off(order, REFUSED_PAUSE, uncounted=True)
            return
        record = None
        if answers[-1].get("Response") == "Success":
            record = await self._end_of(linkedid)
            if record is None or record.direction == "outbound":
                self._count("client_called")
                return
        if record is not None and await self._was_called(order):
            self._count("no_line")
            self._say.error("CALLBACK-NO-LINE", pbx=self.pbx.name, order=order.serial)
            await self._miss(order, "no_line", "failed")
            return
        self._count("no_employee")
        pause = timedelta(seconds=settings.pause_s)
        if order.attempt >= settings.attempts or self._clock.now() + pause > order.latest_at:
            await self._miss(order, "no_employee", "no_answer")
        else:
            await self._put_off(order, pause)

    def _expect(self, linkedid: str) -> asyncio.Future[CallRecord]:
        return self._ends.setdefault(linkedid, asyncio.get_running_loop().create_future())

    async def _end_of(self, linkedid: str) -> CallRecord | None:
        """The call's record, once it is over; None if that is never told."""
        try:
            async with asyncio.timeout(LONGEST_CALL):
                return await self._expect(linkedid)
        except TimeoutError:
            return None
        finally:
            self._ends.pop(linkedid, None)

    async def _was_called(self, order: Order) -> bool:
        """Whether the PBX has dialled the client. Raises ConnectionError or TimeoutError: then nobody knows."""
        family, _, key = line.memory_of(order.serial).partition("/")
        async with self._line.connected() as connection:
            answers = await connection.action({"Action": "DBGet", "Family": family, "Key": key})
        return any(answer.get("Val") == str(order.serial) for answer in answers)

    async def _put_off(self, order: Order, pause: timedelta, *, uncounted: bool = False) -> None:
        async with self._postgres.acquire() as connection:
            await orders.put_off(connection, order, pause, uncounted=uncounted)

    async def _miss(self, order: Order, outcome: Outcome, reason: LostReason | None) -> None:
        async with self._postgres.acquire() as connection:
            if await orders.miss(connection, order, outcome, reason):
                GIVEN_UP.labels(outcome).inc()
                self._say.warning("CALLBACK-MISSED", outcome=outcome, site=order.site, order=order.serial)

    def _count(self, outcome: str) -> None:
        ATTEMPTS.labels(self.pbx.name, outcome).inc()
