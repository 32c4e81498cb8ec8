"""What somebody wants changed of a site, as the API takes it and the page sends it, and whether that can be. Pure.

All that is wrong is told at once, each by the name of its setting. What only Postgres knows, such as whose a number
is, `site_inventory` finds out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, Literal, TypeVar
from zoneinfo import available_timezones

import msgspec
import phonenumbers
from msgspec import UNSET, UnsetType

from callrouter.callbacks.settings import BOUNDS, is_route, openings_in
from callrouter.numbers import NotANumber, Number, parse_number
from callrouter.pool.inventory import Refused
from callrouter.pool.routing import MOST_RULES, RouteRule
from callrouter.pool.site_inventory import SiteSettings, WantedPool

T = TypeVar("T")

DOMAIN = re.compile(r"[a-z0-9]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9_-]*[a-z0-9])?)*")
LONGEST_DOMAIN = 253
LONGEST_TEXT, LONGEST_PATTERN, LONGEST_LIST = 300, 40, 100
FEWEST_PLACES = 5
MINUTES: dict[str, tuple[float, float]] = {"hold": (5, 10_080), "rest": (0, 43_200), "gap": (1, 1440)}
SECONDS: dict[str, tuple[float, float]] = {"quality_s": (0, 3600), "bounce_s": (0, 3600)}
LIMITS: dict[str, tuple[int, int]] = {
    "unique_days": (1, 36_500), "retention_days": (1, 36_500), "leases_per_address": (0, 10**9),
    "leases_per_site": (0, 10**9), "requests_per_second": (1, 10**6),
}  # fmt: skip
OPERATORS = frozenset(["pools", "leases_per_address", "leases_per_site", "requests_per_second"])
"""Set by the operator alone, for others pay for them."""
OPERATORS_CALLBACK = frozenset(["pbx", "shown", "countries", "per_visitor", "per_site"])


class CallbackChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fields of `callback`; what is left out stays."""

    enabled: bool | UnsetType = UNSET
    pbx: str | UnsetType = UNSET
    route: str | UnsetType = UNSET
    shown: str | UnsetType = UNSET
    countries: tuple[str, ...] | UnsetType = UNSET
    hours: str | UnsetType = UNSET
    time_zone: str | UnsetType = UNSET
    latest_minutes: int | UnsetType = UNSET
    attempts: int | UnsetType = UNSET
    pause_s: int | UnsetType = UNSET
    ring_s: int | UnsetType = UNSET
    per_visitor: int | UnsetType = UNSET
    per_site: int | UnsetType = UNSET


class SiteChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is left out stays; null, where it may be given, is the default again. Lists replace the earlier ones."""

    name: str | UnsetType = UNSET
    domains: tuple[str, ...] | UnsetType = UNSET
    excluded_referrers: tuple[str, ...] | UnsetType = UNSET
    country: str | UnsetType = UNSET
    own_numbers: tuple[str, ...] | UnsetType = UNSET
    fallback: str | UnsetType | None = UNSET
    display: str | UnsetType = UNSET
    select: str | UnsetType = UNSET
    shadow: str | UnsetType = UNSET
    route: str | UnsetType = UNSET
    routing: tuple[RouteRule, ...] | UnsetType = UNSET
    hold_minutes: float | UnsetType = UNSET
    rest_minutes: float | UnsetType = UNSET
    gap_minutes: float | UnsetType = UNSET
    overflow: Literal["fallback", "nearest_end"] | UnsetType = UNSET
    consent: Literal["full", "ask", "refused"] | UnsetType = UNSET
    quality_s: float | UnsetType = UNSET
    bounce_s: float | UnsetType = UNSET
    unique_scope: Literal["account", "site"] | UnsetType = UNSET
    unique_days: int | UnsetType | None = UNSET
    retention_days: int | UnsetType | None = UNSET
    leases_per_address: int | UnsetType | None = UNSET
    leases_per_site: int | UnsetType | None = UNSET
    requests_per_second: int | UnsetType | None = UNSET
    pools: tuple[WantedPool, ...] | UnsetType = UNSET
    callback: CallbackChange | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET

    def given(self) -> dict[str, Any]:
        """What is not left out."""
        return {name: getattr(self, name) for name in self.__struct_fields__ if getattr(self, name) is not UNSET}

    def callback_given(self) -> dict[str, Any]:
        if isinstance(self.callback, UnsetType):
            return {}
        return {
            name: value for name in self.callback.__struct_fields__
            if (value := getattr(self.callback, name)) is not UNSET
        }  # fmt: skip

    def routes(self) -> set[str]:
        """Where calls shall go from now on."""
        given = self.given()
        of_rules = [rule.route for rule in given.get("routing", ())]
        return set(filter(None, [self.callback_given().get("route"), given.get("route"), *of_rules]))

    def of_the_operator(self) -> list[str]:
        """What of it is the operator's to set."""
        callback = [f"callback_{name}" for name in self.callback_given() if name in OPERATORS_CALLBACK]
        return [*(name for name in self.given() if name in OPERATORS), *callback]


class WrongSettings(Refused):
    """Nothing was changed; `faults` by the name of the setting, those of callback orders as `callback_hours`."""

    def __init__(self, faults: Mapping[str, Refused]) -> None:
        super().__init__("; ".join(f"{name}: {fault}" for name, fault in faults.items()))
        self.faults = dict(faults)


def settings_in(change: SiteChange, country: str) -> SiteSettings:
    """What is to be set. `country`: the site's, in whose way numbers are spelled. Raises WrongSettings."""
    reader = _Reader(change.given(), change.given().get("country", country))
    settings = SiteSettings(**reader.read(), callback=reader.callback(change.callback_given()) or None)
    if reader.faults:
        raise WrongSettings(reader.faults)
    return settings


def domain_in(text: str) -> str:
    """As browsers name it in `Origin`: пример.рф is xn--e1afmkfd.xn--p1ai there. Raises Refused."""
    try:
        domain = text.strip().rstrip(".").lower().encode("idna").decode()
    except UnicodeError:
        domain = ""
    if not DOMAIN.fullmatch(domain) or len(domain) > LONGEST_DOMAIN:
        raise Refused("{domain!r} is no domain; write it as shop.example, without https:// and path", domain=text[:80])
    return domain


class _Reader:
    """Reads each setting by itself, and keeps what is wrong with it."""

    def __init__(self, given: Mapping[str, Any], country: str) -> None:
        self.given = given
        self.country = country
        self.faults: dict[str, Refused] = {}

    def read(self) -> dict[str, Any]:
        spelled = {"hold": "hold_minutes", "rest": "rest_minutes", "visit_gap": "gap_minutes"}
        found: dict[str, Any] = {
            column: self._one(name, partial(_minutes, name)) for column, name in spelled.items()
        }  # fmt: skip
        found |= {name: self._one(name, partial(_within, *bounds)) for name, bounds in SECONDS.items()}
        found |= {name: self._one(name, partial(_limit, name)) for name in LIMITS}
        for name in ("overflow", "consent", "unique_scope", "enabled"):
            found[name] = self.given.get(name)
        for name in ("name", "select", "shadow"):
            found[name] = self._one(name, _name if name == "name" else _text)
        fallback = self._one("fallback", lambda text: self._number(text) if text else "")
        return found | {
            "country": self._one("country", _country), "route": self._one("route", _route),
            "display_pattern": self._one("display", _pattern), "routing": self._one("routing", _rules),
            "pools": self._one("pools", _pools),
            "domains": self._one("domains", lambda texts: _some(_domains(texts))),
            "excluded_referrers": self._one("excluded_referrers", _domains),
            "own_numbers": self._one("own_numbers", lambda texts: _each(texts, self._number)),
            "fallback_number": fallback or None, "without_fallback": fallback == "" or self._takes("fallback"),
        }  # fmt: skip

    def callback(self, given: Mapping[str, Any]) -> dict[str, object]:
        reads: dict[str, Callable[[Any], object]] = {
            "route": _route, "shown": lambda text: self._number(text) if text else "", "pbx": _text, "hours": _hours,
            "time_zone": _zone, "countries": lambda texts: _each(texts, _country),
        }  # fmt: skip
        found: dict[str, object] = {}
        for name, value in given.items():
            read = partial(_within, *BOUNDS[name]) if name in BOUNDS else reads.get(name, bool)
            found[name] = self._fits(f"callback_{name}", value, read)
        return found

    def _takes(self, name: str) -> bool:
        return name in self.given and self.given[name] is None

    def _one(self, name: str, read: Callable[[Any], T]) -> T | None:
        return self._fits(name, self.given[name], read) if name in self.given else None

    def _fits(self, name: str, value: Any, read: Callable[[Any], T]) -> T | None:
        try:
            return read(value)
        except Refused as fault:
            self.faults[name] = fault
            return None

    def _number(self, text: str) -> Number:
        try:
            return parse_number(text, self.country)
        except NotANumber:
            raise Refused("{number!r} is no telephone number", number=text[:40]) from None


def _minutes(name: str, minutes: float) -> timedelta:
    return timedelta(minutes=_within(*MINUTES[name.removesuffix("_minutes")], minutes))


def _limit(name: str, value: int | None) -> int | Literal["default"]:
    return "default" if value is None else _within(*LIMITS[name], value)


N = TypeVar("N", int, float)


def _within(least: float, most: float, value: N) -> N:
    if not least <= value <= most:
        raise Refused("from {least} to {most}", least=f"{least:g}", most=f"{most:.0f}")
    return value


def _text(text: str) -> str:
    if not text.isprintable() or len(text) > LONGEST_TEXT:
        raise Refused("one line of at most {most} characters", most=LONGEST_TEXT)
    return text.strip()


def _name(text: str) -> str:
    name = _text(text)
    if not name:
        raise Refused("a name is wanted")
    return name


def _route(text: str) -> str:
    if text and not is_route(text):
        raise Refused(
            "{route!r} is no name that a dialplan maps: letters, digits, and . + * # _ - only", route=text[:70]
        )
    return text


def _pattern(text: str) -> str:
    if text and (text.count("#") < FEWEST_PLACES or len(text) > LONGEST_PATTERN or not text.isprintable()):
        raise Refused("write a # for each of the last digits, at least {fewest} of them", fewest=FEWEST_PLACES)
    return text


def _country(text: str) -> str:
    if text.upper() not in phonenumbers.SUPPORTED_REGIONS:
        raise Refused("{country!r} is no country; write two letters, as RU", country=text[:20])
    return text.upper()


def _hours(text: str) -> str:
    try:
        openings_in(text)
    except ValueError:
        raise Refused("these are no opening hours; write mo-fr 09:00-18:00, sa 10:00-15:00") from None
    return _text(text)


def _zone(text: str) -> str:
    if text and text not in available_timezones():
        raise Refused("{zone!r} is no time zone; write Europe/Moscow", zone=text[:60])
    return text


def _domains(texts: Iterable[str]) -> tuple[str, ...]:
    return _each(texts, domain_in)


def _some(items: tuple[T, ...]) -> tuple[T, ...]:
    if not items:
        raise Refused("a site has at least one domain")
    return items


def _each(texts: Iterable[str], read: Callable[[str], T]) -> tuple[T, ...]:
    found = tuple(dict.fromkeys(read(text) for text in texts))
    if len(found) > LONGEST_LIST:
        raise Refused("at most {most} of them", most=LONGEST_LIST)
    return found


def _pools(pools: tuple[WantedPool, ...]) -> tuple[WantedPool, ...]:
    for pool in pools:
        for words in (pool.regions, pool.sources):
            _each(words, _name)
        _within(-(10**6), 10**6, pool.priority)
    return pools


def _rules(rules: tuple[RouteRule, ...]) -> tuple[RouteRule, ...]:
    if len(rules) > MOST_RULES:
        raise Refused("at most {most} of them", most=MOST_RULES)
    for rule in rules:
        if not rule.route:
            raise Refused("each rule says where the call goes")
        _route(rule.route)
        for words in (rule.channels, rule.sources, rule.mediums, rule.campaigns):
            _each(words, _name)
    return rules
