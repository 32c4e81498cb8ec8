"""callrouter's way of choosing numbers and crediting calls, and other ways, for comparison. Knows the seams only.

A choice of another kind takes the place of one piece of the shipped allocation script, a judge that of `credit`;
everything around them stays what production runs.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources

import msgspec

from callrouter.pool.delay import DelayModel
from callrouter.pool.simulation import judges
from callrouter.pool.simulation.judges import Judge

OURS = "ours"
STRICT = 1e6
"""An account's numbers come first, however long others have been free."""


class Choice(msgspec.Struct, frozen=True):
    """How a visitor's number is chosen. `name` of a file in choices/, or '' for the shipped one."""

    name: str = ""
    affinity: float | None = None
    """Not the default."""
    takes: bool = False
    """Numbers of visitors who are there, too."""

    def lua(self) -> str | None:
        """What stands in the place of the shipped chooser."""
        if not self.name:
            return None
        return (resources.files(__package__) / "choices" / f"{self.name}.lua").read_text("utf-8")


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    about: str
    choice: Choice = Choice()
    judge: Callable[[DelayModel], Judge] = judges.engine


POLICIES = {
    policy.name: policy
    for policy in (
        Policy(name=OURS, about="what callrouter ships"),
        Policy(name="random", about="any free number", choice=Choice("random")),
        Policy(name="first-free", about="the first free number of the list", choice=Choice("first-free")),
        Policy(
            name="steal-oldest", about="the number given out longest ago, even if it is somebody's",
            choice=Choice("steal-oldest", takes=True),
        ),
        Policy(name="no-affinity", about="the longest-free of all, whoever had it", choice=Choice(affinity=1.0)),
        Policy(
            name="strict-affinity", about="the account's own numbers first, however long others rest",
            choice=Choice(affinity=STRICT),
        ),
        Policy(name="no-memory", about="callers are not remembered", judge=judges.without_memory),
        Policy(name="credit-holder", about="whoever has the number now, else had it last", judge=judges.holder),
    )
}  # fmt: skip
