"""What Asterisk says on a FastAGI connection, and what anybody else might."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callrouter.ami.agi_wire import NotAgi, ReplyReader, read_environment

ENVIRONMENT = (
    b"agi_network: yes\nagi_network_script: resolve?site=5&x=%D0%B0\nagi_request: agi://127.0.0.1/resolve?site=5\n"
    b"agi_channel: PJSIP/carrier-00000001\nagi_uniqueid: pbx1-1.1\nagi_callerid: 79161234567\n"
    b"agi_calleridname: \xc8\xe2\xe0\xed\nagi_extension: 74952232725\nagi_dnid: unknown"
)


def test_the_environment_gives_path_query_and_values() -> None:
    request = read_environment(ENVIRONMENT)
    assert request.path == "resolve"
    assert request.query == {"site": "5", "x": "а"}
    assert (request.called, request.caller, request.uniqueid) == ("74952232725", "79161234567", "pbx1-1.1")
    assert request.get("calleridname") == r"\xc8\xe2\xe0\xed"


def test_an_argument_of_agi_says_the_number_dialled_and_withheld_callers_are_empty() -> None:
    request = read_environment(ENVIRONMENT.replace(b"79161234567", b"unknown") + b"\nagi_arg_1: 74950000000")
    assert (request.called, request.caller) == ("74950000000", "")
    arguments = b"\nagi_arg_1: \nagi_arg_2: \nagi_arg_3: 74950000003\nagi_arg_4: 74950000004"
    assert read_environment(ENVIRONMENT + arguments).called == "74950000003"


@given(st.binary(max_size=2000))
def test_any_other_bytes_are_not_agi(data: bytes) -> None:
    with contextlib.suppress(NotAgi):
        read_environment(data)


def test_an_http_request_is_not_agi() -> None:
    with pytest.raises(NotAgi):
        read_environment(b"GET / HTTP/1.1\r\nHost: x")


@pytest.mark.parametrize(
    ("said", "codes"),
    [
        (b"200 result=0\n", [200]),
        (b"HANGUP\n200 result=-1\n", [200]),
        (b"511 Command Not Permitted on a dead channel or intercept routine\n", [511]),
        (
            b"520-Invalid command syntax.  Proper usage follows:\n200 lines of help\nUsage\n520 End of proper usage.\n",
            [520],
        ),
        (b"100 result=0 Trying...\n200 result=0\n200 result=0\n", [200, 200]),
        (b"", []),
    ],
)
def test_replies_are_counted_however_they_are_cut(said: bytes, codes: list[int]) -> None:
    for cut in range(len(said) + 1):
        reader = ReplyReader()
        reader.feed(said[:cut])
        reader.feed(said[cut:])
        assert reader.replies == codes


@given(st.lists(st.binary(max_size=300)))
def test_garbage_for_replies_never_raises(pieces: list[bytes]) -> None:
    reader = ReplyReader()
    for piece in pieces:
        reader.feed(piece)
