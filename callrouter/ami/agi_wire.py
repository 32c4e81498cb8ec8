"""The AGI wire format: what Asterisk says about a call, and its replies. Pure; knows no socket and no time."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl

import msgspec

MAX_ENVIRONMENT = 16 << 10
"""Bytes; Asterisk sends under 2,000."""
MAX_REPLY = 64 << 10


class AgiRequest(msgspec.Struct, frozen=True):
    """A question of the dialplan. `path` and `query` are those of `agi://HOST/path?query`."""

    path: str
    query: Mapping[str, str]
    environment: Mapping[str, str]
    """The agi_… values, without their prefix."""

    @property
    def uniqueid(self) -> str:
        return self.environment.get("uniqueid", "")

    @property
    def channel(self) -> str:
        return self.environment.get("channel", "")

    @property
    def called(self) -> str:
        """The number dialled: an argument of AGI() where given, else the DNID, else the extension.

        The extension comes last because the question is asked in a subroutine, whose extension is `s`.
        """
        given = (self.environment.get(name, "") for name in ("arg_1", "dnid", "extension"))
        return next((number for number in given if number not in {"", "unknown"}), "")

    @property
    def caller(self) -> str:
        """As the PBX writes it; empty when it is withheld."""
        number = self.environment.get("callerid", "")
        return "" if number == "unknown" else number


class NotAgi(Exception):
    """What came is no AGI environment."""


def read_environment(data: bytes) -> AgiRequest:
    """`data`: all lines up to the blank one. Caller names in broken encodings show as escapes."""
    environment: dict[str, str] = {}
    for line in data.decode(errors="backslashreplace").split("\n"):
        name, colon, value = line.partition(": ")
        if colon and name.startswith("agi_"):
            environment[name[4:]] = value.rstrip("\r")
    script = environment.get("network_script")
    if script is None:
        raise NotAgi("no agi_network_script among the lines")
    path, _, query = script.partition("?")
    return AgiRequest(path.strip("/"), dict(parse_qsl(query, max_num_fields=20)) if query else {}, environment)


class ReplyReader:
    """Counts the final replies in what Asterisk sends after the environment: HANGUP may stand anywhere between them."""

    def __init__(self) -> None:
        self._rest = b""
        self._in_usage = False
        self.replies: list[int] = []
        """Codes: 200 done, 511 the channel is gone, 510 and 520 the command was not understood."""

    def feed(self, data: bytes) -> None:
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()[-MAX_REPLY:]
        for line in lines:
            code = line[:3]
            if line[3:4] == b"-":
                self._in_usage = True
            elif code.isdigit() and not (self._in_usage and code != b"520"):
                self._in_usage = False
                if code != b"100":  # still trying
                    self.replies.append(int(code))
