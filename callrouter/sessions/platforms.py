"""Known platforms (search engines, AI assistants, social networks …) by host and by name. Data is in data/*.toml.

Hosts match at label boundaries only: `google.com.example.ru` and `notgoogle.com` are nobody we know.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache, lru_cache
from importlib import resources

import msgspec

LISTS = ("search", "ai", "social", "messengers", "email", "places", "marketplaces")
SEARCH_SUBDOMAIN = re.compile(r"(?:www|m|amp|images|news|video|search|encrypted|cse|lite|html|[a-z]{2}(?:-[a-z]{2})?)?")
"""Of a search engine's hosts, those that search; `docs.google.com` is a referrer like any other."""
WILDCARD_ENDING = re.compile(r"(?:com?|org|net)\.[a-z]{2}|com|[a-z]{2}")
"""What may stand for `*` in `google.*`: a country's domain, com, or the like of co.uk."""


class Platform(msgspec.Struct, frozen=True):
    name: str
    kind: str
    keyword_parameters: tuple[str, ...] = ()
    video: bool = False


class PlatformList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One data file, as it must be written."""

    class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        name: str
        hosts: tuple[str, ...]
        aliases: tuple[str, ...] = ()
        keyword: tuple[str, ...] = ()
        video: bool = False

    version: str
    kind: str
    platform: tuple[Row, ...]


class Platforms:
    """Host (and path) → platform, name → platform."""

    def __init__(self, lists: tuple[PlatformList, ...]) -> None:
        self.version = max(each.version for each in lists)
        self._hosts: dict[str, Platform] = {}
        self._wild: dict[str, Platform] = {}
        self._paths: dict[str, list[tuple[str, Platform]]] = {}
        self._names: dict[str, Platform] = {}
        for each in lists:
            for row in each.platform:
                platform = Platform(row.name, each.kind, row.keyword, row.video)
                for host in row.hosts:
                    self._add_host(host, platform)
                for name in (row.name, *row.aliases):
                    self._names.setdefault(name, platform)
        self._find = lru_cache(maxsize=65536)(self._look_up)

    def _add_host(self, host: str, platform: Platform) -> None:
        host, _, path = host.partition("/")
        if path:
            self._paths.setdefault(host, []).append(("/" + path, platform))
        elif host.endswith(".*"):
            self._wild[host[:-2]] = platform
        else:
            self._hosts[host] = platform

    def named(self, name: str) -> Platform | None:
        """The platform that a utm_source means."""
        return self._names.get(name.lower())

    def of_host(self, host: str, path: str = "") -> Platform | None:
        """The platform of a referrer, by the longest matching tail of whole labels and the first part of
        the path."""
        return self._find(host, "/" + path[1:].partition("/")[0] if path else "")

    def _look_up(self, host: str, path: str) -> Platform | None:
        tail = host
        while tail:
            found = self._of_tail(tail, path)
            if found:
                searches = SEARCH_SUBDOMAIN.fullmatch(host[: -len(tail)].rstrip("."))
                return found if found.kind != "search" or searches else None
            tail = tail.partition(".")[2]
        return None

    def _of_tail(self, tail: str, path: str) -> Platform | None:
        wild = self._wild_of(tail)
        for pattern in (tail, wild and wild + ".*"):
            for prefix, platform in self._paths.get(pattern, ()) if pattern else ():
                if path == prefix or path.startswith(prefix + "/"):
                    return platform
        return self._hosts.get(tail) or (self._wild.get(wild) if wild else None)

    def _wild_of(self, tail: str) -> str:
        """`google` for google.co.uk, `mail.yandex` for mail.yandex.ru; '' if no wildcard entry can match."""
        labels = tail.split(".")
        for ending in (2, 1):
            if len(labels) > ending and WILDCARD_ENDING.fullmatch(".".join(labels[-ending:])):
                name = ".".join(labels[:-ending])
                if name in self._wild or name + ".*" in self._paths:
                    return name
        return ""


@cache
def platforms() -> Platforms:
    """The packaged lists."""
    return Platforms(tuple(msgspec.convert(read_data(name), PlatformList) for name in LISTS))


def read_data(name: str) -> dict[str, object]:
    return tomllib.loads(data_text(name))


@cache
def data_text(name: str) -> str:
    return (resources.files(__package__) / "data" / f"{name}.toml").read_text("utf-8")
