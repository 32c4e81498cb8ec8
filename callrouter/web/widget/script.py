"""A site's script, ready to be sent: `widget.js` with the site's settings baked in. Knows no HTTP and no visitors."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path

import msgspec
import phonenumbers

from callrouter.numbers import Number
from callrouter.pool.directory import Consent, Site
from callrouter.web.widget.shorten import shorten

SOURCE = Path(__file__).with_name("widget.js")
PLACEHOLDER = "SETTINGS"
CONSENT: dict[Consent, int] = {"full": 1, "ask": 0, "refused": -1}


class Script(msgspec.Struct, frozen=True):
    body: bytes
    compressed: bytes
    etag: str


class Baked(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the script knows of its site. Short lists instead of objects: each byte travels to each visitor."""

    id: int
    numbers: tuple[tuple[str, str, str], ...]
    """Calling code, trunk prefix and the rest of each of the site's own numbers."""
    plans: tuple[tuple[str, str], ...]
    """Calling code and trunk prefix of the countries in whose way numbers are written here."""
    consent: int = 2
    """1: full, 0: ask first, -1: refused."""
    select: str = ""
    shadow: str = ""


@lru_cache(maxsize=4096)
def script_of(site: Site) -> Script:
    """The script of a site as it is set now; another setting is another site to the cache."""
    body = _shortened().replace(PLACEHOLDER, _as_literal(_baked(site))).encode()
    return Script(body, gzip.compress(body, 9, mtime=0), f'"{hashlib.blake2s(body, digest_size=12).hexdigest()}"')


@cache
def _shortened() -> str:
    return shorten(SOURCE.read_text(encoding="utf-8"))


def _baked(site: Site) -> Baked:
    numbers = tuple(_parts(number) for number in site.own_numbers)
    home = phonenumbers.country_code_for_region(site.country)
    plans = dict.fromkeys([(code, trunk) for code, trunk, _ in numbers])
    if home:
        plans.setdefault((str(home), _trunk_prefix(home)))
    return Baked(
        site.id, numbers, tuple(plans), consent=CONSENT[site.consent], select=site.widget.select,
        shadow=site.widget.shadow,
    )  # fmt: skip


def _parts(number: Number) -> tuple[str, str, str]:
    """74952222222 → ("7", "8", "4952222222")."""
    try:
        parsed = phonenumbers.parse("+" + number, None)
    except phonenumbers.NumberParseException:
        return "", "", number
    code = parsed.country_code or 0
    return str(code), _trunk_prefix(code), phonenumbers.national_significant_number(parsed)


def _trunk_prefix(code: int) -> str:
    """What is dialled at home before the area code: 8 in Russia, 0 in Germany; '' where nothing is."""
    region = phonenumbers.region_code_for_country_code(code)
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region, None)
    prefix = (metadata.national_prefix or "") if metadata else ""
    return "".join(filter(str.isdigit, prefix))


def _as_literal(baked: Baked) -> str:
    """JSON, safe in a script wherever it is put: hostile settings end neither a string nor an element."""
    return "".join(_escaped(msgspec.json.encode(baked).decode()))


def _escaped(text: str) -> Iterator[str]:
    for sign in text:
        yield sign if sign.isascii() and sign != "<" else "".join(f"\\u{unit:04x}" for unit in _utf16(sign))


def _utf16(sign: str) -> Iterator[int]:
    units = sign.encode("utf-16-be", "surrogatepass")
    for at in range(0, len(units), 2):
        yield int.from_bytes(units[at : at + 2])
