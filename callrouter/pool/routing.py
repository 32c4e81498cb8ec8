"""Where a site's calls go by what is known of them: rules in their order, of which the first that fits counts. Pure.

What a rule leaves empty it does not ask. Knows the visit's source and what is at hand of the caller; asks nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

import msgspec

from callrouter.sessions.model import TrafficSource

Who = Literal["any", "new", "known", "managed"]
"""Of the caller: no matter; never called this account; called before; an employee talked with him before."""
WHO: tuple[Who, ...] = get_args(Who)
MOST_RULES = 50
ANYTHING = "*"
"""At the end of a word: it begins so."""


class RouteRule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Of several words one has to fit, in whatever case; all that is asked has to."""

    route: str
    """CALLROUTER_ROUTE: a name that the dialplan maps."""
    caller: Who = "any"
    channels: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    mediums: tuple[str, ...] = ()
    campaigns: tuple[str, ...] = ()

    def fits(self, traffic: TrafficSource | None, *, unique: bool | None, manager: str) -> bool:
        """`unique`: whether he never called; None, which is neither: not known in time. `manager`: '' for none."""
        called: dict[Who, bool] = {"new": unique is True, "known": unique is False, "managed": bool(manager)}
        if not called.get(self.caller, True):
            return False
        asked = (self.channels, self.sources, self.mediums, self.campaigns)
        if traffic is None:
            return not any(asked)
        told = (traffic.channel, traffic.source, traffic.medium, traffic.campaign)
        return all(not words or _is_one_of(text, words) for words, text in zip(asked, told, strict=True))


def fitting(
    rules: Iterable[RouteRule], traffic: TrafficSource | None, *, unique: bool | None = None, manager: str = ""
) -> RouteRule | None:
    """The rule that a call is routed by; None: the site's route."""
    return next((rule for rule in rules if rule.fits(traffic, unique=unique, manager=manager)), None)


def _is_one_of(text: str, words: tuple[str, ...]) -> bool:
    folded = text.casefold()
    return any(
        folded.startswith(word[:-1].casefold()) if word.endswith(ANYTHING) else folded == word.casefold()
        for word in words
    )
