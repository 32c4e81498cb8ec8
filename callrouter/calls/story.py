"""What is known of one call so far: facts in the order they happened. Collects; `interpret` judges.

A story begins with a linkedid's first channel. Stories merge when Asterisk merges linkedids (attended transfer), and
the one that has a customer survives.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from callrouter.calls.graph import Channel
from callrouter.calls.record import Direction, StepKind

Place = Literal["queue", "ringing", "ivr", "afterwards"]
"""Where a customer is who talks to nobody; `afterwards`: nobody took him, and the dialplan goes on with him."""
TURNS = frozenset(("ivr", "group_entered", "group_left", "rang", "missed"))
"""What a customer who talks to nobody was led to last."""
MAX_FACTS = 2000
"""A caller may wait for a day in a queue that rings every five seconds: the steps beyond this are dropped."""


class Leg:
    """One attempt to reach somebody."""

    __slots__ = ("began", "cause", "channel", "ended", "forwarded_to", "status")

    def __init__(self, channel: Channel, began: float) -> None:
        self.channel = channel
        self.began = began
        self.ended: float | None = None
        self.status = ""
        """DialStatus, as Asterisk gives it at the end of the dial."""
        self.cause = 0
        self.forwarded_to = ""


class Fact(NamedTuple):
    at: float
    kind: StepKind
    group: str = ""
    who: str = ""
    to: str = ""
    reason: str = ""
    leg: Leg | None = None


class Story:
    """A call in the making. `subject` is the customer's channel, or the caller's of an internal call."""

    __slots__ = (
        "answered_at",
        "called_raw",
        "caller_raw",
        "channels",
        "complete",
        "dialled_by",
        "direction",
        "employee",
        "employee_quit_at",
        "ended",
        "facts",
        "first",
        "group",
        "hangup_cause",
        "humans",
        "key",
        "knocked",
        "last_change",
        "legs",
        "linkedids",
        "named_group",
        "queue",
        "queue_abandoned_at",
        "queue_status",
        "quit_at",
        "quit_place",
        "recording",
        "silent_since",
        "started",
        "subject",
        "subject_uniqueid",
        "talk_since",
        "talk_total",
        "talker",
        "talkers",
        "told",
        "was_up",
    )  # fmt: skip

    def __init__(self, first: Channel, direction: Direction) -> None:
        self.key = first.linkedid
        self.linkedids = [first.linkedid]
        self.direction = direction
        self.first = first
        self.subject = first
        self.subject_uniqueid = first.uniqueid
        self.started = first.created
        self.complete = first.seen
        self.told = False
        """CallStarted was sent."""
        self.caller_raw = ""
        self.called_raw = ""
        self.dialled_by = ""
        """Of a call that a Local channel placed (a callback): the employee's phone that was rung first."""
        self.channels: dict[str, Channel] = {}
        self.facts: list[Fact] = []
        self.legs: list[Leg] = []
        self.group = ""
        self.knocked: Fact | None = None
        self.named_group = ""
        """What the dialplan's CALLROUTER_GROUP said last."""
        self.queue = ""
        """The queue the customer waits in now."""
        self.queue_status = ""
        self.queue_abandoned_at: float | None = None
        self.humans: tuple[Channel, ...] = ()
        self.talker: Channel | None = None
        self.talkers: set[str] = set()
        """Uniqueids of all who have talked."""
        self.talk_since: float | None = None
        self.silent_since: float | None = None
        self.talk_total = 0.0
        self.answered_at: float | None = None
        self.employee = ""
        self.was_up = False
        self.quit_at: float | None = None
        """When the customer himself hung up, and where he was then."""
        self.quit_place: Place | None = None
        self.employee_quit_at: float | None = None
        """When the employee who talked hung up."""
        self.last_change = first.created
        """Of the customer's progress through the dialplan, for telling who ended the call."""
        self.ended: float | None = None
        self.hangup_cause: int | None = None
        self.recording = ""
        self.join(first)

    def join(self, channel: Channel) -> None:
        channel.story = self
        self.channels[channel.uniqueid] = channel

    @property
    def has_customer(self) -> bool:
        return self.direction != "internal"

    def note(
        self, at: float, kind: StepKind, *, group: str = "", who: str = "", to: str = "", reason: str = "",
        leg: Leg | None = None,
    ) -> None:  # fmt: skip
        self.last_change = at
        if len(self.facts) < MAX_FACTS:
            self.facts.append(Fact(at, kind, group, who, to, reason, leg))

    def note_late(self, at: float, kind: StepKind, *, who: str, to: str) -> None:
        """What took the customer away from a talk. Asterisk 16 may tell it when he is elsewhere already."""
        latest = self.last_change
        self.note(at if self.humans or self.silent_since is None else min(at, self.silent_since), kind, who=who, to=to)
        self.last_change = max(latest, self.last_change)
        self.facts.sort(key=lambda fact: fact.at)

    def enter_group(self, at: float, group: str) -> None:
        self.group = group
        self.note(at, "group_entered", group=group)

    def leave_ring_group(self) -> None:
        """The talk is over: whatever rings for the customer from now on is another group, or none."""
        self.named_group = ""
        for channel in self.channels.values():
            channel.ring_group = ""

    def wait_in(self, queue: str, at: float) -> None:
        """The customer stands in a queue now."""
        if self.queue == queue:
            return  # told twice
        self.knocked = None
        self.queue_status = ""
        self.queue_abandoned_at = None
        self.queue = queue
        if self.group != queue or not self.facts or self.facts[-1].kind != "group_entered":
            self.enter_group(at, queue)

    def leave_group(self, at: float, group: str, reason: str = "") -> None:
        self.note(at, "group_left", group=group, reason=reason)

    def knock(self, at: float, queue: str) -> None:
        """The dialplan sends the customer to a queue. Unless he joins it, it had no agents: that sends no event."""
        if queue == self.group:
            return  # a step to elsewhere from within the queue still names the old application
        self.settle_knock()
        self.queue_status = "JOINEMPTY"
        self.knocked = Fact(at, "group_entered", queue)

    def settle_knock(self) -> None:
        """The queue did not let him in, yet it is the group that he reached."""
        entered, self.knocked = self.knocked, None
        if entered is not None and entered.group:
            left = Fact(entered.at, "group_left", entered.group, reason=self.queue_status.lower())
            self.facts = sorted((*self.facts, entered, left), key=lambda fact: fact.at)
            self.group = next(fact.group for fact in reversed(self.facts) if fact.kind == "group_entered")

    def place(self) -> Place:
        """Where the customer is while he talks to nobody."""
        if self.queue:
            return "queue"
        if any(leg.ended is None and not leg.status for leg in reversed(self.legs)):
            return "ringing"
        latest = next((fact for fact in reversed(self.facts) if fact.kind in TURNS), self.knocked)
        if self.knocked is not None and latest is not None and latest.at <= self.knocked.at:
            return "afterwards"
        return "ivr" if latest is None or latest.kind == "ivr" else "afterwards"

    def left_queue_by_himself(self) -> bool:
        """By a key, say: no time-out, no agent, and nobody was rung since. No event tells of it."""
        latest = next((fact for fact in reversed(self.facts) if fact.kind in TURNS), None)
        return latest is not None and latest.kind == "group_left" and not latest.reason and not self.knocked

    def taken_by(self) -> Channel | None:
        """The first who answered when he was called; the customer himself does not count."""
        taken = (leg.channel for leg in self.legs if leg.status == "ANSWER" and leg.channel is not self.subject)
        return next(taken, None)

    def hear(self, humans: tuple[Channel, ...], at: float) -> Channel | None:
        """The customer hears `humans` from now on. Returns whoever talks to him now and did not before."""
        before, self.humans = self.humans, humans
        active = any(human.consult is None for human in humans)
        if active and self.talk_since is None:
            self.talk_since = at
        elif not active and self.talk_since is not None:
            self.talk_total += max(0.0, at - self.talk_since)
            self.talk_since = None
            self.silent_since = at
        if not humans:
            return None
        if self.answered_at is None:
            self.answered_at = at
        newcomers = [human for human in humans if human not in before]
        if newcomers:
            return newcomers[-1]
        return None if self.talker in humans else humans[-1]

    def answer(self, human: Channel, who: str, at: float) -> None:
        self.talker = human
        self.employee = who or self.employee
        if human.uniqueid not in self.talkers:
            self.talkers.add(human.uniqueid)
            self.note(at, "answered", who=who)

    def forget_talk(self) -> None:
        """What was said before there was a customer is none of his call."""
        self.humans, self.talker, self.talk_since, self.talk_total = (), None, None, 0.0
        self.answered_at, self.employee = None, ""
        self.talkers.clear()
        self.facts = [fact for fact in self.facts if fact.kind != "answered"]

    def follow(self, channel: Channel) -> None:
        """`channel` reaches the customer: an outbound call begins, or tries its next trunk."""
        if not self.has_customer:
            self.direction = "outbound"
            self.started = channel.created
            self.forget_talk()
        self.subject = channel
        self.subject_uniqueid = channel.uniqueid
        self.ended = None
        self.was_up = False
        self.complete = self.complete and channel.seen

    def reach(self, leg: Leg) -> None:
        self.legs.append(leg)
        if len(self.legs) > MAX_FACTS:
            del self.legs[: MAX_FACTS // 2]

    def absorb(self, other: Story) -> None:
        """Take over a call that turned out to be part of this one, as a consultation before a transfer."""
        for channel in other.channels.values():
            self.join(channel)
        other.channels = {}
        self.linkedids += other.linkedids
        theirs = [fact for fact in other.facts if fact.kind != "answered"]
        self.facts = sorted((*self.facts, *theirs), key=lambda fact: fact.at)[:MAX_FACTS]
        self.legs += other.legs
        self.complete = self.complete and other.complete
        self.recording = self.recording or other.recording
        self.queue = other.queue or self.queue
        if other.group:
            self.group = other.group
            self.named_group = other.named_group
