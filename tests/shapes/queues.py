"""Calls into queues: answered by whom, lost how, and what the dialplan does with those whom nobody took."""

from __future__ import annotations

from callrouter.lab.sip import BUSY_HERE, DECLINED
from tests.shapes.script import shape
from tests.shapes.stage import TALK, Stage


@shape()
async def queue_second_after_no_answer(s: Stage) -> None:
    call = s.inbound("queue")
    call.group = s.group("sales")
    first = await s.rings(1)
    await s.gone(first)  # after three seconds
    await s.talk(call, 2)
    await call.hang_up()
    call.steps = (
        ("rang", s.phone(1)),
        ("missed", s.phone(1), "no_answer"),
        ("rang", s.phone(2)),
        ("answered", s.phone(2)),
    )


@shape()
async def queue_second_after_busy(s: Stage) -> None:
    call = s.inbound("queue")
    call.group = s.group("sales")
    (await s.rings(1)).refuse(BUSY_HERE)
    await s.talk(call, 2)
    await call.hang_up()
    call.steps = (("missed", s.phone(1), "busy"), ("answered", s.phone(2)))


@shape()
async def queue_second_after_rejection(s: Stage) -> None:
    call = s.inbound("queue")
    call.group = s.group("sales")
    first = await s.rings(1)
    await s.pause(0.3)
    first.refuse(DECLINED)
    await s.talk(call, 2)
    await call.hang_up()
    call.steps = (("missed", s.phone(1), "rejected"), ("answered", s.phone(2)))


@shape()
async def queue_abandoned_waiting(s: Stage) -> None:
    """Nobody rings while he waits."""
    call = s.inbound("nobody")
    call.group, call.lost_reason = s.group("nobody"), "abandoned_queue"
    await s.pause(1.2)
    await call.hang_up()
    call.steps = (("group_entered", s.group("nobody")), ("group_left", s.group("nobody"), "abandoned"))


@shape()
async def queue_rings_all(s: Stage) -> None:
    call = s.inbound("all")
    call.group = s.group("all")
    others = [await s.rings(1), await s.rings(3)]
    await s.talk(call, 2)
    assert all(leg.ended.is_set() for leg in others)
    await call.hang_up()
    call.steps = (("answered", s.phone(2)),)


@shape()
async def queue_dynamic_member(s: Stage) -> None:
    """He logs in by dialling a service number, takes a call, and logs out."""
    await s.gone(await s.connected(s.dial(1, s.short(73))))
    call = s.inbound("dynamic")
    call.group = s.group("dynamic")
    leg = await s.talk(call, 1)
    await leg.hang_up()
    await call.over("employee")
    await s.gone(await s.connected(s.dial(1, s.short(74))))
    late = s.inbound("dynamic", n=2)
    late.group, late.lost_reason = s.group("dynamic"), "no_agents"
    await late.over()


@shape()
async def queue_exit_by_key(s: Stage) -> None:
    """He presses 1 rather than wait: the dialplan notes that he wants to be called back."""
    call = s.inbound("nobody")
    call.group, call.lost_reason = s.group("nobody"), "abandoned_queue"
    assert call.leg is not None
    await s.connected(call.leg)
    await s.pause(0.7)
    await s.digits(call.leg, "1")
    await call.over()


@shape()
async def queue_exit_by_key_and_hangs_up(s: Stage) -> None:
    """The same, but he does not listen to the end that he will be called back."""
    call = s.inbound("nobody")
    call.group, call.lost_reason = s.group("nobody"), "abandoned_queue"
    assert call.leg is not None
    await s.connected(call.leg)
    await s.pause(0.7)
    await s.digits(call.leg, "1")
    await s.pause(0.5)
    await call.hang_up()


@shape()
async def queue_overflow(s: Stage) -> None:
    call = s.inbound("overflow")
    call.group = s.group("support")
    await s.rings(1)
    await s.talk(call, 3)
    await call.hang_up()
    call.steps = (
        ("group_entered", s.group("sales")), ("rang", s.phone(1)), ("group_left", s.group("sales"), "timeout"),
        ("group_entered", s.group("support")), ("answered", s.phone(3)),
    )  # fmt: skip


@shape()
async def queue_overflow_abandoned(s: Stage) -> None:
    call = s.inbound("overflow")
    call.group, call.lost_reason = s.group("support"), "abandoned_queue"
    await s.rings(1)
    await s.rings(3)
    await s.pause(0.5)
    await call.hang_up()


@shape()
async def queue_timeout_then_apology(s: Stage) -> None:
    """Nobody took him in time; he hangs up while the dialplan apologises."""
    call = s.inbound("apology")
    call.group, call.lost_reason = s.group("sales"), "no_answer"
    await s.rings(1)
    await s.pause(2.6)
    await call.hang_up()


@shape()
async def queue_local_members(s: Stage) -> None:
    """As FreePBX has them: each member behind a Local channel."""
    call = s.inbound("locals")
    call.group = s.group("locals")
    leg = await s.talk(call, 1)
    await leg.hang_up()
    await call.over("employee")


@shape()
async def queue_member_confirms_by_key(s: Stage) -> None:
    """The phone is answered, but its owner must press 1 before he gets the caller."""
    call = s.inbound("confirmed")
    call.group = s.group("confirmed")
    leg = await s.answers(1)
    await s.pause(0.6)
    await s.digits(leg, "1")
    await s.pause(0.1)
    call.talks(s.phone(1))
    await s.pause()
    await call.hang_up()


@shape()
async def queue_member_does_not_confirm(s: Stage) -> None:
    """A mailbox took the call to his mobile: nobody talked with the customer."""
    call = s.inbound("confirmed")
    call.group, call.lost_reason = s.group("confirmed"), "abandoned_queue"
    await s.answers(1)
    await s.pause(0.8)
    await call.hang_up()


@shape()
async def queue_recorded(s: Stage) -> None:
    call = s.inbound("recorded")
    call.group, call.recorded = s.group("sales"), True
    await s.talk(call, 1)
    await call.hang_up()


@shape()
async def same_caller_twice_at_once(s: Stage) -> None:
    """Two calls of one number, which overlap: each is its own."""
    one = s.inbound("queue")
    one.group = s.group("sales")
    first = await s.talk(one, 1)
    two = s.inbound("desk")
    two.lost_reason = "busy"
    (await s.rings(1)).refuse(BUSY_HERE)
    await two.over()
    three = s.inbound("queue")
    three.group = s.group("sales")
    await s.talk(three, 2)
    await one.hang_up()
    await s.gone(first)
    await s.pause(TALK)
    await three.hang_up()


@shape()
async def three_interleaved(s: Stage) -> None:
    """Begun in the order 1, 2, 3, answered 3, 1, ended 1, 3, and 2 gives up between."""
    one = s.inbound("group", n=1)
    await s.pause(0.1)
    two = s.inbound("nobody", n=2)
    await s.pause(0.1)
    three = s.inbound("queue", n=3)
    one.group, two.group, three.group = s.group("shop"), s.group("nobody"), s.group("sales")
    two.lost_reason = "abandoned_queue"
    await s.rings(4)
    await s.talk(three, 1)
    await s.talk(one, 5)
    await two.hang_up()
    await one.hang_up()
    await s.pause(0.4)
    await three.hang_up()
