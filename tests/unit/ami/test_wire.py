"""The wire format: whatever comes, in whatever pieces, gives the events that Asterisk meant."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callrouter.ami.wire import Event, EventReader, values, write_action

BANNER = b"Asterisk Call Manager/11.0.0\r\n"
LOGIN = b"Response: Success\r\nActionID: 1\r\nMessage: Authentication accepted\r\n\r\n"
HANGUP = (
    "Event: Hangup\r\nUniqueid: pbx1-1.1\r\nCallerIDName: Иван Петров\r\nCause: 16\r\nAccountCode: \r\n\r\n".encode()
)
VARSET = b"Event: VarSet\r\nUniqueid: pbx1-1.1\r\nVariable: CALLROUTER_GROUP\r\nValue: \r\n\r\n"
NOISE = b"Event: VarSet\r\nUniqueid: pbx1-1.1\r\nVariable: MACRO_DEPTH\r\nValue: 1\r\n\r\n"
RTCP = b"Event: RTCPSent\r\nSSRC: 1\r\n\r\n"
STREAM = BANNER + LOGIN + HANGUP + NOISE + VARSET + RTCP + HANGUP
WANTED = frozenset({b"Hangup", b"VarSet"})
VARIABLES = (b"CALLROUTER", b"MIXMONITOR_FILENAME")


def read(*pieces: bytes, wanted: frozenset[bytes] | None = None) -> list[Event]:
    reader = EventReader(wanted, VARIABLES if wanted else None)
    return [event for piece in pieces for event in reader.feed(piece)]


def names(events: list[Event]) -> list[str]:
    return [event.get("Event") or event["Response"] for event in events]


def test_a_stream_gives_responses_and_events_in_order() -> None:
    assert names(read(STREAM)) == ["Success", "Hangup", "VarSet", "VarSet", "RTCPSent", "Hangup"]


def test_the_banner_is_kept_apart() -> None:
    reader = EventReader()
    assert reader.feed(BANNER + LOGIN)[0] == {
        "Response": "Success",
        "ActionID": "1",
        "Message": "Authentication accepted",
    }
    assert reader.banner == "Asterisk Call Manager/11.0.0"


def test_only_wanted_events_and_variables_are_delivered() -> None:
    assert names(read(STREAM, wanted=WANTED)) == ["Success", "Hangup", "VarSet", "Hangup"]
    assert read(VARSET, wanted=WANTED)[0]["Variable"] == "CALLROUTER_GROUP"
    assert read(NOISE * 3, wanted=WANTED) == []


@pytest.mark.parametrize(
    "name", ["A", "Hangups", "Newchannel", "Newchannels", "BridgeEnter", "BridgeCreate", "BridgeCreated"]
)
def test_names_that_begin_alike_are_told_apart(name: str) -> None:
    stream = f"Event: {name}\r\nUniqueid: 1\r\n\r\nEvent: {name}X\r\nUniqueid: 2\r\n\r\n".encode() * 3
    for text in (stream, stream.replace(b"\r\n", b"\n")):
        assert [e["Uniqueid"] for e in read(text, wanted=frozenset({name.encode()}))] == ["1"] * 3


def test_any_event_can_be_narrowed_by_its_headers() -> None:
    only = {b"Newexten": {b"Application": (b"Queue", b"Read"), b"Context": (b"groups",)}}
    step = "Event: Newexten\r\nContext: {}\r\nApplication: {}\r\nAppData: x\r\n\r\n"
    stream = "".join(step.format(*s) for s in [("a", "Set"), ("a", "Queue"), ("groups", "Set"), ("b", "Goto")]).encode()
    for text in (stream, stream.replace(b"\r\n", b"\n"), b"\r\n" + stream):
        for wanted in (None, frozenset({b"Newexten"})):
            found = EventReader(wanted, only=only).feed(text)
            assert [(e["Context"], e["Application"]) for e in found] == [("a", "Queue"), ("groups", "Set")]


def test_the_event_name_may_stand_in_any_line() -> None:
    assert names(read(b"Uniqueid: 1\r\nEvent: Hangup\r\n\r\n", wanted=WANTED)) == ["Hangup"]
    assert (
        read(b"Uniqueid: 1\r\nEvent: RTCPSent\r\n\r\n" + b"Variable: X\r\nEvent: VarSet\r\n\r\n", wanted=WANTED) == []
    )


def test_an_empty_last_header_is_kept() -> None:
    assert read(VARSET)[0]["Value"] == ""
    assert read(b"Event: VarSet\r\nValue:\r\n\r\n")[0]["Value"] == ""


def test_a_repeated_header_keeps_its_first_value_and_numbers_the_others() -> None:
    event = read(b"Event: UserEvent\r\nUniqueid: true\r\nUniqueid: forged\r\nUniqueid: again\r\n\r\n")[0]
    assert event["Uniqueid"] == "true"
    assert values(event, "Uniqueid") == ["true", "forged", "again"]
    assert values(event, "Nothing") == []


def test_a_value_may_contain_colons() -> None:
    assert read(b"Event: X\r\nAppData: a: b:c\r\n\r\n")[0]["AppData"] == "a: b:c"


@pytest.mark.parametrize("cut", range(len(STREAM)))
def test_events_do_not_depend_on_where_the_stream_is_cut(cut: int) -> None:
    assert read(STREAM[:cut], STREAM[cut:]) == read(STREAM)


def test_letters_survive_a_stream_of_single_bytes() -> None:
    assert read(*(bytes([b]) for b in STREAM), wanted=WANTED) == read(STREAM, wanted=WANTED)


def test_line_feeds_alone_read_the_same() -> None:
    assert read(STREAM.replace(b"\r\n", b"\n")) == read(STREAM)
    assert read(*(bytes([b]) for b in STREAM.replace(b"\r\n", b"\n"))) == read(STREAM)


def test_blank_blocks_and_blank_lines_between_events_are_nothing() -> None:
    assert names(read(b"\r\n\r\n\r\n" + HANGUP + b"\r\n" + HANGUP + b"\r\n\r\n\r\n\r\n" + HANGUP)) == ["Hangup"] * 3


def test_a_caller_name_in_a_broken_encoding_is_shown_as_escapes_and_counted() -> None:
    reader = EventReader()
    event = reader.feed(b"Event: Newchannel\r\nCallerIDName: \xc8\xe2\xe0\xed\r\nExten: 1\r\n\r\n")[0]
    assert event["CallerIDName"] == r"\xc8\xe2\xe0\xed"
    assert event["Exten"] == "1"
    assert reader.undecodable == 1


def test_nul_bytes_do_not_reach_the_database() -> None:
    assert read(b"Event: X\r\nName: a\0b\r\n\r\n")[0]["Name"] == r"a\x00b"


def test_ten_megabytes_without_a_blank_line_are_dropped_counted_and_quick() -> None:
    reader = EventReader()
    began = time.perf_counter()
    events = [e for _ in range(160) for e in reader.feed(b"x" * 65536)] + reader.feed(b"\r\n\r\n" + HANGUP)
    assert time.perf_counter() - began < 1
    assert names(events) == ["Hangup"]
    assert reader.oversized == 1


def test_an_oversized_event_between_two_others_costs_only_itself() -> None:
    huge = b"Event: Hangup\r\nName: " + b"x" * (3 << 20) + b"\r\n\r\n"
    for size in (997, 65536, 1 << 24):
        stream = HANGUP + huge + HANGUP
        reader = EventReader()
        events = [e for i in range(0, len(stream), size) for e in reader.feed(stream[i : i + size])]
        assert names(events) == ["Hangup", "Hangup"]
        assert reader.oversized == 1


def test_a_megabyte_of_repeated_headers_takes_no_quadratic_time() -> None:
    began = time.process_time()
    assert len(read(b"Event: X\r\n" + b"A: b\r\n" * 170_000 + b"\r\n")) == 1
    assert time.process_time() - began < 2


def test_line_ends_may_change_within_a_pasted_capture() -> None:
    lf = HANGUP.replace(b"\r\n", b"\n")
    assert names(read(HANGUP + lf * 4000 + HANGUP)) == ["Hangup"] * 4002


def test_half_an_event_at_the_end_of_a_capture_is_no_event_unless_its_lines_are_whole() -> None:
    reader = EventReader()
    assert names(reader.feed(HANGUP + HANGUP[:-2])) == ["Hangup"]
    assert reader.finish() == read(HANGUP)
    reader = EventReader()
    reader.feed(HANGUP + HANGUP[:30])
    assert reader.finish() == []


def test_blocks_that_are_no_messages_are_counted() -> None:
    reader = EventReader()
    assert reader.feed(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + HANGUP) == read(HANGUP)
    assert reader.malformed == 1


@given(st.lists(st.binary(max_size=400), max_size=20), st.sampled_from([None, WANTED]))
@settings(max_examples=300, deadline=None)
def test_garbage_never_raises_and_memory_stays_bounded(pieces: list[bytes], wanted: frozenset[bytes] | None) -> None:
    reader = EventReader(wanted, VARIABLES, max_block=300)
    for piece in pieces:
        for event in reader.feed(piece):
            assert "Event" in event or "Response" in event
        assert len(reader._pending) <= 300 + 4 + 400
    reader.finish()


MESSAGES = st.sampled_from(
    [LOGIN, HANGUP, VARSET, NOISE, RTCP, b"\r\n\r\n", b"\xff\xfe\0: \r\n\r\n", b"Event: \r\n\r\n"]
)


@given(st.lists(MESSAGES, max_size=12), st.lists(st.integers(1, 60), max_size=40), st.sampled_from([None, WANTED]))
@settings(max_examples=300, deadline=None)
def test_any_cutting_of_any_stream_gives_the_same_events(
    messages: list[bytes], sizes: list[int], wanted: frozenset[bytes] | None
) -> None:
    stream = b"".join(messages)
    pieces, rest = [], stream
    for size in sizes:
        pieces.append(rest[:size])
        rest = rest[size:]
    assert read(*pieces, rest, wanted=wanted) == read(stream, wanted=wanted)


def test_an_action_is_written_with_its_repeated_headers() -> None:
    assert write_action({"Action": "Originate", "Variable": ["a=1", "b=2"]}) == (
        b"Action: Originate\r\nVariable: a=1\r\nVariable: b=2\r\n\r\n"
    )


@pytest.mark.parametrize("value", ["x\r\nAction: Command", "x\nA: b", "x\r", "x\0", "\ud800"])
def test_values_that_would_start_a_header_of_their_own_are_refused(value: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - surrogates are refused by the codec, in its words
        write_action({"Action": "Ping", "Variable": value})
    with pytest.raises(ValueError):  # noqa: PT011
        write_action({"Action": "Ping", value: "x"})
