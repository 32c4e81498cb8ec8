"""What a stopping router leaves to its successor: the calls in progress, which go on without either of them.

Two files in the journal's folder, taken once: what the dialplan was told of each call (JSON), and the call trackers,
whose state is the sum of all events so far and cannot be asked of Asterisk again. The trackers are pickled: the folder
is private to the user that runs the router, and another version of callrouter does not read them.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import msgspec
import structlog

from callrouter import __version__
from callrouter.calls.events import LiveCall
from callrouter.calls.tracker import CallTracker
from callrouter.desk import CallKey, Known

log = structlog.get_logger()

KNOWN = "calls-in-hand.json"
TRACKERS = "calls-in-hand.pickle"


class Predecessor(msgspec.Struct, frozen=True):
    """Nothing, if there was none."""

    known: dict[CallKey, Known] = {}
    trackers: dict[str, CallTracker] = {}
    """By the PBX's name."""

    @property
    def calls(self) -> list[LiveCall]:
        """Those that it followed when it stopped."""
        return [call for tracker in self.trackers.values() for call in tracker.snapshot()]


def leave(folder: Path, known: Mapping[CallKey, Known], trackers: Mapping[str, CallTracker]) -> None:
    """Write what the successor will take. Raises OSError."""
    _write(folder / KNOWN, msgspec.json.encode(list(known.items())))
    _write(folder / TRACKERS, pickle.dumps((__version__, dict(trackers))))


def taken(folder: Path) -> Predecessor:
    """What an earlier router left; a part that cannot be read is told and done without."""
    return Predecessor(_known(folder / KNOWN), _trackers(folder / TRACKERS))


def _known(file: Path) -> dict[CallKey, Known]:
    data = _take(file)
    try:
        return dict(msgspec.json.decode(data, type=list[tuple[CallKey, Known]])) if data else {}
    except msgspec.MsgspecError as error:
        log.warning("CALLS-IN-HAND-UNREADABLE", file=str(file), reason=str(error))
        return {}


def _trackers(file: Path) -> dict[str, CallTracker]:
    data = _take(file)
    if not data:
        return {}
    try:
        version, trackers = pickle.loads(data)  # noqa: S301 - of our own user's making, in a folder closed to others
    except Exception as error:  # noqa: BLE001 - a damaged pickle may raise anything
        log.warning("CALLS-IN-HAND-UNREADABLE", file=str(file), reason=repr(error))
        return {}
    return trackers if version == __version__ else {}


def _take(file: Path) -> bytes:
    """The file's content, once: what it says is true only of the moment it was left."""
    try:
        data = file.read_bytes()
        file.unlink()
    except FileNotFoundError:
        return b""
    except OSError as error:
        log.warning("CALLS-IN-HAND-UNREADABLE", file=str(file), reason=str(error))
        return b""
    return data


def _write(file: Path, data: bytes) -> None:
    """For this user's eyes only: it names callers."""
    draft = file.with_name(file.name + ".draft")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_bytes(data)
    draft.replace(file)
