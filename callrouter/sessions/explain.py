"""Which rule decided about a first hit, and which line of which data file. Pure; the decision itself is `source`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from callrouter.sessions.grouping import google_channel
from callrouter.sessions.model import TrafficSource
from callrouter.sessions.platforms import LISTS, data_text, platforms, read_data
from callrouter.sessions.source import (
    DIRECT,
    Address,
    Parameters,
    address_of,
    by_referrer,
    channels,
    classify,
    given_in,
    is_own,
    unfilled,
)


class Reason(msgspec.Struct, frozen=True):
    """One thing that was seen, and what follows from it. `data` is file:line, '' if no list was needed."""

    rule: str
    saw: str
    gives: str
    data: str = ""


class Explanation(msgspec.Struct, frozen=True):
    traffic: TrafficSource
    google_channel: str
    version: str
    """Of the lists."""
    reasons: tuple[Reason, ...]


def explain(url: str, referrer: str = "", own_domains: Iterable[str] = (), excluded: Iterable[str] = ()) -> Explanation:
    """As `source.classify`, with its reasons."""
    own_domains, excluded = tuple(own_domains), tuple(excluded)
    traffic = classify(url, referrer, own_domains, excluded)
    page = address_of(url)
    own = (page.host, *own_domains, *excluded)
    reasons = (*_of_parameters(page), *_of_referrer(page, address_of(referrer), own, excluded), *_of_channel(traffic))
    return Explanation(traffic, google_channel(traffic), platforms().version, reasons)


def _of_parameters(page: Address) -> Iterator[Reason]:
    known = msgspec.convert(read_data("parameters"), Parameters)
    for name, value in unfilled(page.query):
        yield Reason("placeholder", f"{name}={value}", "passed over: the advertising system did not fill it in")
    given = given_in(page.query)
    for name, value in given.explicit.items():
        if name in known.click_ids:
            advertiser = known.click_ids[name]
            yield Reason("click id", name, f"{advertiser}, cpc", _line("parameters", f"{name} ="))
        else:
            yield Reason("tag", f"{name}: {value}", value, _line("parameters", f"{name} = ["))
    source = given.explicit.get("source", "")
    named = platforms().named(source) if source else None
    if named:
        yield Reason("name", source, f"{named.name} ({named.kind})", _platform_line(named.name))
    if given.mark and not given.explicit:
        name = next(name for name, mark in known.marks.items() if mark == given.mark)
        yield Reason("mark", name, f"{given.mark.source}, {given.mark.medium}", _line("parameters", f"{name} ="))
    if given.referrer:
        yield Reason("referrer kept by a redirect", given.referrer, "counts if the browser told none")


def _of_referrer(
    page: Address, came_from: Address, own: tuple[str, ...], excluded: tuple[str, ...]
) -> Iterator[Reason]:
    given = given_in(page.query)
    if given.referrer and (not came_from.host or is_own(came_from.host, own)):
        came_from = address_of(given.referrer)
    host = came_from.host
    if not host:
        yield Reason("referrer", "none", "direct")
    elif is_own(host, excluded):
        yield Reason("referrer", host, "none: an excluded domain")
    elif is_own(host, own):
        yield Reason("referrer", host, "none: the site's own domain")
    else:
        platform = platforms().of_host(host, came_from.path)
        found = by_referrer(came_from, own)
        if platform is None:
            yield Reason("referrer", host, f"{found.source}, referral: on none of the lists")
        else:
            data = _platform_line(platform.name, platform.kind)
            yield Reason("referrer", host, f"{found.source}, {found.medium} ({platform.kind})", data)


def _of_channel(traffic: TrafficSource) -> Iterator[Reason]:
    group = next((name for name, mediums in channels().mediums.items() if traffic.medium.lower() in mediums), "")
    gives = traffic.channel if group else f"{traffic.channel}: on no list of mediums"
    if group == DIRECT.channel != traffic.channel:
        gives = f"{traffic.channel}: not direct, for a source is named"
    yield Reason("channel", f"medium {traffic.medium}", gives, _line("channels", f"{group} = [") if group else "")


def _line(name: str, begins: str) -> str:
    """Where a line of the data file begins so."""
    lines = data_text(name).splitlines()
    number = next((number for number, line in enumerate(lines, 1) if line.startswith(begins)), 0)
    return f"data/{name}.toml:{number}" if number else ""


def _platform_line(platform: str, kind: str = "") -> str:
    for name in LISTS:
        if not kind or read_data(name)["kind"] == kind:
            found = _line(name, f'name = "{platform}"')
            if found:
                return found
    return ""
