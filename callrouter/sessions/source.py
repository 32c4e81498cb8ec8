"""Where a visit came from: address of the first hit and its referrer → traffic source (rules §4). Pure.

Order: explicit parameters (utm and aliases, click ids) → marks that platforms leave on links → search engine → AI
assistant → social network, messenger, mail, catalogue → own domain (no new source) → any other referrer → direct.
What only depends on few words (a host; a source with its medium) is kept, for it comes again and again.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from functools import cache, lru_cache
from typing import NamedTuple
from urllib.parse import unquote_plus

import msgspec

from callrouter.sessions.model import TrafficSource
from callrouter.sessions.platforms import Platform, platforms, read_data

DIRECT = TrafficSource(channel="direct", source="(direct)", medium="(none)")
UNKNOWN_WAY = "other"
VALUE_LIMIT = 512
"""Characters kept of a parameter: some pages pass whole documents."""
KEPT_LIMIT = 64
"""A longer word is nobody's source or medium: it is not worth keeping what follows from it."""
MACRO = re.compile(r"\$?\{\{?[^{}]*\}?\}|%7b.*?%7d|\[[A-Z_]+\]|__[A-Z][A-Z_]+__|%%[^%]+%%", re.IGNORECASE)
"""An advertising system's placeholder that was not filled in."""
MACRO_SIGNS = frozenset("{[%$_")
WORD = re.compile(r"\w")


class Mark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    source: str
    medium: str


class Names(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    names: tuple[str, ...]


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """data/parameters.toml."""

    version: str
    attributes: dict[str, tuple[str, ...]]
    click_ids: dict[str, str]
    marks: dict[str, Mark]
    referrers: Names
    openstat: Names

    def wanted(self) -> frozenset[str]:
        groups = (*self.attributes.values(), self.referrers.names, self.openstat.names)
        return frozenset({name for group in groups for name in group} | self.click_ids.keys() | self.marks.keys())


class Channels(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """data/channels.toml."""

    class Kind(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        medium: str
        channel: str

    version: str
    mediums: dict[str, tuple[str, ...]]
    kinds: dict[str, Kind]


class Hit(NamedTuple):
    """`campaign` is a signature of the explicit parameters, '' if there are none: another one begins a new visit."""

    traffic: TrafficSource
    campaign: str


class Address(NamedTuple):
    host: str
    path: str
    query: str


class Given(NamedTuple):
    """What the query says, macros that were not filled in left out. `explicit`: attributes and click ids."""

    explicit: dict[str, str]
    click: str = ""
    """The name of the click id that counts."""
    mark: Mark | None = None
    referrer: str = ""


NOWHERE = Address("", "", "")
NOTHING = Given({})
ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL)
"""Authority, path, query, fragment."""


def classify(
    url: str, referrer: str = "", own_domains: Iterable[str] = (), excluded: Iterable[str] = ()
) -> TrafficSource:
    """How a first hit on `url`, reached from `referrer`, is classified. `excluded` referrers count as none."""
    return _classified(url, referrer, (*own_domains, *excluded))[0]


def classify_hit(url: str, referrer: str = "", own_domains: Iterable[str] = (), excluded: Iterable[str] = ()) -> Hit:
    """As `classify`, with the signature of the campaign."""
    traffic, given = _classified(url, referrer, (*own_domains, *excluded))
    return Hit(traffic, _signature(given.explicit) if given.explicit else "")


def _classified(url: str, referrer: str, own_domains: tuple[str, ...]) -> tuple[TrafficSource, Given]:
    page = address_of(url)
    own = (page.host, *own_domains)
    given = given_in(page.query) if "=" in page.query else NOTHING
    base = _by_told_referrer(referrer, given.referrer, own)
    if given.explicit:
        return _by_parameters(given, base), given
    if given.mark:
        return _by_mark(given.mark, base), given
    return base, given


def _by_told_referrer(referrer: str, kept: str, own: tuple[str, ...]) -> TrafficSource:
    """What the browser's referrer says, or the one that a redirect kept where the browser has none of another site."""
    if not kept and len(referrer) <= KEPT_LIMIT:
        return _kept_referrer(referrer, own)
    came_from = address_of(referrer)
    if kept and (not came_from.host or is_own(came_from.host, own)):
        came_from = address_of(kept)
    return by_referrer(came_from, own)


@lru_cache(maxsize=16384)
def _kept_referrer(referrer: str, own: tuple[str, ...]) -> TrafficSource:
    """Most referrers are no more than a host, for browsers tell no more."""
    return by_referrer(address_of(referrer), own)


def _by_parameters(told: Given, base: TrafficSource) -> TrafficSource:
    given, click = told.explicit, told.click
    advertiser = _parameters_file().click_ids[click] if click else ""
    said_source, said_medium = given.get("source", ""), given.get("medium", "")
    short = len(said_source) + len(said_medium) + len(base.source) <= KEPT_LIMIT
    channel, source, medium = (_kept_decision if short else _decide)(
        said_source, said_medium, advertiser, base.source, base.medium, from_nowhere=base is DIRECT
    )
    return TrafficSource(
        channel=channel, source=source, medium=medium, campaign=given.get("campaign", ""),
        keyword=given.get("keyword", ""), content=given.get("content", ""), click_id=given[click] if click else "",
    )  # fmt: skip


def _decide(
    said_source: str, said_medium: str, advertiser: str, base_source: str, base_medium: str, *, from_nowhere: bool
) -> tuple[str, str, str]:
    """Channel, source and medium; `base` is what the referrer gives."""
    named = platforms().named(said_source) if said_source else None
    if said_source:
        source, kind = (named.name, named.kind) if named else (said_source, "")
        medium = base_medium if source == base_source else _medium_of(named, from_nowhere=from_nowhere)
    elif advertiser:
        source, medium, kind = advertiser, "cpc", ""
    else:
        source, medium, kind = base_source, base_medium, _kind_of(base_source)
    if advertiser:
        medium, kind = "cpc", kind or _kind_of(advertiser)
    medium = said_medium or medium
    channel = _channel(medium, kind)
    if channel == DIRECT.channel and source != DIRECT.source:  # whoever is named did bring him, by whatever way
        channel = UNKNOWN_WAY
    return channel, source, medium


_kept_decision = lru_cache(maxsize=16384)(_decide)


def _by_mark(mark: Mark, base: TrafficSource) -> TrafficSource:
    keyword = base.keyword if base.source == mark.source else ""
    return TrafficSource(
        channel=_channel(mark.medium, _kind_of(mark.source)), source=mark.source, medium=mark.medium, keyword=keyword
    )


def _medium_of(named: Platform | None, *, from_nowhere: bool) -> str:
    """A source without a medium: what its platform is known for; a search engine's tagged link proves nothing."""
    if named and named.kind != "search":
        return channels().kinds[named.kind].medium
    return "(none)" if from_nowhere else "referral"


def by_referrer(came_from: Address, own: tuple[str, ...]) -> TrafficSource:
    """What the referrer alone says."""
    if not came_from.host:
        return DIRECT
    first = came_from.path[1:].partition("/")[0]
    if len(came_from.host) + len(first) > KEPT_LIMIT:
        found, platform = _of_host(came_from.host, first, own)
    else:
        found, platform = _kept_host(came_from.host, first, own)
    if platform and platform.keyword_parameters and "=" in came_from.query:
        keyword = _search_text(came_from.query, platform)
        if keyword:
            return TrafficSource(channel=found.channel, source=found.source, medium=found.medium, keyword=keyword)
    return found


def _of_host(host: str, first: str, own: tuple[str, ...]) -> tuple[TrafficSource, Platform | None]:
    if is_own(host, own):
        return DIRECT, None
    platform = platforms().of_host(host, "/" + first)
    if platform is None:
        return TrafficSource(channel="referral", source=host.removeprefix("www."), medium="referral"), None
    kind = channels().kinds[platform.kind]
    return TrafficSource(channel=kind.channel, source=platform.name, medium=kind.medium), platform


_kept_host = lru_cache(maxsize=16384)(_of_host)


def _channel(medium: str, kind: str) -> str:
    said = _channel_of_medium().get(medium.lower(), UNKNOWN_WAY)
    if said == "paid":
        return "paid_social" if kind in ("social", "messenger") else "paid_search"
    if said == "referral" and kind in ("place", "marketplace"):
        return channels().kinds[kind].channel
    return said


def is_own(host: str, own: Iterable[str]) -> bool:
    for domain in own:
        bare = domain.removeprefix("www.")
        if bare and host.endswith(bare) and (len(host) == len(bare) or host[-len(bare) - 1] == "."):
            return True
    return False


def _kind_of(name: str) -> str:
    platform = platforms().named(name)
    return platform.kind if platform else ""


def _search_text(query: str, platform: Platform) -> str:
    values = dict(pairs(query, frozenset(platform.keyword_parameters)))
    return next((values[name] for name in platform.keyword_parameters if values.get(name)), "")


def given_in(query: str) -> Given:
    """Attributes and click ids that the query has a value for, and what else says where the visitor came from."""
    found: dict[str, str] = {}
    for name, value in pairs(query, _wanted()):
        found.setdefault(name, value)
    if not found:
        return NOTHING
    places = _places()
    explicit: dict[str, str] = {}
    for _, key, name in sorted([places[name] for name in found if name in places]):
        explicit.setdefault(key, found[name])
    click = next(iter(explicit), "")
    given = Given(explicit, click if click in places else "")
    return _with_the_rest(given, found) if len(explicit) < len(found) else given


def _with_the_rest(given: Given, found: dict[str, str]) -> Given:
    known = _parameters_file()
    for name in known.openstat.names:
        for attribute, value in _openstat(found.get(name, "")):
            given.explicit.setdefault(attribute, value)
    mark = next((mark for name, mark in known.marks.items() if name in found), None)
    referrer = next((found[name] for name in known.referrers.names if name in found), "")
    return given._replace(mark=mark, referrer=referrer)


def _openstat(text: str) -> Iterable[tuple[str, str]]:
    try:
        words = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_").decode("utf-8", "replace").split(";")
    except (ValueError, binascii.Error):
        return
    if len(words) == 4:  # noqa: PLR2004 # service, campaign, advertisement, position
        yield from ((name, word) for name, word in zip(("source", "campaign", "content"), words, strict=False) if word)
        yield "medium", "cpc"


def pairs(query: str, wanted: frozenset[str]) -> Iterable[tuple[str, str]]:
    """Names in lower case with their decoded values, macros that were not filled in left out."""
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name not in wanted:
            name = name.lower().removeprefix("amp;")  # a link that was escaped for HTML twice
        if value and name in wanted:
            text = unquote_plus(value, errors="replace") if "%" in value or "+" in value else value
            text = text.strip()[:VALUE_LIMIT]
            if text and not is_macro(text):
                yield name, text


def unfilled(query: str) -> Iterable[tuple[str, str]]:
    """The placeholders that `pairs` leaves out."""
    for part in query.split("&"):
        name, _, value = part.partition("=")
        text = unquote_plus(value, errors="replace").strip()[:VALUE_LIMIT]
        if name.lower() in _wanted() and is_macro(text):
            yield name.lower(), text


def is_macro(text: str) -> bool:
    """Nothing but placeholders, such as `{keyword}` or `{campaign_id}|{ad_id}`."""
    return not MACRO_SIGNS.isdisjoint(text) and MACRO.search(text) is not None and not WORD.search(MACRO.sub("", text))


def _signature(given: dict[str, str]) -> str:
    text = "\n".join([f"{name}={given[name]}" for name in sorted(given)])
    return hashlib.blake2s(text.encode("utf-8", "replace"), digest_size=8).hexdigest()


def address_of(url: str) -> Address:
    """Host, path and query of an absolute address; all empty for anything else. Never raises."""
    found = ABSOLUTE.match(url.strip())
    if found is None:
        return NOWHERE
    authority, path, query, fragment = found.groups("")
    if "@" in authority or ":" in authority:
        host, closed, _ = authority.rpartition("@")[2].partition("]")
        authority = host + closed if closed else host.partition(":")[0]  # [2001:db8::1]:443, host:443
    if "utm_" in fragment:  # some advertising systems put the tags behind the hash
        tail = fragment.rpartition("?")[2]
        query = f"{query}&{tail}" if query else tail
    return Address(authority.rstrip(".").lower(), path, query)


@cache
def _parameters_file() -> Parameters:
    return msgspec.convert(read_data("parameters"), Parameters)


@cache
def _wanted() -> frozenset[str]:
    return _parameters_file().wanted()


class _Place(NamedTuple):
    """Of a parameter's name: click ids in order of trust, then each attribute's names, the first that has a value."""

    order: int
    key: str
    name: str


@cache
def _places() -> dict[str, _Place]:
    known = _parameters_file()
    names = [(name, name) for name in known.click_ids]
    names += [(name, attribute) for attribute, given in known.attributes.items() for name in given]
    return {name: _Place(order, key, name) for order, (name, key) in enumerate(names)}


@cache
def channels() -> Channels:
    """data/channels.toml."""
    return msgspec.convert(read_data("channels"), Channels)


@cache
def _channel_of_medium() -> dict[str, str]:
    return {medium: channel for channel, mediums in channels().mediums.items() for medium in mediums}
