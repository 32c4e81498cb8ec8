"""Entries of a pool's log, as the scripts write them (scripts/*.lua: XADD). Pure.

One entry tells of one script, which may have done several things: a visit begins and is leased a number. Its fields: a
kind of VISIT_KINDS with the visit's record and `s`, its session; `L` or `E` with the record of the lease that began or
ended and `n`, its number.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from callrouter.pool.live import milliseconds, moment, number_record, signs_of, unpack_visit
from callrouter.sessions.model import Visit

VISIT_KINDS = {
    "V": ("visit_started",),
    "VO": ("visit_started", "overflow"),
    "P": ("page_opened",),
    "PO": ("page_opened", "overflow"),
    "O": ("overflow",),
    "U": ("page_closed",),
    "F": ("analytics_told",),
    "FO": ("analytics_told", "overflow"),
    "X": ("visit_ended",),
}
LEASE_KINDS = {"L": "lease_started", "E": "lease_ended"}


class Entry(msgspec.Struct, frozen=True):
    """`fields` are text without NUL, which Postgres cannot hold; `moment_of` and `number_of` read the typed ones."""

    name: str
    kind: str
    fields: dict[str, str]
    visit: Visit | None = None
    """As it was after what is told."""

    @property
    def written_at(self) -> float:
        """Seconds since the epoch, by the store's clock."""
        return int(self.name.partition("-")[0]) / 1000

    def __getitem__(self, name: str) -> str:
        return self.fields[name]

    def moment_of(self, name: str) -> datetime:
        return moment(self.fields[name])

    def number_of(self, name: str) -> int:
        return int(self.fields[name])


def parse_entries(name: bytes, fields: Mapping[bytes, bytes] | Sequence[bytes]) -> list[Entry]:
    """What one entry of the log tells, in order. What cannot be read is of kind `unknown`."""
    told = dict(fields.items() if isinstance(fields, Mapping) else zip(fields[::2], fields[1::2], strict=True))
    known: list[Entry] = []
    try:
        for field, value in told.items():
            kind = field.decode()
            if kind in VISIT_KINDS:
                known += _of_visit(name.decode(), VISIT_KINDS[kind], told[b"s"].decode(), value)
            elif kind in LEASE_KINDS:
                known.append(_of_lease(name.decode(), LEASE_KINDS[kind], told[b"n"].decode(), value))
    except (msgspec.MsgspecError, struct.error, TypeError, ValueError, LookupError):
        known = []
    return known or [_unknown(name, told)]


def _of_visit(name: str, kinds: Sequence[str], session: str, packed: bytes) -> list[Entry]:
    visit = unpack_visit(session, packed)
    fields = {
        "s": session, "v": visit.visitor, "a": str(visit.account), "w": str(visit.site), "b": _ms(visit.started_at),
        "at": _ms(visit.seen_at), "i": str(visit.pages), "pg": visit.page, "ti": visit.title,
    }  # fmt: skip
    return [Entry(name, kind, fields, visit) for kind in kinds]


def _of_lease(name: str, kind: str, number: str, packed: bytes) -> Entry:
    lease = number_record(packed)
    fields = {
        "l": lease.lease, "n": number, "s": lease.session, "v": lease.visitor, "a": lease.account, "w": lease.site,
        "vb": f"{lease.visit_begun:.0f}", "b": f"{lease.begun:.0f}", "z": f"{lease.seen:.0f}",
        "e": f"{lease.expires:.0f}", "x": f"{lease.ended:.0f}", "r": lease.end or "", "c": str(lease.closed),
        "zs": ",".join(map(str, signs_of(lease))),
    }  # fmt: skip
    return Entry(name, kind, fields)


def _unknown(name: bytes, told: Mapping[bytes, bytes]) -> Entry:
    text = {key.decode("utf-8", "replace"): _plain(value) for key, value in told.items()}
    return Entry(name.decode(), "unknown", text)


def _plain(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace").replace("\x00", "\ufffd")


def _ms(at: datetime) -> str:
    return str(milliseconds(at))
