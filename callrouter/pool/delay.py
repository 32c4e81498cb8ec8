"""How soon people call, and how often they call again: the one place where attribution takes its odds from. Pure.

A call on a number is a race between explanations, each with a rate: calls per second that it would bring just then.

* *This visit calls.* A visit that was shown a number calls with probability `call_share`. When it does, the delay since
  its last sign of life is a mixture of exponentials (`delays`): most call while they read, some within the hour, some
  after they slept over it. The rate at delay d is `call_share` x density(d). Holder and last holders are told apart by
  nothing else than d.
* *This caller calls again.* Who called a number does so again at rate `return_share` x density(d) of `returns`, d since
  his last call. On another number than the one he knows (he found a newer one) the rate is `other_number` of that.
* *A stranger.* Numbers are misdialled, written down and passed on: `stranger` calls per second on any number.

A caller whom we know is himself. That a visitor whom we cannot link to him should own just that telephone has odds of
about one in the number of people who might call: `same_phone`. It scales every explanation but the caller's own visit.

The defaults are what published call-tracking figures and common sense suggest, not a fit: three visits of a hundred
call; over half of the callers do so within minutes, a quarter within the hour, the rest within a day or so; a quarter
of callers call again, mostly the next day, some after weeks. An account's own
appeals are to be fitted in their place.
"""

from __future__ import annotations

import math
from datetime import timedelta

import msgspec

MINUTE = 60.0
HOUR = 3600.0
DAY = 86400.0

Mixture = tuple[tuple[float, float], ...]
"""(share, mean delay in seconds) of each exponential; shares sum to 1."""


class DelayModel(msgspec.Struct, frozen=True, kw_only=True):
    call_share: float = 0.03
    delays: Mixture = ((0.55, 4 * MINUTE), (0.25, 45 * MINUTE), (0.20, 12 * HOUR))
    return_share: float = 0.25
    returns: Mixture = ((0.6, DAY), (0.4, 30 * DAY))
    other_number: float = 0.1
    stranger: float = 0.02 / DAY
    same_phone: float = 1e-4
    window: timedelta = timedelta(hours=24)
    """Attribution window: older leases and visits are no candidates."""

    def visit_rate(self, since_seen: timedelta) -> float:
        """Calls per second by a visit that was last seen so long ago."""
        return self.call_share * density(self.delays, since_seen)

    def return_rate(self, since_call: timedelta) -> float:
        """Further calls per second by somebody who last called so long ago."""
        return self.return_share * density(self.returns, since_call)


DEFAULT_MODEL = DelayModel()


def density(mixture: Mixture, delay: timedelta) -> float:
    """Probability density, per second, of a mixture of exponentials at `delay` (not before 0)."""
    seconds = max(0.0, delay.total_seconds())
    total = 0.0
    for share, mean in mixture:
        total += share / mean * math.exp(-seconds / mean)
    return total
