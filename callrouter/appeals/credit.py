"""Attribution models: how the credit for one appeal is shared among the touches that led to it. Pure.

Shares are whole millionths that sum to one million, so that sums over any rows, in any order, are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, get_args

import msgspec

from callrouter.appeals.multichannel import Story, Touch

Model = Literal["last_click", "last_non_direct", "first", "linear", "position", "decay"]
MODELS: tuple[Model, ...] = get_args(Model)
"""`last_click` needs no touches: it is what stands on the appeal itself."""
SHARED: tuple[Model, ...] = MODELS[1:]

WHOLE = 1_000_000
DIRECT = "direct"
HALF_LIFE = timedelta(days=7)
ENDS = 0.4
"""Position-based: so much to the first, so much to the last, the rest to those between."""


class Credit(Touch, frozen=True, kw_only=True, omit_defaults=True):
    """A touch with its millionths by each model; fields are named as the models are."""

    last_non_direct: int = 0
    first: int = 0
    linear: int = 0
    position: int = 0
    decay: int = 0


def credits_of(at: datetime, story: Story) -> tuple[Credit, ...]:
    """Who has a share in the appeal at `at`; nobody if no touch led to it: then it is its own by every model."""
    chain = story.chain
    if not chain:
        return ()
    shares: dict[str, list[int]] = {
        "first": split([1.0] + [0.0] * (len(chain) - 1)),
        "linear": split([1.0] * len(chain)),
        "position": split(by_position(len(chain))),
        "decay": split([0.5 ** ((at - touch.at) / HALF_LIFE) for touch in chain]),
    }
    credited = {
        touch.session: {**msgspec.structs.asdict(touch), **{model: shares[model][index] for model in shares}}
        for index, touch in enumerate(chain)
    }
    last = _last_non_direct(story)
    credited.setdefault(last.session, msgspec.structs.asdict(last))["last_non_direct"] = WHOLE
    return tuple(Credit(**fields) for fields in credited.values())


def _last_non_direct(story: Story) -> Touch:
    """As is usual, it looks past earlier appeals, as far as the window reaches; direct only if all is."""
    for touch in reversed(story.reached):
        if touch.channel != DIRECT:
            return touch
    return story.chain[-1]


def by_position(count: int) -> list[float]:
    if count <= 2:  # noqa: PLR2004 - there is nothing between first and last
        return [1.0] * count
    return [ENDS, *[(1 - 2 * ENDS) / (count - 2)] * (count - 2), ENDS]


def split(weights: Sequence[float]) -> list[int]:
    """Whole millionths in proportion; what rounding leaves goes to the largest remainders, the earlier first."""
    total = sum(weights)
    exact = [weight / total * WHOLE for weight in weights]
    shares = [int(share) for share in exact]
    by_remainder = sorted(range(len(shares)), key=lambda index: (shares[index] - exact[index], index))
    for index in by_remainder[: WHOLE - sum(shares)]:
        shares[index] += 1
    return shares
