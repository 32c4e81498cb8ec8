"""Calls in places where people wait or meet: parking lots and conferences."""

from __future__ import annotations

from callrouter.lab.sip import BUSY_HERE
from tests.shapes.script import shape
from tests.shapes.stage import Stage


@shape()
async def parked_and_taken(s: Stage) -> None:
    """Parked by one employee, taken out by another. In the lot he hears music."""
    call = s.inbound("queue")
    call.group = s.group("sales")
    leg = await s.talk(call, 1)
    call.silence()
    await s.transferred(leg, s.short(70))
    await leg.hang_up()
    await s.pause(1)
    await s.joined(s.dial(4, s.short(71)))
    call.talks(s.phone(4))
    await s.pause()
    await call.hang_up()
    call.steps = (("answered", s.phone(1)), ("transfer_blind", s.phone(1), s.short(70)), ("answered", s.phone(4)))


@shape()
async def parked_too_long(s: Stage) -> None:
    """Nobody fetches him, and he comes back to who parked him."""
    call = s.inbound("queue")
    call.group = s.group("sales")
    leg = await s.talk(call, 1)
    call.silence()
    await s.transferred(leg, s.short(70))
    await leg.hang_up()
    await s.talk(call, 1)
    await call.hang_up()


@shape()
async def parked_and_gave_up(s: Stage) -> None:
    call = s.inbound("desk")
    leg = await s.talk(call, 1)
    call.silence()
    await s.transferred(leg, s.short(70))
    await leg.hang_up()
    await s.pause(1)
    await call.hang_up()


@shape()
async def conference_of_three(s: Stage) -> None:
    """The customer waits in the room; two employees come, one goes, the other ends it."""
    call = s.inbound("conference")
    assert call.leg is not None
    await s.connected(call.leg)
    await s.pause(0.5)
    first = await s.joined(s.dial(1, s.short(72)))
    call.talks(s.phone(1))
    await s.pause()
    second = await s.joined(s.dial(2, s.short(72)))
    call.talks(s.phone(2))
    await s.pause()
    await first.hang_up()
    await s.pause()
    await second.hang_up()
    call.silence()
    await s.pause(0.3)
    await call.hang_up()


@shape()
async def conference_employees_first(s: Stage) -> None:
    """They talk already when the customer comes in: what was said before is none of his call."""
    first = await s.joined(s.dial(1, s.short(72)))
    second = await s.joined(s.dial(2, s.short(72)))
    await s.pause()
    call = s.inbound("conference")
    assert call.leg is not None
    await s.joined(call.leg)
    call.talks(s.phone(2))
    await s.pause()
    await call.hang_up()
    await s.pause(0.3)
    await first.hang_up()
    await second.hang_up()


@shape()
async def conference_alone(s: Stage) -> None:
    """Nobody else comes into the room."""
    call = s.inbound("conference")
    call.lost_reason = "abandoned_ivr"
    await s.pause(1.2)
    await call.hang_up()


@shape()
async def conference_of_two_customers(s: Stage) -> None:
    """Each has his own call."""
    one, two = s.inbound("conference", n=1), s.inbound("conference", n=2)
    for call in (one, two):
        assert call.leg is not None
        await s.connected(call.leg)
    host = await s.joined(s.dial(1, s.short(72)))
    one.talks(s.phone(1))
    two.talks(s.phone(1))
    await s.pause()
    await one.hang_up()
    await s.pause()
    await two.hang_up()
    await host.hang_up()


@shape()
async def transferred_into_a_conference(s: Stage) -> None:
    call = s.inbound("queue")
    call.group = s.group("sales")
    leg = await s.talk(call, 1)
    host = await s.joined(s.dial(2, s.short(72)))
    await s.transferred(leg, s.short(72))
    await leg.hang_up()
    call.talks(s.phone(2))
    await s.pause()
    await host.hang_up()
    call.silence()
    await s.pause(0.3)
    await call.hang_up()


@shape()
async def busy_colleague_taken_to_a_mobile(s: Stage) -> None:
    """Two calls of one lane at once: the second customer finds the phone engaged, then a mobile takes him."""
    one, two = s.inbound("desk", n=1), s.inbound("follow", n=2)
    (await s.rings(1)).refuse(BUSY_HERE)
    (await s.rings(1)).refuse(BUSY_HERE)
    one.lost_reason = "busy"
    await one.over()
    await s.talk(two, s.mobile)
    await two.hang_up()
