"""Calls that ring a phone or a group without a queue: menus, pickup, forwarding, voicemail, numbers changed."""

from __future__ import annotations

from callrouter.lab.sip import BUSY_HERE
from tests.shapes.script import shape
from tests.shapes.stage import Stage


@shape()
async def direct_answered(s: Stage) -> None:
    call = s.inbound("desk")
    leg = await s.talk(call, 1)
    await leg.hang_up()
    await call.over("employee")


@shape()
async def busy_then_apology(s: Stage) -> None:
    """The dialplan apologises for the engaged phone; he hangs up meanwhile."""
    call = s.inbound("busytone")
    call.lost_reason = "busy"
    (await s.rings(1)).refuse(BUSY_HERE)
    await s.pause(0.6)
    await call.hang_up()


@shape()
async def ring_group_none_answers_caller_hangs_up(s: Stage) -> None:
    call = s.inbound("group")
    call.group, call.lost_reason = s.group("shop"), "abandoned_ringing"
    (await s.rings(4)).refuse(BUSY_HERE)
    await s.rings(5)
    await s.pause(0.8)
    await call.hang_up()


@shape()
async def ring_group_all_busy(s: Stage) -> None:
    call = s.inbound("group")
    call.group, call.lost_reason = s.group("shop"), "busy"
    for n in (4, 5, 6):
        (await s.rings(n)).refuse(BUSY_HERE)
    await call.over()


@shape()
async def menu_choice(s: Stage) -> None:
    call = s.inbound("menu")
    call.group = s.group("sales")
    assert call.leg is not None
    await s.connected(call.leg)
    await s.pause(0.3)
    await s.digits(call.leg, "1")
    await s.talk(call, 1)
    await call.hang_up()
    call.steps = (("ivr", None, "menu"), ("group_entered", s.group("sales")), ("answered", s.phone(1)))


@shape()
async def menu_invalid_then_choice(s: Stage) -> None:
    call = s.inbound("menu")
    assert call.leg is not None
    await s.connected(call.leg)
    await s.pause(0.3)
    await s.digits(call.leg, "9")
    await s.pause(0.5)
    await s.digits(call.leg, "5")
    await s.talk(call, 1)
    await call.hang_up()
    call.steps = (("ivr", None, "menu"), ("rang", s.phone(1)), ("answered", s.phone(1)))


@shape()
async def menu_timeout(s: Stage) -> None:
    """He presses nothing, and the dialplan hangs up."""
    call = s.inbound("menu")
    call.lost_reason = "abandoned_ivr"
    await call.over()


@shape()
async def menu_abandoned(s: Stage) -> None:
    call = s.inbound("menu")
    call.lost_reason = "abandoned_ivr"
    await s.pause(0.9)
    await call.hang_up()


@shape()
async def pickup_directed(s: Stage) -> None:
    """A colleague dials the number that rings with a prefix, and has the call."""
    call = s.inbound("desk")
    rung = await s.rings(1)
    await s.pause(0.3)
    picked = await s.joined(s.dial(2, "**" + s.phone(1)))
    call.talks(s.phone(2))
    await s.gone(rung)
    await s.pause()
    await picked.hang_up()
    await call.over("employee")


@shape()
async def pickup_group(s: Stage) -> None:
    """*8 takes whatever rings in one's own group; here it rings for a ring group."""
    call = s.inbound("group")
    call.group = s.group("shop")
    await s.rings(4)
    await s.pause(0.3)
    await s.joined(s.dial(2, "*8"))
    call.talks(s.phone(2))
    await s.pause()
    await call.hang_up()


@shape()
async def pickup_of_a_queue_call(s: Stage) -> None:
    """The colleague is no member of the queue."""
    call = s.inbound("queue")
    call.group = s.group("sales")
    await s.rings(1)
    await s.pause(0.3)
    await s.joined(s.dial(3, "*8"))
    call.talks(s.phone(3))
    await s.pause()
    await call.hang_up()


@shape()
async def forwarded_by_the_phone(s: Stage) -> None:
    call = s.inbound("desk")
    await s.redirected_by_phone(await s.rings(1), 2)
    await s.talk(call, 2)
    await call.hang_up()
    call.steps = (("missed", s.phone(1), "forwarded"), ("answered", s.phone(2)))


@shape()
async def forwarded_by_the_phone_unanswered(s: Stage) -> None:
    call = s.inbound("desk")
    call.lost_reason = "abandoned_ringing"
    await s.redirected_by_phone(await s.rings(1), 2)
    await s.rings(2)
    await s.pause(0.5)
    await call.hang_up()


@shape()
async def to_a_mobile(s: Stage) -> None:
    """The employee is on the road: his mobile is called through the trunk."""
    call = s.inbound("mobile")
    await s.talk(call, s.mobile)
    await call.hang_up()


@shape()
async def to_a_mobile_after_the_desk(s: Stage) -> None:
    call = s.inbound("follow")
    await s.gone(await s.rings(1))
    leg = await s.talk(call, s.mobile)
    await leg.hang_up()
    await call.over("employee")


@shape(versions=(22,))
async def voicemail(s: Stage) -> None:
    """Nobody takes the call, and he leaves a message: that is not an answer. (Debian's 16 has no voicemail module.)"""
    call = s.inbound("mail")
    call.lost_reason = "no_answer"
    await s.gone(await s.rings(1))
    await s.pause(2)
    await call.hang_up()


@shape()
async def unknown_number(s: Stage) -> None:
    """A number that the dialplan refuses."""
    call = s.inbound("unknown")
    call.lost_reason = "failed"
    await call.over()


@shape()
async def number_changed_by_the_dialplan(s: Stage) -> None:
    """What was dialled stays the number, whatever extension the call goes on at."""
    call = s.inbound("other-number")
    call.group = f"sales{s.lane:02}"
    await s.talk(call, 1)
    await call.hang_up()


@shape()
async def number_changed_through_a_local_channel(s: Stage) -> None:
    call = s.inbound("other-channel")
    await s.talk(call, 1)
    await call.hang_up()
