"""Makes a capture fit to be shown: numbers, names and addresses replaced, the same by the same, so it replays alike.

Pure, given its secret; without the secret nobody finds the way back. Knows where Asterisk writes what a person is.

- A number keeps its length, its prefix and its punctuation; its last six digits change by a keyed permutation.
  `+7916…`, `8916…` and `916…` of one caller stay one caller. Extensions (up to five digits) stay: they are structure.
- A name becomes `Name` and five letters. Addresses become 192.0.2.x (the block set apart for documentation).
- Uniqueids, timestamps, channel numbers and bridge ids stay: they tie events together and name nobody.
"""

from __future__ import annotations

import hashlib
import hmac
import re

_TAIL = 6
_HALF = 1000
_ROUNDS = 6
_STRUCTURE = re.compile(
    rb"""
    \d{9,10}\.\d+                           # a uniqueid
    | [0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}
    | -[0-9a-fA-F]{8}(?![0-9a-fA-F])        # the number of a channel: PJSIP/carrier-0000001a
    | (?<=/)(?P<endpoint>\d+)(?=-[0-9a-fA-F]{8}(?![0-9a-fA-F]))
    | (?P<address>(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.]))
    | (?P<number>\d[\d\ ()-]{4,}\d)
    """,
    re.VERBOSE,
)
_KEPT = re.compile(
    rb"(?:Event|Privilege|Timestamp|SequenceNumber|\w*Uniqueid|\w*Linkedid|ActionID|\w*Priority|\w*State|Cause|CauseTxt)$"
)
_NAMED = re.compile(rb"(?:\w*CallerIDName|\w*ConnectedLineName|MemberName|AgentName|FullName)$")
_NO_NAME = frozenset({b"", b"<unknown>", b"unknown", b"anonymous", b"Anonymous"})


class Anonymiser:
    """Feed it a capture as it comes; it gives back whole messages, made nameless."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        whole, blank, self._rest = (self._rest + data).rpartition(b"\n\r\n" if b"\r" in self._rest + data else b"\n\n")
        return self.text(whole + blank)

    def finish(self) -> bytes:
        rest, self._rest = self._rest, b""
        return self.text(rest)

    def text(self, text: bytes) -> bytes:
        return b"".join(self._line(line, names) for line, names in _with_variable(text.splitlines(keepends=True)))

    def _line(self, line: bytes, named: bool) -> bytes:
        header, colon, value = line.partition(b":")
        if not colon or _KEPT.match(header):
            return line
        body = value.strip()
        if (named or _NAMED.match(header)) and body not in _NO_NAME and not re.search(rb"[/@]|^[\d+]+$", body):
            return line.replace(body, self._name(body), 1)
        return header + colon + _STRUCTURE.sub(self._replace, value)

    def _replace(self, match: re.Match[bytes]) -> bytes:
        if match["address"]:
            return f"192.0.2.{self._digest(match['address'])[0]}".encode()
        number = match["number"] or match["endpoint"]
        return self.number(number) if number else match[0]

    def number(self, number: bytes) -> bytes:
        digits = re.sub(rb"\D", b"", number)
        if len(digits) < _TAIL:
            return number
        left, right = int(digits[-_TAIL:-3]), int(digits[-3:])
        for turn in range(_ROUNDS):  # a Feistel network: a permutation, so that two callers never become one
            left, right = right, (left + int.from_bytes(self._digest(b"%d %d" % (turn, right))[:4])) % _HALF
        changed = iter(digits[:-_TAIL] + b"%03d%03d" % (left, right))
        return bytes(next(changed) if 0x30 <= byte <= 0x39 else byte for byte in number)  # noqa: PLR2004 - "0" to "9"

    def _name(self, name: bytes) -> bytes:
        return b"Name " + bytes(97 + byte % 26 for byte in self._digest(name)[:5])

    def _digest(self, text: bytes) -> bytes:
        return hmac.digest(self._secret, text, hashlib.sha256)


def _with_variable(lines: list[bytes]) -> list[tuple[bytes, bool]]:
    """Lines, and whether they are the value of a variable that holds a name."""
    marked, named = [], False
    for line in lines:
        marked.append((line, named and line.startswith(b"Value:")))
        if line.startswith(b"Variable:"):
            named = bool(re.search(rb"name", line[9:], re.IGNORECASE))
        elif not line.strip():
            named = False
    return marked
