"""Who guesses passwords waits longer with each try, and nobody else does. Pure: times are given.

A try is counted for its line (an address, or a browser that has signed in before) and user together: who guesses from
elsewhere cannot lock a user out. A line is counted by itself too, generously, against one password tried on many users.
"""

from __future__ import annotations

from collections import OrderedDict

FREE_TRIES = 5
LONGEST_WAIT = 300.0
FREE_OF_LINE = 40
LINE_WAIT = 5.0
FORGIVEN = 3600.0
"""Seconds after the last wrong try until the next begins anew."""
REMEMBERED = 20_000

Key = tuple[str, str]


class Tries:
    """Wrong tries of one process. What is not remembered any longer was long ago, or others were many."""

    def __init__(self) -> None:
        self._wrong: OrderedDict[Key, tuple[int, float]] = OrderedDict()

    def wait(self, line: str, user: str, now: float) -> float:
        """Seconds until this line may try again for this user."""
        count, at = self._of((line, user), now)
        of_pair = min(LONGEST_WAIT, 2.0 ** (count - FREE_TRIES)) - (now - at) if count >= FREE_TRIES else 0.0
        count, at = self._of((line, ""), now)
        of_line = LINE_WAIT - (now - at) if count >= FREE_OF_LINE else 0.0
        return max(0.0, of_pair, of_line)

    def begin(self, line: str, user: str, now: float) -> None:
        """A try counts as wrong until it was right: several at once are several."""
        for key in ((line, user), (line, "")):
            self._wrong[key] = (self._of(key, now)[0] + 1, now)
            self._wrong.move_to_end(key)
        while len(self._wrong) > REMEMBERED:
            self._wrong.popitem(last=False)

    def was_right(self, line: str, user: str) -> None:
        """The line's other tries stay counted: one right password does not make a guesser honest."""
        self._wrong.pop((line, user), None)
        count, at = self._wrong.get((line, ""), (0, 0.0))
        if count > 1:
            self._wrong[line, ""] = (count - 1, at)
        else:
            self._wrong.pop((line, ""), None)

    def _of(self, key: Key, now: float) -> tuple[int, float]:
        count, at = self._wrong.get(key, (0, now))
        return (count, at) if now - at < FORGIVEN else (0, now)
