"""The AMI wire format: bytes → events, actions → bytes. Pure; knows no socket, no login and no meaning of any event.

An event is a plain `dict[str, str]`. Of a header that comes several times the first value stands under its name (so
that nothing appended to a UserEvent can replace the `Uniqueid` Asterisk wrote), the others as `Name#2`, `Name#3`, …

Most of what Asterisk sends is of no use to a call tracker (110 of the 160 events of a queue call are VarSet), so an
event is chosen by its first line, before it is parsed; the rest costs a search for the blank line and a look-up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

Event = dict[str, str]

MAX_BLOCK = 1 << 20
_BANNER = "Asterisk Call Manager/"
_EVENT = b"Event: "
_MAX_LEARNT = 4096
_KEY = 19  # of a block, to look up its kind: `Event: ` and a name of up to ten characters with its line end

Check = tuple[bytes, int, tuple[bytes, ...]]
"""How a header line begins, the length of that, and the beginnings of values that are wanted."""
_SKIP: tuple[Check, ...] = ()
_PARSE: tuple[Check, ...] = ((b"Event: ", 0, (b"",)),)
"""Passes everything; recognised by identity."""


class EventReader:
    """Incremental and bounded: feed it what came, in any pieces; it gives the events that are complete.

    `wanted` are the names of the events to deliver (None: all). `variables` narrows VarSet to the variables with these
    prefixes; `only` does so for any event: name → header → prefixes, one of which is enough. Messages without an event
    name (responses) are always delivered.
    """

    def __init__(
        self,
        wanted: frozenset[bytes] | None = None,
        variables: tuple[bytes, ...] | None = None,
        *,
        only: Mapping[bytes, Mapping[bytes, tuple[bytes, ...]]] | None = None,
        max_block: int = MAX_BLOCK,
    ) -> None:
        self._wanted = wanted
        narrowed = dict(only or {}) if variables is None else {**(only or {}), b"VarSet": {b"Variable": variables}}
        self._checks = {name: _checks(headers) for name, headers in narrowed.items()}
        self._max_block = max_block
        self._kinds = {_EVENT + name: self._checks.get(name, _PARSE) for name in wanted or ()}
        self._keys: dict[bytes, tuple[Check, ...]] = {}
        self._pending = bytearray()
        self._searched = 0
        self._discarding = False
        self._line_end: bytes = b""
        self._blank: bytes = b""
        self.banner = ""
        """What the peer called itself, as `Asterisk Call Manager/11.0.0`."""
        self.blocks = 0
        """Blocks seen, whether delivered or not."""
        self.oversized = 0
        """Blocks dropped because they were longer than `max_block`."""
        self.undecodable = 0
        """Delivered events that were not UTF-8; the offending bytes stand in them as `\\xNN`."""
        self.malformed = 0
        """Blocks that are neither an event nor a response."""

    def feed(self, data: bytes) -> list[Event]:
        """The events completed by `data`. Linear in the bytes fed, however they are cut."""
        pending = self._pending
        if not self._blank and not self._choose_line_end(data):
            pending += data
            return self._wait()
        if self._line_end == b"\n":
            data = data.translate(None, b"\r")
        if pending:
            pending += data
            if pending.find(self._blank, self._searched) < 0:
                return self._wait()
            data = bytes(pending)
            pending.clear()
        blocks = data.split(self._blank)
        pending += blocks.pop()
        if self._discarding and blocks:
            self._discarding = False
            del blocks[0]
        events = self._events(blocks)
        return events + self._wait()

    def finish(self) -> list[Event]:
        """The last event of a capture that does not end with a blank line. A line cut in the middle makes none."""
        rest = bytes(self._pending)
        self._pending.clear()
        self._searched = 0
        return [] if self._discarding or not rest.endswith(b"\n") else list(self._parse_loosely(rest))

    def unfinished(self) -> str:
        """The first line of what waits for more: of a peer that says nothing we know, this is all there is to show."""
        return bytes(self._pending[:80]).split(b"\n")[0].decode(errors="backslashreplace").strip()

    def _choose_line_end(self, data: bytes) -> bool:
        """Asterisk sends CRLF; a capture that passed through an editor may have LF. The first line end decides."""
        at = data.find(b"\n")
        if at < 0:
            return False
        before = data[at - 1 : at] if at else bytes(self._pending[-1:])
        self._use_line_end(b"\r\n" if before == b"\r" else b"\n")
        return True

    def _use_line_end(self, line_end: bytes) -> None:
        self._line_end, self._blank = line_end, line_end * 2
        if line_end == b"\n":
            self._pending[:] = self._pending.translate(None, b"\r")
        self._searched = 0

    def _wait(self) -> list[Event]:
        """Keep the incomplete block within bounds."""
        pending = self._pending
        overlap = len(self._blank) - 1
        if len(pending) > self._max_block + overlap + 1:
            if not self._discarding and self._line_end == b"\r\n" and b"\n\n" in pending:
                return self._read_again_with_lf()
            self.oversized += not self._discarding
            self._discarding = True
        if self._discarding and len(pending) > overlap:
            del pending[: len(pending) - max(overlap, 1)]
        self._searched = max(0, len(pending) - overlap)
        return []

    def _read_again_with_lf(self) -> list[Event]:
        """The line ends changed within the stream, as in captures pasted together."""
        rest = bytes(self._pending)
        self._pending.clear()
        self._use_line_end(b"\n")
        return self.feed(rest)

    def _events(self, blocks: list[bytes]) -> list[Event]:
        """The hot path: nine of ten blocks are skipped by their first line."""
        self.blocks += len(blocks)
        events: list[Event] = []
        keys, kinds, line_end, largest = self._keys, self._kinds, self._line_end, self._max_block
        for block in blocks:
            checks = keys.get(block[:_KEY])
            if checks is None:
                head = block.partition(line_end)[0]
                checks = kinds.get(head)
                if checks is None:
                    events += self._parse_unknown(head, block)
                    continue
                if len(head) + len(line_end) <= _KEY and len(keys) < _MAX_LEARNT:
                    keys[block[:_KEY]] = checks
            if checks is _SKIP:
                continue
            if checks is _PARSE or _passes(block, checks):
                if len(block) <= largest:
                    events.append(self._parse(block))
                else:
                    self.oversized += 1
        return events

    def _parse(self, block: bytes) -> Event:
        lines = self._decode(block).split("\r\n" if len(self._line_end) > 1 else "\n")
        try:
            event: Event = dict([line.split(": ", 1) for line in lines])
        except ValueError:  # a line without the colon
            return _with_repeated_headers(lines)
        return event if len(event) == len(lines) else _with_repeated_headers(lines)

    def _decode(self, block: bytes) -> str:
        """PostgreSQL takes neither surrogates nor NUL, and neither says anything to a reader."""
        try:
            text = block.decode()
        except UnicodeDecodeError:
            self.undecodable += 1
            text = block.decode(errors="backslashreplace")
        return text.replace("\0", "\\x00") if "\0" in text else text

    def _parse_unknown(self, head: bytes, block: bytes) -> list[Event]:
        """A first line not met before: an event nobody wants (remembered as such), or anything at all."""
        name = head[len(_EVENT) :]
        if head.startswith(_EVENT) and b"\n" not in head and name == name.strip() and name:
            if len(self._kinds) < _MAX_LEARNT:
                self._kinds[head] = _SKIP if self._wanted is not None else self._checks.get(name, _PARSE)
            if self._wanted is not None:
                return []
        if len(block) > self._max_block:
            self.oversized += 1
            return []
        return list(self._parse_loosely(block))

    def _parse_loosely(self, block: bytes) -> Iterator[Event]:
        """Headers in any order, a banner before them, blank lines around them, line ends of either kind."""
        for part in self._decode(block.replace(b"\r\n", b"\n")).split("\n\n"):
            lines = part.strip("\n").split("\n")
            if lines[0].startswith(_BANNER):
                self.banner = lines.pop(0).strip()
            if not any(lines):
                continue
            event = _with_repeated_headers(lines)
            if "Event" in event:
                if self._is_wanted(event):
                    yield event
            elif "Response" in event:
                yield event
            else:
                self.malformed += 1

    def _is_wanted(self, event: Event) -> bool:
        name = event["Event"].strip().encode(errors="replace")
        if self._wanted is not None and name not in self._wanted:
            return False
        checks = self._checks.get(name)
        return checks is None or any(
            event.get(line[1:-2].decode(), "").encode(errors="replace").startswith(prefixes)
            for line, _, prefixes in checks
        )


def _checks(headers: Mapping[bytes, tuple[bytes, ...]]) -> tuple[Check, ...]:
    return tuple((b"\n" + name + b": ", len(name) + 3, prefixes) for name, prefixes in headers.items())


def _passes(block: bytes, checks: tuple[Check, ...]) -> bool:
    for line, length, prefixes in checks:
        at = block.rfind(line)
        if at >= 0 and block.startswith(prefixes, at + length):
            return True
    return False


def _with_repeated_headers(lines: Sequence[str]) -> Event:
    event: Event = {}
    repeats: dict[str, int] = {}
    for line in lines:
        key, colon, value = line.partition(": ")
        if not colon:  # an editor may have cut the space after an empty value
            key, colon, value = line.partition(":")
        if not colon or not key:
            continue
        if key in event:
            repeats[key] = repeats.get(key, 1) + 1
            key = f"{key}#{repeats[key]}"
        event[key] = value
    return event


def values(event: Event, name: str) -> list[str]:
    """All values of a header that may be repeated, such as `Output` or `ChanVariable`."""
    found, count, key = [], 1, name
    while key in event:
        found.append(event[key])
        count += 1
        key = f"{name}#{count}"
    return found


def write_action(headers: Mapping[str, str | Sequence[str]]) -> bytes:
    """An action as Asterisk reads it. A line break within a value would start a header of its own: refused."""
    lines = []
    for name, value in headers.items():
        for one in (value,) if isinstance(value, str) else value:
            if any(c in name or c in one for c in "\r\n\0") or ":" in name or not name.strip():
                raise ValueError(f"a value of {name!r} cannot be sent to Asterisk")  # it may be a secret
            lines.append(f"{name}: {one}\r\n")
    return ("".join(lines) + "\r\n").encode()
