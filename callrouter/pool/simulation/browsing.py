"""One visit: which pages are read for how long, in which tabs, and what the widget tells meanwhile. Pure and seeded.

The widget asks for a number at the human sign and tells of each further page; while a page is visible it says so every
quarter of the hold; when a page goes it says that too, which may be lost. A page in the background says nothing.
"""

from __future__ import annotations

from random import Random
from typing import Literal

import msgspec

from callrouter.pool.simulation.world import Browsing

SignKind = Literal["page", "alive", "closed"]
TAB_CLOSED_FIRST = 0.5
NEXT_PAGE_AFTER = 0.8
"""Seconds from leaving a page to the next one's sign."""
LONGEST_PAGE = 4 * 3600.0


class Sign(msgspec.Struct, frozen=True, gc=False):
    """A page's signal: another page was opened, the page is still looked at, the page was closed."""

    at: float
    kind: SignKind


class Browsed(msgspec.Struct, frozen=True, gc=False):
    asked: float
    """When the number is asked for (without a human sign: when the page opened)."""
    left: float
    """When the person turned away."""
    signs: tuple[Sign, ...]


class Reader:
    """Writes down the signs of one visit as it goes on. `beat`: seconds between signs of a visible page."""

    def __init__(self, stream: Random, habits: Browsing, beat: float) -> None:
        self._stream = stream
        self._habits = habits
        self._beat = beat
        self._signs: list[Sign] = []
        self._told = 0.0
        """When the widget last said anything."""

    def browse(self, at: float, *, call_after: float | None = None, leaves: bool = True) -> Browsed:
        """A visit that opens at `at`. `call_after`: the visitor calls so long after asking, his page before him; if he
        `leaves` the site for it, nothing comes after."""
        asked = at + self._habits.sign_after.draw(self._stream)
        self._told = asked
        call = None if call_after is None else asked + call_after
        now = self._pages(asked, call)
        left = now
        if call is not None:
            now, left = self._until(now, call, leaves=leaves)
        elif self._stream.random() < self._habits.left_open:
            now = self._watch(now, now + min(self._habits.left_open_for.draw(self._stream), LONGEST_PAGE))
        if call is None or not leaves:
            now, left = self._in_background(now, left)
        self._close(now)
        return Browsed(asked, left, tuple(self._signs))

    def _pages(self, now: float, call: float | None) -> float:
        """The pages one after another; a call for which the site is left ends them."""
        draw, habits = self._stream.random, self._habits
        now = self._watch(now, now + self._reading())
        tabbed = False
        while draw() < habits.another_page and (call is None or now < call):
            if not tabbed and draw() < habits.second_tab:
                tabbed = True
                now = self._second_tab(now)
                continue
            self._close(now)
            now = self._open(now + NEXT_PAGE_AFTER)
            now = self._watch(now, now + self._reading())
        return now

    def _until(self, now: float, call: float, *, leaves: bool) -> tuple[float, float]:
        """The last page stays until the call; or what came after it never happened."""
        if now < call:
            now = self._watch(now, call)
        elif leaves:
            self._signs = [sign for sign in self._signs if sign.at <= call]
            now = call
        return now + 1.0, max(now, call)

    def _in_background(self, now: float, left: float) -> tuple[float, float]:
        draw = self._stream.random
        if draw() >= self._habits.hidden:
            return now, left
        now += min(self._habits.hidden_for.draw(self._stream), 12 * LONGEST_PAGE)
        self._tell(now, "alive")
        now = self._watch(now, now + self._reading())
        return now, now

    def _second_tab(self, now: float) -> float:
        """Either it is closed and the first is looked at again, or both stay until the end, the first unseen."""
        now = self._watch(self._open(now), now + self._reading())
        if self._stream.random() < TAB_CLOSED_FIRST:
            self._close(now)
            if now - self._told >= self._beat:
                self._tell(now + NEXT_PAGE_AFTER, "alive")
            now = self._watch(now, now + self._reading())
        return now

    def _reading(self) -> float:
        return min(self._habits.page_time.draw(self._stream), LONGEST_PAGE)

    def _watch(self, now: float, until: float) -> float:
        """A visible page says that it is, a beat after its last word."""
        del now
        while self._told + self._beat < until:
            self._tell(self._told + self._beat, "alive")
        return until

    def _open(self, now: float) -> float:
        self._tell(now, "page")
        return now

    def _close(self, now: float) -> None:
        if self._stream.random() >= self._habits.close_lost:
            self._signs.append(Sign(now, "closed"))

    def _tell(self, now: float, kind: SignKind) -> None:
        self._signs.append(Sign(now, kind))
        self._told = now
