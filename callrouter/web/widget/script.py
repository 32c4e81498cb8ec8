"""A site's script, ready to be sent: `widget.js` with the site's settings baked in. Knows no HTTP and no visitors."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from pathlib import Path

import msgspec
import phonenumbers

from callrouter.numbers import Number
from callrouter.pool.directory import Consent, Site
from callrouter.web.widget.shorten import shorten

HINT = "//# allFunctionsCalledOnLoad\n"
"""To Chromium: compile all of it beside the main thread while it arrives, not each function when it is called."""
SOURCE = Path(__file__).with_name("widget.js")
PLACEHOLDER = "SETTINGS"
RESERVE: dict[Consent, int] = {"full": 0, "ask": 1, "refused": 2}


class Script(msgspec.Struct, frozen=True):
    body: bytes
    compressed: bytes
    etag: str


class Baked(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the script knows of its site. Short lists instead of objects: each byte travels to each visitor."""

    id: int
    core: str
    """Pattern of the site's own numbers without prefix, in any spelling; with a selector, of any number at all. `~` is
    what may stand between two digits."""
    prefix: str
    """Pattern of a text that may stand before one: its group is what belongs to the number."""
    plans: tuple[tuple[str, str], ...]
    """Calling code and trunk prefix of the countries in whose way numbers are written here."""
    reserve: int = 0
    """Before the visitor said anything. 0: full consent, 1: ask first, 2: refused."""
    select: str = ""
    shadow: str = ""


@lru_cache(maxsize=4096)
def script_of(site: Site) -> Script:
    """The script of a site as it is set now; another setting is another site to the cache."""
    body = (HINT + _shortened().replace(PLACEHOLDER, _as_literal(baked(site)))).encode()
    return Script(body, gzip.compress(body, 9, mtime=0), f'"{hashlib.blake2s(body, digest_size=12).hexdigest()}"')


@cache
def _shortened() -> str:
    return shorten(SOURCE.read_text(encoding="utf-8"))


def baked(site: Site) -> Baked:
    """What the script knows of the site."""
    numbers = tuple(_parts(number) for number in site.own_numbers)
    home = phonenumbers.country_code_for_region(site.country)
    plans = dict.fromkeys([(code, trunk) for code, trunk, _ in numbers])
    if home:
        plans.setdefault((str(home), _trunk_prefix(home)))
    return Baked(
        site.id, _core(site, numbers), _prefix(site, plans), tuple(plans), reserve=RESERVE[site.consent],
        select=site.widget.select, shadow=site.widget.shadow,
    )  # fmt: skip


def _core(site: Site, numbers: Iterable[tuple[str, str, str]]) -> str:
    if site.widget.select:
        return r"\d(?:~\d){6,14}"
    return "|".join("~".join(rest) for _, _, rest in numbers) or "$^"


def _prefix(site: Site, plans: Iterable[tuple[str, str]]) -> str:
    """+7, 7 (0), 007, 8: whatever a country's numbers are dialled with."""
    ways = [rf"(\+?{code}~(\(0\))?|00{code}{trunk and '|' + trunk})~" for code, trunk in plans]
    return r"(?:^|[^\d+])(" + "|".join([*([r"\+"] if site.widget.select else ways), ")$"])


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


def _as_literal(known: Baked) -> str:
    """JSON, safe in a script wherever it is put: hostile settings end neither a string nor an element."""
    return "".join(_escaped(msgspec.json.encode(known).decode()))


def _escaped(text: str) -> Iterator[str]:
    for sign in text:
        yield sign if sign.isascii() and sign != "<" else "".join(f"\\u{unit:04x}" for unit in _utf16(sign))


def _utf16(sign: str) -> Iterator[int]:
    units = sign.encode("utf-16-be", "surrogatepass")
    for at in range(0, len(units), 2):
        yield int.from_bytes(units[at : at + 2])
