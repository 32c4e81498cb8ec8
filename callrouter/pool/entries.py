"""An entry of a pool's log, as the scripts write it (scripts/*.lua: `log(…)`). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from callrouter.pool.live import moment

KINDS = {
    "V": "visit_started",
    "P": "page_opened",
    "U": "page_closed",
    "X": "visit_ended",
    "O": "overflow",
    "L": "lease_started",
    "E": "lease_ended",
}


class Entry(msgspec.Struct, frozen=True):
    """`fields` are text without NUL, which Postgres cannot hold; `moment_of` and `number_of` read the typed ones."""

    name: str
    kind: str
    fields: dict[str, str]

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


def parse_entry(name: bytes, fields: Mapping[bytes, bytes] | Sequence[bytes]) -> Entry:
    pairs = fields.items() if isinstance(fields, Mapping) else zip(fields[::2], fields[1::2], strict=True)
    text = {key.decode(): value.decode("utf-8", "replace").replace("\x00", "\ufffd") for key, value in pairs}
    return Entry(name.decode(), KINDS.get(text.get("t", ""), "unknown"), text)
