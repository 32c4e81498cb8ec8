"""Calls that go out: dialled by an employee, or made for him by Originate, as a callback is."""

from __future__ import annotations

from callrouter.lab.sip import BUSY_HERE, DECLINED, Dialog
from tests.shapes.script import shape
from tests.shapes.stage import Call, Stage


@shape()
async def outbound_answered(s: Stage) -> None:
    desk = s.dial(1, s.mobile)
    ringing = await s.rings(s.mobile)
    call = s.outbound(s.phone(1), ringing)
    await s.pause(0.4)
    await s.take(ringing)
    call.talks(s.phone(1))
    await s.pause()
    await desk.hang_up()
    await call.over("employee")


@shape()
async def outbound_busy(s: Stage) -> None:
    desk = s.dial(1, s.mobile)
    ringing = await s.rings(s.mobile)
    await refused(s, desk, ringing, BUSY_HERE)


@shape()
async def outbound_rejected(s: Stage) -> None:
    desk = s.dial(1, s.mobile)
    ringing = await s.rings(s.mobile)
    await refused(s, desk, ringing, DECLINED)


async def refused(s: Stage, desk: Dialog, ringing: Dialog, status: int) -> None:
    call = s.outbound(s.phone(1), ringing)
    call.lost_reason = "busy" if status == BUSY_HERE else "rejected"
    await s.pause(0.3)
    ringing.refuse(status)
    await call.over("caller")
    await s.gone(desk)


@shape()
async def outbound_cancelled(s: Stage) -> None:
    """The employee gives up before the customer answers."""
    desk = s.dial(1, s.mobile)
    call = s.outbound(s.phone(1), await s.rings(s.mobile))
    call.lost_reason = "abandoned_ringing"
    await s.pause(0.8)
    await desk.hang_up()
    await call.over("employee")


@shape()
async def outbound_handed_on(s: Stage) -> None:
    """The customer whom an employee called is transferred to a colleague: one outbound call."""
    desk = s.dial(1, s.mobile)
    ringing = await s.rings(s.mobile)
    call = s.outbound(s.phone(1), ringing)
    await s.take(ringing)
    call.talks(s.phone(1))
    await s.pause()
    call.silence()
    await s.transferred(desk, s.phone(4))
    await desk.hang_up()
    await s.talk(call, 4)
    await call.hang_up()


@shape()
async def outbound_through_local(s: Stage) -> None:
    """An outbound route behind a Local channel."""
    desk = s.dial(1, "*9" + s.mobile)
    ringing = await s.rings(s.mobile)
    call = s.outbound(s.phone(1), ringing)
    await s.take(ringing)
    call.talks(s.phone(1))
    await s.pause()
    await desk.hang_up()
    await call.over("employee")


@shape()
async def colleague_sent_outside(s: Stage) -> None:
    """An employee who called a colleague is sent on to a customer: from then on it is an outbound call."""
    desk = s.dial(1, s.phone(4))
    other = await s.answers(4)
    await s.connected(desk)
    await s.pause()
    await s.transferred(other, s.mobile)
    await other.hang_up()
    ringing = await s.rings(s.mobile)
    call = s.outbound(s.phone(1), ringing)
    await s.take(ringing)
    call.talks(s.phone(1))
    await s.pause()
    await desk.hang_up()
    await call.over("employee")


async def originate(s: Stage, channel: str, exten: str, **more: str) -> None:
    """As a callback service does it."""
    await s.pbx.act(
        Action="Originate", Channel=channel, Context="from-internal", Exten=exten, Priority="1", Async="true",
        Timeout="4000", CallerID=f"Callback <{s.mobile}>", **more,
    )  # fmt: skip


async def customer_talks(s: Stage, caller: str | None) -> Call:
    ringing = await s.rings(s.mobile)
    call = s.outbound(caller, ringing)
    await s.pause(0.3)
    await s.take(ringing)
    call.talks(s.phone(1))
    await s.pause()
    return call


@shape()
async def callback_employee_first(s: Stage) -> None:
    """One outbound call, though the employee's phone rang first. His own waiting is not the customer's."""
    await originate(s, f"PJSIP/{s.phone(1)}", s.mobile)
    await s.answers(1)
    call = await customer_talks(s, s.phone(1))
    await call.hang_up()


@shape()
async def callback_employee_first_customer_busy(s: Stage) -> None:
    await originate(s, f"PJSIP/{s.phone(1)}", s.mobile)
    desk = await s.answers(1)
    await refused(s, desk, await s.rings(s.mobile), BUSY_HERE)


@shape()
async def callback_employee_does_not_answer(s: Stage) -> None:
    """Nobody called the customer: no call of his."""
    await originate(s, f"PJSIP/{s.phone(1)}", s.mobile)
    await s.gone(await s.rings(1))


@shape()
async def callback_through_local(s: Stage) -> None:
    """The employee is reached through the dialplan, by a Local channel."""
    await originate(s, f"Local/{s.phone(1)}@from-internal/n", s.mobile)
    desk = await s.answers(1)
    call = await customer_talks(s, s.phone(1))
    await desk.hang_up()
    await call.over("employee")


@shape()
async def callback_through_local_optimised_away(s: Stage) -> None:
    """Without /n Asterisk takes the Local channel out of the talk."""
    await originate(s, f"Local/{s.phone(1)}@from-internal", s.mobile)
    await s.answers(1)
    call = await customer_talks(s, s.phone(1))
    await call.hang_up()


@shape()
async def callback_customer_first(s: Stage) -> None:
    """The customer's phone rings first; he waits until the employee takes him."""
    await originate(s, f"PJSIP/{s.mobile}@carrier", s.phone(1))
    ringing = await s.rings(s.mobile)
    call = s.outbound(None, ringing)
    await s.pause(0.3)
    await s.take(ringing)
    desk = await s.talk(call, 1)
    await desk.hang_up()
    await call.over("employee")


@shape()
async def callback_customer_first_into_queue(s: Stage) -> None:
    await originate(s, f"PJSIP/{s.mobile}@carrier", s.short(80))
    ringing = await s.rings(s.mobile)
    call = s.outbound(None, ringing)
    call.group = s.group("sales")
    await s.take(ringing)
    await s.talk(call, 1)
    await call.hang_up()


@shape()
async def callback_from_a_queue(s: Stage) -> None:
    """Whichever employee of a queue answers first is connected with the customer."""
    await originate(s, f"Local/{s.short(80)}@from-internal/n", s.mobile)
    await s.answers(1)
    call = await customer_talks(s, s.phone(1))
    call.group = s.group("sales")
    await call.hang_up()
