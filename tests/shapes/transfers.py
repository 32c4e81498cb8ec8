"""Calls that are handed on: by phone (REFER) and by DTMF, blind, attended, blonde; and by a control panel."""

from __future__ import annotations

from callrouter.lab.sip import BUSY_HERE, Dialog
from tests.shapes.script import shape
from tests.shapes.stage import Call, Stage


async def hands_on_blindly(s: Stage, call: Call, leg: Dialog, to: str, *, keys: bool) -> None:
    if keys:
        await s.digits(leg, "##")
        await s.pause(0.4)
        await s.digits(leg, to)
        await s.gone(leg)
        call.silence()
    else:
        call.silence()
        await s.transferred(leg, to)
        await leg.hang_up()


@shape()
async def blind_to_extension(s: Stage) -> None:
    call = s.inbound("queue")
    call.group = s.group("sales")
    await hands_on_blindly(s, call, await s.talk(call, 1), s.phone(4), keys=False)
    await s.talk(call, 4)
    await call.hang_up()
    call.steps = (("answered", s.phone(1)), ("transfer_blind", s.phone(1), s.phone(4)), ("answered", s.phone(4)))


@shape()
async def blind_to_queue(s: Stage) -> None:
    call = s.inbound("queue")
    call.group = s.group("support")
    await hands_on_blindly(s, call, await s.talk(call, 1), s.short(81), keys=False)
    leg = await s.talk(call, 3)
    await leg.hang_up()
    await call.over("employee")
    call.steps = (
        ("transfer_blind", s.phone(1), s.short(81)),
        ("group_entered", s.group("support")),
        ("answered", s.phone(3)),
    )


@shape()
async def blind_to_queue_abandoned(s: Stage) -> None:
    """He talked, was handed on, and nobody took him: the call was answered."""
    call = s.inbound("queue")
    call.group = s.group("support")
    await hands_on_blindly(s, call, await s.talk(call, 1), s.short(81), keys=False)
    await s.rings(3)
    await s.pause(0.6)
    await call.hang_up()


@shape()
async def blind_to_ring_group(s: Stage) -> None:
    call = s.inbound("queue")
    call.group = s.group("shop")
    await hands_on_blindly(s, call, await s.talk(call, 1), s.short(82), keys=False)
    await s.talk(call, 5)
    await call.hang_up()


@shape()
async def blind_to_mobile(s: Stage) -> None:
    call = s.inbound("queue")
    call.group = s.group("sales")
    await hands_on_blindly(s, call, await s.talk(call, 1), s.mobile, keys=False)
    await s.talk(call, s.mobile)
    await call.hang_up()


@shape()
async def blind_to_busy(s: Stage) -> None:
    """The target is engaged, and the dialplan gives the customer back to who sent him."""
    call = s.inbound("queue")
    call.group = s.group("sales")
    await hands_on_blindly(s, call, await s.talk(call, 1), s.phone(4), keys=False)
    (await s.rings(4)).refuse(BUSY_HERE)
    await s.talk(call, 1)
    await call.hang_up()
    call.steps = (
        ("transfer_blind", s.phone(1), s.phone(4)), ("missed", s.phone(4), "busy"), ("rang", s.phone(1)),
        ("answered", s.phone(1)),
    )  # fmt: skip


@shape()
async def blind_comes_back_unanswered(s: Stage) -> None:
    """Nobody answers at the target, and then he who sent him is away too: the customer gives up."""
    call = s.inbound("desk")
    await hands_on_blindly(s, call, await s.talk(call, 1), s.phone(4), keys=False)
    await s.gone(await s.rings(4))
    await s.rings(1)
    await s.pause(0.5)
    await call.hang_up()


@shape()
async def blind_by_keys(s: Stage) -> None:
    call = s.inbound("queue")
    call.group = s.group("sales")
    await hands_on_blindly(s, call, await s.talk(call, 1), s.phone(4), keys=True)
    await s.talk(call, 4)
    await call.hang_up()
    call.steps = (("transfer_blind", s.phone(1), s.phone(4)), ("answered", s.phone(4)))


@shape()
async def blind_by_keys_to_queue(s: Stage) -> None:
    call = s.inbound("desk")
    call.group = s.group("support")
    await hands_on_blindly(s, call, await s.talk(call, 1), s.short(81), keys=True)
    await s.talk(call, 3)
    await call.hang_up()


async def asks_by_phone(s: Stage, leg: Dialog, number: str) -> Dialog:
    """He puts the customer on hold and calls a colleague: a consultation once that one answers."""
    await leg.hold()
    return s.dial(1, number)


async def consults_by_phone(s: Stage, call: Call, leg: Dialog, to: int | str, number: str = "") -> Dialog:
    other = await asks_by_phone(s, leg, number or (s.phone(to) if isinstance(to, int) else to))
    await s.answers(to)
    call.silence()
    await s.connected(other)
    await s.pause()
    return other


async def asks_by_keys(s: Stage, call: Call, leg: Dialog, number: str, rings: int) -> Dialog:
    """As soon as it rings there, Asterisk has taken him away from the customer."""
    await s.digits(leg, "*2")
    await s.pause(0.4)
    await s.digits(leg, number)
    ringing = await s.rings(rings)
    call.silence()
    await s.pause(0.2)
    return ringing


@shape()
async def attended_to_extension(s: Stage) -> None:
    call = s.inbound("queue")
    call.group = s.group("sales")
    leg = await s.talk(call, 1)
    other = await consults_by_phone(s, call, leg, 4)
    await s.transferred(leg, s.phone(4), other)
    call.talks(s.phone(4))
    await s.pause()
    await call.hang_up()
    call.steps = (("hold", s.phone(1)), ("transfer_attended", s.phone(1), s.phone(4)))


@shape()
async def attended_to_queue(s: Stage) -> None:
    call = s.inbound("queue")
    call.group = s.group("support")
    leg = await s.talk(call, 1)
    other = await consults_by_phone(s, call, leg, 3, s.short(81))
    await s.transferred(leg, s.short(81), other)
    call.talks(s.phone(3))
    await s.pause()
    await call.hang_up()


@shape()
async def attended_by_keys(s: Stage) -> None:
    call = s.inbound("queue")
    call.group = s.group("sales")
    leg = await s.talk(call, 1)
    await s.take(await asks_by_keys(s, call, leg, s.phone(4), 4))
    await s.pause()
    await leg.hang_up()
    call.talks(s.phone(4))
    await s.pause()
    await call.hang_up()
    call.steps = (("transfer_attended", s.phone(1), s.phone(4)),)


@shape()
async def attended_by_keys_to_queue(s: Stage) -> None:
    call = s.inbound("desk")
    call.group = s.group("support")
    leg = await s.talk(call, 1)
    await s.take(await asks_by_keys(s, call, leg, s.short(81), 3))
    await s.pause()
    await leg.hang_up()
    call.talks(s.phone(3))
    await s.pause()
    await call.hang_up()


@shape()
async def attended_by_keys_refused(s: Stage) -> None:
    """The colleague is engaged: the employee is with the customer again."""
    call = s.inbound("queue")
    call.group = s.group("sales")
    leg = await s.talk(call, 1)
    (await asks_by_keys(s, call, leg, s.phone(4), 4)).refuse(BUSY_HERE)
    await s.pause(0.2)
    call.talks(s.phone(1))
    await s.pause(1.2)
    await call.hang_up()


@shape()
async def blonde_by_phone(s: Stage) -> None:
    """Handed on while the colleague's phone still rings."""
    call = s.inbound("queue")
    call.group = s.group("sales")
    leg = await s.talk(call, 1)
    other = await asks_by_phone(s, leg, s.phone(4))
    ringing = await s.rings(4)
    await s.pause(0.3)
    call.silence()
    await s.transferred(leg, s.phone(4), other)
    await s.pause(0.6)
    await s.take(ringing)
    call.talks(s.phone(4))
    await s.pause()
    await call.hang_up()


@shape()
async def attended_into_waiting(s: Stage) -> None:
    """The consultation still waits in a queue, with music, when the customer takes its place."""
    call = s.inbound("desk")
    call.group = s.group("support")
    leg = await s.talk(call, 1)
    other = await s.connected(await asks_by_phone(s, leg, s.short(83)))
    ringing = await s.rings(3)
    await s.pause(0.3)
    call.silence()
    await s.transferred(leg, s.short(83), other)
    await s.pause(0.6)
    await s.take(ringing)
    call.talks(s.phone(3))
    await s.pause()
    await call.hang_up()


@shape()
async def attended_into_waiting_and_gave_up(s: Stage) -> None:
    """The same, but he is never taken there. He talked before: the call was answered."""
    call = s.inbound("desk")
    call.group = s.group("support")
    leg = await s.talk(call, 1)
    other = await s.connected(await asks_by_phone(s, leg, s.short(83)))
    await s.rings(3)
    await s.pause(0.3)
    call.silence()
    await s.transferred(leg, s.short(83), other)
    await s.pause(0.6)
    await call.hang_up()


@shape()
async def blonde_by_keys(s: Stage) -> None:
    """He hangs up while the colleague's phone rings, who then answers."""
    call = s.inbound("queue")
    call.group = s.group("sales")
    leg = await s.talk(call, 1)
    ringing = await asks_by_keys(s, call, leg, s.phone(4), 4)
    await leg.hang_up()
    await s.pause(0.5)
    await s.take(ringing)
    call.talks(s.phone(4))
    await s.pause()
    await call.hang_up()


@shape()
async def gave_up_on_hold(s: Stage) -> None:
    call = s.inbound("queue")
    call.group = s.group("sales")
    leg = await s.talk(call, 1)
    await leg.hold()
    await s.pause()
    await call.hang_up()


@shape()
async def gave_up_during_consultation(s: Stage) -> None:
    call = s.inbound("queue")
    call.group = s.group("sales")
    other = await consults_by_phone(s, call, await s.talk(call, 1), 4)
    await call.hang_up()
    await s.pause(0.3)
    await other.hang_up()


@shape()
async def spied_on(s: Stage) -> None:
    """A supervisor listens; he talks with nobody."""
    call = s.inbound("queue")
    call.group = s.group("sales")
    leg = await s.talk(call, 1)
    ear = await s.joined(s.dial(4, s.short(76)))
    await s.pause()
    await leg.hang_up()
    await call.over("employee")
    await ear.hang_up()


@shape()
async def consultation_and_back(s: Stage) -> None:
    call = s.inbound("queue")
    call.group = s.group("sales")
    leg = await s.talk(call, 1)
    other = await consults_by_phone(s, call, leg, 4)
    await other.hang_up()
    call.talks(s.phone(1))
    await leg.hold(on=False)
    await s.pause()
    await call.hang_up()


@shape()
async def customer_joined_with_another(s: Stage) -> None:
    """An employee joins two customers; each has his call, and each heard somebody to his end."""
    call = s.inbound("desk")
    leg = await s.talk(call, 1)
    other = await asks_by_phone(s, leg, s.mobile)
    ringing = await s.rings(s.mobile)
    second = s.outbound(s.phone(1), ringing)
    await s.pause(0.2)
    await s.take(ringing)
    call.silence()
    await s.connected(other)
    second.talks(s.phone(1))
    await s.pause()
    await s.transferred(leg, s.mobile, other)
    call.talks(s.mobile)
    await s.pause()
    await call.hang_up()
    await second.over("pbx")


@shape()
async def redirected_by_a_panel(s: Stage) -> None:
    """AMI Redirect takes a talking customer into another queue. No transfer event tells of it."""
    call = s.inbound("queue")
    call.group = s.group("support")
    leg = await s.talk(call, 1)
    channel = await s.pbx.channel_of(s.customer())
    call.silence()
    await s.pbx.act(Action="Redirect", Channel=channel, Context="from-internal", Exten=s.short(81), Priority="1")
    await s.gone(leg)
    await s.talk(call, 3)
    await call.hang_up()


@shape()
async def redirected_out_of_a_queue(s: Stage) -> None:
    """The same with one who still waits; then nobody answers."""
    call = s.inbound("nobody")
    call.group, call.lost_reason = s.group("nobody"), "abandoned_ringing"
    assert call.leg is not None
    await s.connected(call.leg)
    await s.pause(0.5)
    channel = await s.pbx.channel_of(s.customer())
    await s.pbx.act(Action="Redirect", Channel=channel, Context="from-internal", Exten=s.phone(4), Priority="1")
    await s.rings(4)
    await s.pause(0.5)
    await call.hang_up()
