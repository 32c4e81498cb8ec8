"""Calls that pass through two PBXs of one company: one call where it meets the outside, none at the other."""

from __future__ import annotations

from tests.shapes.script import shape
from tests.shapes.stage import Stage


@shape(pbxs=2)
async def transit_to_an_employee(s: Stage) -> None:
    """It arrives here, the employee's phone is there."""
    call = s.inbound("transit")
    await s.other.talk(call, 1)
    await call.hang_up()


@shape(pbxs=2)
async def transit_to_a_queue(s: Stage) -> None:
    """The queue there is not seen from here: the number dialled there is who answered."""
    call = s.inbound("transit-queue")
    leg = await s.other.talk(call, 1)
    call.employee = s.did
    await leg.hang_up()
    await call.over("employee")


@shape(pbxs=2)
async def transit_unanswered(s: Stage) -> None:
    call = s.inbound("transit")
    call.lost_reason = "abandoned_ringing"
    await s.other.rings(1)
    await s.pause(0.5)
    await call.hang_up()


@shape(pbxs=2)
async def transit_outwards(s: Stage) -> None:
    """An employee of the other PBX calls out by our trunk."""
    desk = s.other.dial(1, "9" + s.mobile)
    ringing = await s.rings(s.mobile)
    call = s.outbound(s.phone(1), ringing)
    await s.take(ringing)
    call.talks(s.phone(1))
    await s.pause()
    await desk.hang_up()
    await call.over("employee")
