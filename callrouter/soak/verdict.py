"""What came of a great many calls: each has one appeal that says where it went, and memory stays. Pure.

The truth is what the phones of both sides noted, not what was planned: a PBX that is late has callers wait, and who
hangs up may be gone before it hands him on.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from statistics import median
from typing import Any

import msgspec

from callrouter.lab.load import Noted
from callrouter.soak.office import Answer, Planned

SLACK_S = 1.5
"""Between what a phone noted and what Asterisk did of it."""
IN_TURN_S = 0.5
"""What one phone sent so long before another, Asterisk heeded before."""
ROOM = 1.1
"""Memory at the end, in parts of what it was after the first fifth."""
TOLD = 50


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """Counts, and the first calls of which something is wrong."""

    appeals: int
    pbx_calls: int
    failed: int
    """Calls that did not go as planned, in the words of the callers' phones; their fields are not judged."""
    missing: int
    extra: int
    wrong: int
    complaints: tuple[str, ...]


def judged(
    calls: Sequence[Planned], notes: Mapping[str, Noted], answers: Mapping[str, Sequence[Answer]],
    sessions: Mapping[str, str], *, rows: Sequence[Mapping[str, Any]], pbx_calls: Collection[str],
) -> Found:  # fmt: skip
    """`notes`: caller → what his phone noted; `answers`: caller → who answered him, in turn; `sessions`: number → the
    visit that holds it; `pbx_calls`: linked ids that the PBX recorded.
    """
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row["caller"] or ""].append(row)
    counts: Counter[str] = Counter()
    told: list[str] = []
    for call in calls:
        several, note = found.pop(call.caller, []), notes[call.caller]
        counts["missing"] += not several
        counts["extra"] += max(0, len(several) - 1)
        complaints = [] if several else ["no appeal"]
        if note.trouble or not note.ended:
            counts["failed"] += 1
        elif several and (wrong := _wrong(call, note, answers.get(call.caller, ()), several[0], sessions[call.did])):
            counts["wrong"] += 1
            complaints += wrong
        told += [f"{call.course.destination} of {call.caller}: {text}" for text in complaints]
    counts["extra"] += sum(map(len, found.values()))
    recorded, written = set(pbx_calls), {row["linkedid"] for row in rows}
    told += [f"the PBX recorded {one}, which has no appeal" for one in sorted(recorded - written)]
    told += [f"the PBX did not record {one}, which has an appeal" for one in sorted(written - recorded)]
    return Found(
        appeals=len(rows), pbx_calls=len(recorded), complaints=tuple(told[:TOLD]),
        **{name: counts[name] for name in ("failed", "missing", "extra", "wrong")},
    )  # fmt: skip


def _wrong(
    call: Planned, note: Noted, answers: Sequence[Answer], row: Mapping[str, Any], session: str
) -> list[str]:  # fmt: skip
    wanted = {
        "called": call.did, "status": "answered", "session": session, "complete": True, "attribution_pending": False,
    }  # fmt: skip
    told = [f"{name} is {row[name]!r}, in truth {value!r}" for name, value in wanted.items() if row[name] != value]
    ends = tuple(
        dict.fromkeys(end for answer in _last(note, answers) for end in call.course.ends_with(answer.employee))
    )
    if (row["final_group"], row["employee"]) not in ends:
        told.append(f"group and employee are {row['final_group']!r} and {row['employee']!r}, in truth one of {ends}")
    shortest, longest = _talk(note, answers)
    if not shortest - SLACK_S <= row["talk_s"] <= longest + SLACK_S:
        told.append(f"talk is {row['talk_s']:.2f} s, in truth {shortest:.2f} to {longest:.2f}")
    return told


def _talk(note: Noted, answers: Sequence[Answer]) -> tuple[float, float]:
    """Seconds at least, with whoever answered last, and at most, from the first answer until the last was let go."""
    if not answers:
        return 0.0, 0.0
    last, left = answers[-1], [one.left for one in answers]
    return min(left[-1], note.ended) - max(last.at, note.answered), max(left) - answers[0].at


def _last(note: Noted, answers: Sequence[Answer]) -> Sequence[Answer]:
    """Who may have talked with the caller last: an answer about when he hung up may have come too late."""
    certain = sum(answer.at < note.ended - IN_TURN_S for answer in answers)
    return answers[max(0, certain - 1) :]


def fifths(samples: Sequence[float]) -> tuple[float, ...]:
    """The median of each fifth; fewer where there are not so many samples."""
    parts = min(5, len(samples))
    return tuple(median(samples[n * len(samples) // parts : (n + 1) * len(samples) // parts]) for n in range(parts))


def is_flat(samples: Sequence[float]) -> bool:
    """Whether memory at the end is what it was when all was warm."""
    told = fifths(samples)
    return len(told) < 5 or told[-1] <= told[1] * ROOM  # noqa: PLR2004 - fifths
