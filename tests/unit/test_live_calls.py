"""The calls in progress as the router tells them: at any moment of any call, to its own machine, without numbers."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from rich.console import Console

from callrouter.ami.wire import Event
from callrouter.clock import SystemClock
from callrouter.commands.calls import _shown
from callrouter.config import PbxConfig
from callrouter.desk import Desk, dialplan_variables
from callrouter.live_calls import Live, LiveCalls
from callrouter.pbx import PbxLink
from callrouter.pool.model import StaticBinding
from tests.unit.calls.captures import SHAPES, capture
from tests.unit.desk_scene import CALLER, NUMBER, resolution

SHAPE = next(name for name in SHAPES if "22/attended_to_queue.filtered" in name)
SOME = SHAPES[::40]


class Known(Mapping[tuple[str, str], Any]):
    """A desk that credits each call."""

    def resolution_of(self, pbx: str, uniqueid: str) -> Any:
        return resolution(NUMBER, CALLER, SystemClock().now(), "sales")

    def __getitem__(self, key: tuple[str, str]) -> Any:
        raise KeyError

    def __iter__(self) -> Any:
        return iter(())

    def __len__(self) -> int:
        return 0


def live_calls(name: str) -> tuple[PbxLink, LiveCalls, list[Event]]:
    recorded = capture(name)
    profile = {key: value for key, value in msgspec.to_builtins(recorded.profile).items() if value != {}}
    desk = cast("Desk", Known())
    link = PbxLink(msgspec.convert(profile, PbxConfig), desk, SystemClock())
    return link, LiveCalls([link], desk, SystemClock()), recorded.telling


def request(peer: str = "127.0.0.1", host: str = "localhost", own: str = "127.0.0.1", **headers: str) -> Any:
    told = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    return SimpleNamespace(
        args={}, getClientAddress=lambda: SimpleNamespace(host=peer), getHost=lambda: SimpleNamespace(host=own),
        getRequestHostname=host.encode, getHeader=told.get,
    )  # fmt: skip


@pytest.mark.parametrize("name", SOME)
def test_at_each_moment_of_a_call_what_is_told_is_masked_and_can_be_shown(name: str) -> None:
    link, calls, events = live_calls(name)
    console = Console(width=200, file=io.StringIO())
    for event in events:
        link.tracker.feed(event)
        told = calls.now(numbers=False)
        assert len(told.calls) == link.tracker.calls
        for call in told.calls:
            personal = [step.to or "" for step in call.steps] + [step.who or "" for step in call.steps]
            personal += [call.employee or "", (call.caller if call.direction != "outbound" else call.called) or ""]
            assert not re.search(r"\d{7}", " ".join(personal))
            assert call.steps[0].kind == "started"
        console.print(_shown(msgspec.json.decode(msgspec.json.encode(told), type=Live), console))
    assert link.tracker.calls == 0


def test_the_terminal_says_who_waits_where_for_how_long_and_whose_advert_it_was() -> None:
    link, calls, events = live_calls(SHAPE)
    seen: list[str] = []
    for event in events:
        link.tracker.feed(event)
        console = Console(width=220, file=io.StringIO())
        console.print(_shown(calls.now(numbers=False), console))
        seen.append(cast("io.StringIO", console.file).getvalue())
    whole = "".join(seen)
    for words in ("waits in ", "ringing", "talks with ", "1 call in progress", "holder 0.90", "0:00 started"):
        assert words in whole


def test_with_numbers_only_if_they_are_asked_for() -> None:
    link, calls, events = live_calls(SHAPE)
    for event in events[: len(events) // 2]:
        link.tracker.feed(event)
    masked, whole = calls.now(numbers=False).calls[0], calls.now(numbers=True).calls[0]
    assert re.fullmatch(r"\d{4}…\d\d", masked.caller or "")
    assert re.fullmatch(r"\d{11}", whole.caller or "")
    assert masked.called == whole.called, "a substitute number is nobody's"


@pytest.mark.parametrize(
    ("asking", "code"),
    [
        (request(), 200),
        (request(peer="::1", host="[::1]", own="::1"), 200),
        (request(peer="::ffff:127.0.0.1"), 200),
        (request(peer="10.0.0.5", host="10.0.0.5", own="10.0.0.5"), 200),
        (request(peer="10.0.0.6", host="10.0.0.5", own="10.0.0.5"), 403),
        (request(host="evil.example"), 403),
        (request(x_forwarded_for="10.0.0.6"), 403),
    ],
    ids=["loopback", "loopback 6", "mapped", "own address", "another machine", "a foreign name", "a proxy"],
)  # fmt: skip
def test_only_this_machine_is_told(asking: Any, code: int) -> None:
    _, calls, _ = live_calls(SHAPE)
    assert calls.page(asking)[0] == code


def test_a_call_to_a_static_number_is_credited_to_its_channel_and_campaign() -> None:
    link, calls, events = live_calls(SHAPE)
    for event in events[: len(events) // 2]:
        link.tracker.feed(event)
    binding = StaticBinding(
        number=NUMBER, account=2, site=1, channel="print", source="metro", medium="paper", campaign="winter",
        valid_from=SystemClock().now(),
    )  # fmt: skip
    at = SystemClock().now()
    static = msgspec.structs.replace(resolution(NUMBER, CALLER, at), binding=binding)
    calls._desk = cast("Desk", SimpleNamespace(resolution_of=lambda *_: static))
    credited = calls.now(numbers=False).calls[0].credited
    assert credited is not None
    assert (credited.source, credited.campaign, credited.keyword) == ("metro", "winter", "")
    told = dialplan_variables(static)
    assert (told["CALLROUTER_SOURCE"], told["CALLROUTER_CAMPAIGN"]) == ("metro", "winter")
