"""Where a visit came from: address of the first hit and its referrer → traffic source (rules §4). Pure.

Order: explicit parameters (utm and aliases, click ids) → search engine → AI assistant → social network, messenger,
mail, catalogue → own domain (no new source) → any other referrer → direct.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple
from urllib.parse import unquote_plus

import msgspec

from callrouter.sessions.model import TrafficSource
from callrouter.sessions.platforms import Platform, platforms, read_data

DIRECT = TrafficSource(channel="direct", source="(direct)", medium="(none)")
VALUE_LIMIT = 512
"""Characters kept of a parameter: some pages pass whole documents."""
MACRO = re.compile(r"\{[^{}]*\}|%7b.*%7d|\[[A-Z_]+\]|\$\{[^}]*\}", re.IGNORECASE)
"""An advertising system's placeholder that was not filled in."""


MACRO_SIGNS = "{[%$"


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """data/parameters.toml."""

    version: str
    attributes: dict[str, tuple[str, ...]]
    click_ids: dict[str, str]


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


class _Address(NamedTuple):
    host: str
    path: str
    query: str


NOWHERE = _Address("", "", "")
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")


def classify(
    url: str, referrer: str = "", own_domains: Iterable[str] = (), excluded: Iterable[str] = ()
) -> TrafficSource:
    """How a first hit on `url`, reached from `referrer`, is classified. `excluded` referrers count as none."""
    return _classified(url, referrer, (*own_domains, *excluded))[0]


def classify_hit(url: str, referrer: str = "", own_domains: Iterable[str] = (), excluded: Iterable[str] = ()) -> Hit:
    """As `classify`, with the signature of the campaign."""
    traffic, given = _classified(url, referrer, (*own_domains, *excluded))
    return Hit(traffic, _signature(given) if given else "")


def _classified(url: str, referrer: str, own_domains: tuple[str, ...]) -> tuple[TrafficSource, dict[str, str]]:
    page, came_from = _address(url), _address(referrer)
    own = (page.host, *own_domains)
    given = _parameters(page.query) if "=" in page.query else {}
    return _by_parameters(given, came_from, own) if given else _by_referrer(came_from, own), given


def _by_parameters(given: dict[str, str], came_from: _Address, own: Iterable[str]) -> TrafficSource:
    click = next((name for name in given if name in _wanted()[1]), "")
    advertiser, click_id = _wanted()[1].get(click, ""), given.get(click, "")
    named = platforms().named(given["source"]) if "source" in given else None
    if "source" in given:
        source = named.name if named else given["source"]
        base = _by_referrer(came_from, own)
        if named and base.source == named.name:
            medium, kind = base.medium, named.kind
        else:
            medium, kind = _medium_of(named, came_from, own), named.kind if named else ""
    elif advertiser:
        source, medium, kind = advertiser, "cpc", _kind_of(advertiser)
    else:
        base = _by_referrer(came_from, own)
        source, medium, kind = base.source, base.medium, _kind_of(base.source)
    if advertiser:
        medium, kind = "cpc", kind or _kind_of(advertiser)
    medium = given.get("medium", medium)
    return TrafficSource(
        channel=_channel(medium, kind), source=source, medium=medium, campaign=given.get("campaign", ""),
        keyword=given.get("keyword", ""), content=given.get("content", ""), click_id=click_id,
    )  # fmt: skip


def _medium_of(named: Platform | None, came_from: _Address, own: Iterable[str]) -> str:
    """A source without a medium: what its platform is known for; a search engine's tagged link proves nothing."""
    if named and named.kind != "search":
        return _channels().kinds[named.kind].medium
    external = came_from.host and not _is_own(came_from.host, own)
    return "referral" if external else "(none)"


def _by_referrer(came_from: _Address, own: Iterable[str]) -> TrafficSource:
    host = came_from.host
    if not host:
        return DIRECT
    if _is_own(host, own):
        return DIRECT
    platform = platforms().of_host(host, came_from.path)
    if platform is None:
        return TrafficSource(channel="referral", source=host.removeprefix("www."), medium="referral")
    kind = _channels().kinds[platform.kind]
    return TrafficSource(
        channel=kind.channel, source=platform.name, medium=kind.medium,
        keyword=_search_text(came_from.query, platform) if platform.keyword_parameters and came_from.query else "",
    )  # fmt: skip


def _channel(medium: str, kind: str) -> str:
    said = _channel_of_medium().get(medium.lower(), "other")
    if said == "paid":
        return "paid_social" if kind in ("social", "messenger") else "paid_search"
    if said == "referral" and kind == "place":
        return _channels().kinds[kind].channel
    return said


def _is_own(host: str, own: Iterable[str]) -> bool:
    for domain in own:
        bare = domain.removeprefix("www.")
        if bare and host.endswith(bare) and (len(host) == len(bare) or host[-len(bare) - 1] == "."):
            return True
    return False


def _kind_of(name: str) -> str:
    platform = platforms().named(name)
    return platform.kind if platform else ""


def _search_text(query: str, platform: Platform) -> str:
    values = dict(_pairs(query, frozenset(platform.keyword_parameters)))
    return next((values[name] for name in platform.keyword_parameters if values.get(name)), "")


def _parameters(query: str) -> dict[str, str]:
    """Attributes and click ids that the query has a value for, macros that were not filled in left out."""
    attributes, click_ids, wanted = _wanted()
    found: dict[str, str] = {}
    for name, value in _pairs(query, wanted):
        found.setdefault(name, value)
    given = {name: found[name] for name in click_ids if name in found} if found else {}
    for attribute, names in attributes.items():
        for name in names:
            if name in found:
                given[attribute] = found[name]
                break
    return given


def _pairs(query: str, wanted: frozenset[str]) -> Iterable[tuple[str, str]]:
    for part in query.split("&"):
        name, _, value = part.partition("=")
        name = name.lower()
        if value and name in wanted:
            text = unquote_plus(value, errors="replace") if "%" in value or "+" in value else value
            text = text.strip()[:VALUE_LIMIT]
            if text and not (text[0] in MACRO_SIGNS and MACRO.fullmatch(text)):
                yield name, text


def _signature(given: dict[str, str]) -> str:
    text = "\n".join(f"{name}={value}" for name, value in sorted(given.items()))
    return hashlib.blake2s(text.encode("utf-8", "replace"), digest_size=8).hexdigest()


def _address(url: str) -> _Address:
    """Host, path and query of an absolute address; all empty for anything else. Never raises."""
    if not url:
        return NOWHERE
    scheme, separator, rest = url.strip().partition("://")
    if not separator or not SCHEME.fullmatch(scheme):
        return NOWHERE
    rest, _, fragment = rest.partition("#")
    rest, _, query = rest.partition("?")
    authority, slash, path = rest.partition("/")
    host = authority.rpartition("@")[2].partition(":")[0].rstrip(".").lower()
    if "utm_" in fragment:  # some advertising systems put the tags behind the hash
        tail = fragment.rpartition("?")[2]
        query = f"{query}&{tail}" if query else tail
    return _Address(host, slash + path, query)


@cache
def _wanted() -> tuple[dict[str, tuple[str, ...]], dict[str, str], frozenset[str]]:
    data = msgspec.convert(read_data("parameters"), Parameters)
    names = {name for group in data.attributes.values() for name in group}
    return data.attributes, data.click_ids, frozenset(names | data.click_ids.keys())


@cache
def _channels() -> Channels:
    return msgspec.convert(read_data("channels"), Channels)


@cache
def _channel_of_medium() -> dict[str, str]:
    return {medium: channel for channel, mediums in _channels().mediums.items() for medium in mediums}
