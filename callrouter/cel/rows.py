"""A line of the CEL file → a row. Knows the columns that `asterisk-conf/cel_custom_callrouter.conf` declares, no calls.

Nothing is guessed: a file of other columns, another dialect or with other times is refused, with the line and the mend.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from callrouter.calls.times import birth_of, serial_of

COLUMNS = (
    "eventtype", "eventtime", "CALLERID(name)", "CALLERID(num)", "CALLERID(ANI)", "CALLERID(RDNIS)", "CALLERID(DNID)",
    "CHANNEL(exten)", "CHANNEL(context)", "CHANNEL(channame)", "CHANNEL(appname)", "CHANNEL(appdata)",
    "CHANNEL(accountcode)", "CHANNEL(uniqueid)", "CHANNEL(linkedid)", "BRIDGEPEER", "CHANNEL(userfield)", "eventextra",
)  # fmt: skip
CONF = "asterisk-conf/cel_custom_callrouter.conf"
MOST_LINES = 64
"""A caller's name may hold line breaks; a record of more lines is none."""
LONGEST = 1 << 18
QUARTER, FARTHEST = 900.0, 26 * 3600.0
"""Clocks of the world differ by whole quarters of an hour, and never by more than that."""
SAME_CLOCK = 2.0
"""Seconds between a channel's beginning and the time in its id, which are of one clock."""
MOST_IN_A_ROW = 250
"""So many lines without a row between them are no damage any more: the file is of another kind from there on."""
MOST_SHIFTED = 3
"""Likewise channels whose beginning is by another clock than their id: one may have got its id from elsewhere."""

_FIELD = re.compile(r'"((?:[^"]|"")*)"(?:,|$)')
_TIME = re.compile(r"\d{9,11}\.\d{6}")
START = re.compile(r'"[^",\r\n]{1,80}","\d{9,11}\.\d{6}","')
_SYSTEM_TIME = re.compile(r"\d{4}-\d\d-\d\d|\d\d:\d\d")
_ZONE = re.compile(r"(?:Z|[+-]\d\d:?\d\d)$")
_UTF_16 = re.compile(r"(?:\\xff\\xfe|\\xfe\\xff)?(?:\\x00)?[^\\]\\x00[^\\]\\x00")
"""As `shown` shows it."""
_CDR = re.compile(r'(?:^|[,;\t])"?(?:ANSWERED|NO ANSWER|BUSY|FAILED|CONGESTION)"?(?=[,;\t]|$)')


class ForeignCel(ValueError):
    """Not a file as asterisk-conf/ has Asterisk write it. Says the line, what is wrong, and the mend."""

    def __init__(self, complaint: str, line: int = 0) -> None:
        super().__init__(f"line {line}: {complaint}" if line else complaint)
        self.complaint = complaint
        self.line = line


class ForeignClock(ForeignCel):
    """Its times were converted."""


class Row(NamedTuple):
    """One event of one channel."""

    type: str
    stamp: str
    """Unix seconds with microseconds, as Asterisk wrote them."""
    number: str
    dnid: str
    exten: str
    context: str
    channel: str
    app: str
    data: str
    uniqueid: str
    linkedid: str
    extra: dict[str, str]

    @property
    def at(self) -> float:
        return float(self.stamp)


def parse(text: str) -> Row:
    """The row of one record (a line, without its line end). Raises ForeignCel, without the line's number."""
    fields = _fields(text)
    if len(fields) != len(COLUMNS) and _CDR.search(text):
        raise ForeignCel(ABOUT_CDR)
    if len(fields) != len(COLUMNS):
        raise ForeignCel(
            f"{len(fields)} columns where {len(COLUMNS)} are wanted: let Asterisk write the file by {CONF}, unchanged"
        )
    (kind, stamp, _name, number, _ani, _rdnis, dnid, exten, context, channel, app, data, _account, uniqueid, linkedid,
     _peer, _user, extra) = fields  # fmt: skip
    if not _TIME.fullmatch(stamp):
        if _CDR.search(text):
            raise ForeignCel(ABOUT_CDR)
        raise ForeignCel(_about_time(stamp))
    if not kind or "/" not in channel or not uniqueid or not linkedid:
        raise ForeignCel(f"the columns are not those of {CONF}, in its order: use it unchanged")
    row = Row(kind, stamp, number, dnid, exten, context, channel, app, data, uniqueid, linkedid, _extra(extra))
    if kind == "CHAN_START":
        _check_clock(row)
    return row


def _check_clock(row: Row) -> None:
    """An id that Asterisk itself made has its own time in it."""
    born = birth_of(row.uniqueid) if serial_of(row.uniqueid) >= 0 else None
    apart = 0.0 if born is None else abs(row.at - born)
    if QUARTER - SAME_CLOCK < apart < FARTHEST and abs(apart - round(apart / QUARTER) * QUARTER) < SAME_CLOCK:
        raise ForeignClock(
            f"the time {row.stamp} is {apart / 3600:.1f} h from the one in the channel's id {row.uniqueid}: "
            "the times were converted (another time zone?); give the file as Asterisk wrote it"
        )


def _fields(text: str) -> list[str]:
    fields = []
    at = 0
    while at < len(text):
        found = _FIELD.match(text, at)
        if found is None:
            raise ForeignCel(_about_dialect(text))
        fields.append(found[1].replace('""', '"'))
        at = found.end()
    if text.endswith(","):
        fields.append("")
    return fields


def _about_dialect(text: str) -> str:
    if _CDR.search(text):
        return ABOUT_CDR
    if _UTF_16.match(text):
        return "the file is UTF-16, as another program saves it: give the file as Asterisk wrote it"
    for separator, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if text.count(separator) >= len(COLUMNS) - 1 > text.count('","'):
            return f"the columns are separated by {name}, not by commas: let Asterisk write the file by {CONF}"
    if text.startswith(('"eventtype', "eventtype", "\ufeff")):
        return "a head line, or a mark of another program's: give the file as Asterisk wrote it"
    if text.count('"') % 2:
        return f"a quoted column has no end (the line was cut?): give the file as Asterisk wrote it by {CONF}"
    return f"not each column stands in double quotes, separated by commas: let Asterisk write the file by {CONF}"


def _about_time(stamp: str) -> str:
    if _SYSTEM_TIME.search(stamp) and _ZONE.search(stamp):
        return f"the time {stamp!r} is written as text: remove dateformat from cel.conf and `module reload cel`"
    if _SYSTEM_TIME.search(stamp):
        return f"the time {stamp!r} has no time zone: remove dateformat from cel.conf and `module reload cel`"
    return f"the time {stamp!r} is no Unix time with microseconds: use {CONF} and no dateformat in cel.conf"


def _extra(text: str) -> dict[str, str]:
    if not text:
        return {}
    try:
        found = msgspec.json.decode(text, type=dict[str, object])
    except msgspec.DecodeError:
        raise ForeignCel(f"the last column, {text[:40]!r}, is no eventextra: use {CONF} unchanged") from None
    return {key: str(value) for key, value in found.items() if value is not None}


ABOUT_CDR = (
    "these are call detail records (CDR), and calls are told from CEL: include asterisk-conf/cel_callrouter.conf and "
    "cel_custom_callrouter.conf, and give the file cel-custom/callrouter.csv"
)


class CelReader:
    """Incremental and bounded: feed it what the file holds, in any pieces; it gives the rows that are complete.

    Strict, it raises ForeignCel at the first line that is none; else it skips such lines, counted in `refused` (the
    latest complaint in `complaint`): a power cut may leave half a line, and the calls after it go on. A file that goes
    on in another dialect, or by another clock, is refused in either case.
    """

    def __init__(self, *, strict: bool = True) -> None:
        self._strict = strict
        self._pending = b""
        self._record: list[str] = []
        self._line = 0
        self._refused_from = 0
        """The line with which those began that had no row after them."""
        self._in_a_row = 0
        self._shifted = 0
        self.rows = 0
        self.refused = 0
        self.complaint = ""
        self.complaint_line = 0

    @property
    def held(self) -> int:
        """Bytes taken that made no row yet: an unfinished line, or a record over several lines."""
        return len(self._pending) + sum(len(line.encode("utf-8", "surrogateescape")) + 1 for line in self._record)

    def feed(self, data: bytes) -> Iterator[Row]:
        """The rows that `data` completes."""
        lines = (self._pending + data).split(b"\n")
        self._pending = lines.pop()
        if len(self._pending) > LONGEST:
            self._pending = b""
            self._refuse(f"a line of over {LONGEST} bytes", self._line + 1)
        for line in lines:
            self._line += 1
            yield from self._take(line.decode("utf-8", "surrogateescape"))

    def finish(self) -> Iterator[Row]:
        """No more will come: a last line without line end is one all the same if it is whole."""
        rest, self._pending = self._pending, b""
        if rest:
            self._line += 1
            yield from self._take(rest.decode("utf-8", "surrogateescape"))
        if self._record:
            yield from self._give_up_record()
        self._line = self._in_a_row = 0

    def _take(self, line: str) -> Iterator[Row]:
        if self._record and (START.match(line) or len(self._record) >= MOST_LINES):
            yield from self._give_up_record()
        self._record.append(line)
        whole = "\n".join(self._record)
        if whole.count('"') % 2 and START.match(whole):
            return
        self._record.clear()
        whole = whole.rstrip("\r")
        if whole:
            yield from self._parsed(whole)

    def _parsed(self, whole: str) -> Iterator[Row]:
        """The row of a record; of a damaged one what Asterisk appended to the half line after a power cut."""
        try:
            row = parse(shown(whole))
        except ForeignCel as error:
            self._refuse(error.complaint, self._line, shifted=isinstance(error, ForeignClock))
            starts = list(START.finditer(whole, 1))
            if not starts:
                return
            try:
                row = parse(shown(whole[starts[-1].start() :]))
            except ForeignCel:
                return
        self.rows += 1
        self._in_a_row = 0
        if row.type == "CHAN_START":
            self._shifted = 0
        yield row

    def _give_up_record(self) -> Iterator[Row]:
        """A quoted column without end: the line was cut."""
        lines, self._record = self._record, []
        self._line -= len(lines)
        yield from self._parsed("\n".join(lines))
        self._line += len(lines)

    def _refuse(self, complaint: str, line: int, *, shifted: bool = False) -> None:
        line = max(line, 1)
        self.refused += 1
        self.complaint, self.complaint_line = complaint, line
        if not self._in_a_row:
            self._refused_from = line
        self._in_a_row += 1
        self._shifted += shifted
        if self._strict or self._shifted >= MOST_SHIFTED:
            raise ForeignCel(complaint, line)
        if self._in_a_row >= MOST_IN_A_ROW:
            raise ForeignCel(f"from here on {MOST_IN_A_ROW} lines are none of CEL: {complaint}", self._refused_from)


def shown(text: str) -> str:
    """As AMI's reader shows bytes that are no UTF-8: PostgreSQL takes neither surrogates nor NUL."""
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return text.replace("\0", "\\x00")
