"""An anonymised capture names nobody and replays alike."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from callrouter.ami.anonymise import Anonymiser
from callrouter.ami.wire import EventReader

CAPTURE = (
    "Asterisk Call Manager/11.0.0\r\n"
    "Event: Newchannel\r\nTimestamp: 1763757931.123456\r\nChannel: PJSIP/carrier-0000001a\r\n"
    "CallerIDNum: +79161234567\r\nCallerIDName: Иван Петров\r\nExten: 74952232725\r\nContext: from-trunk\r\n"
    "Uniqueid: pbx1-1763757931.12\r\nLinkedid: pbx1-1763757931.12\r\n\r\n"
    "Event: VarSet\r\nVariable: DIALEDPEERNAME\r\nValue: Анна\r\n\r\n"
    "Event: Newexten\r\nCallerIDNum: 89161234567\r\nAppData: PJSIP/79161234567@carrier&PJSIP/201,30\r\n"
    "BridgeUniqueid: 0b5e8f1c-1111-2222-3333-aaaa56789012\r\nAddress: IPV4/UDP/10.1.2.3/5060\r\n\r\n"
).encode()


def test_numbers_and_names_go_and_structure_stays() -> None:
    text = Anonymiser(b"secret").text(CAPTURE).decode()
    for person in ("1234567", "Иван", "Анна", "2232725", "10.1.2.3"):
        assert person not in text
    for structure in (
        "pbx1-1763757931.12", "PJSIP/carrier-0000001a", "0b5e8f1c-1111-2222-3333-aaaa56789012", "1763757931.123456",
        "PJSIP/201,30", "from-trunk",
    ):  # fmt: skip
        assert structure in text
    tails = re.findall(r"[+78]+9161(\d{6})", text)
    assert len(tails) == 3
    assert len(set(tails)) == 1, "one caller, however he is spelt"


def test_an_endpoint_called_after_its_number_loses_that_and_a_channel_keeps_its_own() -> None:
    nameless = Anonymiser(b"secret")
    said = [f"Channel: PJSIP/{name}-0000001{end}\r\n".encode() for name in ("79161234567", "241") for end in "1a"]
    (one, other), (third, fourth) = (list(map(nameless.text, pair)) for pair in (said[:2], said[2:]))
    trunk = nameless.text(b"Channel: PJSIP/79161234567\r\n").strip()
    assert trunk != b"Channel: PJSIP/79161234567"
    assert (one, other) == (trunk + b"-00000011\r\n", trunk + b"-0000001a\r\n")
    assert [third, fourth] == said[2:]


def test_the_same_stays_the_same_and_another_secret_gives_others() -> None:
    first, again, other = (Anonymiser(secret).text(CAPTURE) for secret in (b"a", b"a", b"b"))
    assert first == again != other


def test_a_capture_is_made_nameless_in_any_pieces() -> None:
    whole = Anonymiser(b"a").text(CAPTURE)
    for size in (1, 7, 100):
        one = Anonymiser(b"a")
        pieces = [one.feed(CAPTURE[i : i + size]) for i in range(0, len(CAPTURE), size)]
        assert b"".join(pieces) + one.finish() == whole


@given(st.sets(st.from_regex(r"7916\d{7}", fullmatch=True), min_size=2, max_size=50))
def test_two_numbers_never_become_one(numbers: set[str]) -> None:
    one = Anonymiser(b"a")
    assert len({one.number(n.encode()) for n in numbers}) == len(numbers)


@given(st.binary(max_size=500))
def test_garbage_passes_without_harm(data: bytes) -> None:
    one = Anonymiser(b"a")
    one.feed(data)
    one.finish()


def test_events_keep_their_headers() -> None:
    before, after = (EventReader().feed(text) for text in (CAPTURE, Anonymiser(b"a").text(CAPTURE)))
    assert [list(event) for event in before] == [list(event) for event in after]
