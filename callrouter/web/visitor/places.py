"""Where an address is, by a file in MaxMind's format that the operator configured; never a guess. Keeps no address."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import maxminddb

from callrouter.web.visitor.addresses import cut

UNDEFINED = "(undefined)"


def check_places(file: Path) -> None:
    """Raises ValueError if the file cannot be read as a database of places."""
    try:
        maxminddb.open_database(file, maxminddb.MODE_AUTO).close()
    except (OSError, maxminddb.InvalidDatabaseError) as error:
        raise ValueError(f"{file} is no database of places (MaxMind's format): {error}") from None


class _Place(NamedTuple):
    told: str
    regions: frozenset[str]


NOWHERE = _Place(UNDEFINED, frozenset())


class Places:
    """`languages` in order of preference. With `cut_addresses` not even the look-up sees a whole address."""

    def __init__(
        self, file: Path | None = None, *, languages: tuple[str, ...] = ("ru", "en"), cut_addresses: bool = True
    ) -> None:
        self._reader = maxminddb.open_database(file, maxminddb.MODE_AUTO) if file else None
        self._languages = languages
        self._cut = cut_addresses
        self._known = lru_cache(maxsize=16384)(self._look_up)

    def of(self, address: str) -> str:
        """Country, region and town, as far as they are known: `Россия, Московская область, Химки`."""
        return self._place(address).told

    def regions(self, address: str) -> frozenset[str]:
        """All that the place may be called: each of those names, and the codes of ISO 3166 (`RU`, `RU-MOS`)."""
        return self._place(address).regions

    def close(self) -> None:
        if self._reader:
            self._reader.close()

    def _place(self, address: str) -> _Place:
        if self._reader is None or not address:
            return NOWHERE
        return self._known(cut(address) if self._cut else address)

    def _look_up(self, address: str) -> _Place:
        try:
            found = self._reader.get(address) if self._reader and address else None
        except ValueError:  # an IPv6 address, and a database that has none
            return NOWHERE
        if not isinstance(found, dict):
            return NOWHERE
        regions = found.get("subdivisions")
        country, region = found.get("country"), regions[0] if isinstance(regions, list) and regions else None
        names = [name for part in (country, region, found.get("city")) if (name := self._name(part))]
        codes = [code for part in (country, region) if (code := _code(part))]
        told = ", ".join(dict.fromkeys(names)) or UNDEFINED
        return _Place(told, frozenset((*names, *codes[:1], "-".join(codes)) if codes else names))

    def _name(self, part: Any) -> str:
        names = part.get("names") if isinstance(part, dict) else None
        if not isinstance(names, dict):
            return ""
        return next((str(names[language]) for language in self._languages if language in names), "")


def _code(part: Any) -> str:
    code = part.get("iso_code") if isinstance(part, dict) else None
    return code if isinstance(code, str) else ""
