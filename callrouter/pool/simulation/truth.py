"""Who really called, and what a judgement is worth. Pure.

Definitions, for every call whose caller himself saw a substitute number on a tracked visit (*attributable*, whenever he
calls, also where the pool had no number for that visit and he saw the site's own):

* *right*: the session credited is the latest one before the call in which this person was shown the number he dialled.
  A person is a person: whichever browser he used and whichever telephone he takes.
* *wrong*: another session of the account that he means to call.
* *misrouted*: a session of another account: another company may answer.
* *unattributed*: nobody credited, or no substitute number was dialled.

Calls of friends whom the number was given to, and of strangers, are nobody's visit: a credit for them is never right.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from callrouter.numbers import Number
from callrouter.pool.model import Attribution, Method
from callrouter.pool.simulation.calling import PlannedCall
from callrouter.pool.simulation.visitors import PlannedVisit

Verdict = Literal["right", "wrong", "misrouted", "unattributed"]
VERDICTS: tuple[Verdict, ...] = ("right", "wrong", "misrouted", "unattributed")


class Judged(msgspec.Struct, frozen=True, gc=False):
    """What one judge made of a call."""

    verdict: Verdict
    method: Method
    confidence: float
    reached: bool
    """The company that the caller meant would answer: the credited one's, or the one that last held the number."""


class Heard(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A call as it was and as each judge took it."""

    call: PlannedCall
    since: float | None
    """Seconds since the caller left the site on his latest visit that showed the number. None: there was none."""
    overflow: bool
    """His visit had found the pool empty."""
    judged: dict[str, Judged]


UNANSWERED = Judged("unattributed", "unattributed", 0.0, reached=False)
"""Of a call on the site's own number."""
OWN_NUMBER = Judged("unattributed", "unattributed", 0.0, reached=True)


class _Showing(msgspec.Struct):
    session: str
    left: float


class Truth:
    """Remembers which session showed which number to those who will call, and nothing of the others."""

    def __init__(self) -> None:
        self._callers: dict[str, dict[Number, _Showing]] = {}
        self._showing: dict[str, Number | None] = {}
        self._dialled: dict[tuple[str, int], Number | None] = {}

    def expect(self, visit: PlannedVisit) -> None:
        """Calls will come of this visit."""
        self._callers.setdefault(visit.person, {})

    def shown(self, visit: PlannedVisit, number: Number | None, session: str) -> None:
        """The page shows a number now; None: the pool had none, it shows the site's own."""
        numbers = self._callers.get(visit.person)
        if numbers is None:
            return
        self._showing[visit.id] = number
        if number is not None:
            numbers[number] = _Showing(session, visit.left)

    def dialled(self, visit: PlannedVisit, turn: int = 0) -> Number | None:
        """What this visit's calls dial: whatever it showed when the first of them was placed. In each `turn` of
        several that might have happened, for itself."""
        key = (visit.id, turn)
        if key not in self._dialled:
            self._dialled[key] = self._showing.get(visit.id)
        return self._dialled[key]

    def of(self, call: PlannedCall, number: Number) -> str | None:
        """The session that a judge has to name; None: whatever he names is wrong."""
        showing = self._callers.get(call.person, {}).get(number) if call.attributable else None
        return showing.session if showing else None

    def since(self, call: PlannedCall, number: Number) -> float | None:
        showing = self._callers.get(call.person, {}).get(number)
        return call.at - showing.left if showing else None


def judge(call: PlannedCall, true_session: str | None, said: Attribution) -> Judged:
    """What `said` is worth."""
    reached = call.account is not None and said.account == call.account
    return Judged(_verdict(call, true_session, said), said.method, said.confidence, reached)


def _verdict(call: PlannedCall, true_session: str | None, said: Attribution) -> Verdict:
    if said.session is None:
        return "unattributed"
    if true_session is not None and said.session == true_session:
        return "right"
    return "misrouted" if call.account is not None and said.account != call.account else "wrong"
