"""The AGI wire format: what Asterisk says about a call, and its replies. Pure; knows no socket and no time."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl

MAX_ENVIRONMENT = 16 << 10
"""Bytes; Asterisk sends under 2,000."""
_MAX_REPLY = 64 << 10
_MAX_FIELDS = 20


class NotAgi(Exception):
    """What came is no AGI environment."""


class AgiRequest:
    """A question of the dialplan. Of its twenty-odd lines a few are ever looked at: they are found, not parsed."""

    __slots__ = ("_lines",)

    def __init__(self, lines: str) -> None:
        self._lines = f"\n{lines}\n"

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> AgiRequest:
        """From values that did not come as lines."""
        return cls("\n".join(f"agi_{name}: {value}".replace("\n", " ") for name, value in environment.items()))

    def get(self, name: str) -> str:
        """The value of `agi_NAME`; empty if there is none."""
        line = f"\nagi_{name}: "
        at = self._lines.find(line)
        if at < 0:
            return ""
        begin = at + len(line)
        return self._lines[begin : self._lines.index("\n", begin)].rstrip("\r")

    @property
    def path(self) -> str:
        """Of `agi://HOST/path?query`."""
        return self.get("network_script").partition("?")[0].strip("/")

    @property
    def query(self) -> dict[str, str]:
        text = self.get("network_script").partition("?")[2]
        try:
            return dict(parse_qsl(text, max_num_fields=_MAX_FIELDS)) if text else {}
        except ValueError:
            return {}

    @property
    def uniqueid(self) -> str:
        return self.get("uniqueid")

    @property
    def channel(self) -> str:
        return self.get("channel")

    @property
    def called(self) -> str:
        """The number dialled: the first argument of AGI() that is not empty, else the DNID, else the extension.

        The extension comes last because the question is asked in a subroutine, whose extension is `s`.
        """
        for name in ("arg_1", "arg_2", "arg_3", "arg_4", "dnid", "extension"):
            number = self.get(name)
            if number and number != "unknown":
                return number
        return ""

    @property
    def caller(self) -> str:
        """As the PBX writes it; empty when it is withheld."""
        number = self.get("callerid")
        return "" if number == "unknown" else number


def read_environment(data: bytes) -> AgiRequest:
    """`data`: all lines up to the blank one. Caller names in broken encodings show as escapes."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.decode(errors="backslashreplace")
    request = AgiRequest(text)
    if not request.get("network_script"):
        raise NotAgi("no agi_network_script among the lines")
    return request


class ReplyReader:
    """Counts the final replies in what Asterisk sends after the environment: HANGUP may stand anywhere between them."""

    __slots__ = ("_in_usage", "_rest", "replies")

    def __init__(self) -> None:
        self._rest = b""
        self._in_usage = False
        self.replies: list[int] = []
        """Codes: 200 done, 511 the channel is gone, 510 and 520 the command was not understood."""

    def feed(self, data: bytes) -> None:
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()[-_MAX_REPLY:]
        for line in lines:
            code = line[:3]
            if line[3:4] == b"-":
                self._in_usage = True
            elif code.isdigit() and not (self._in_usage and code != b"520"):
                self._in_usage = False
                if code != b"100":  # still trying
                    self.replies.append(int(code))
