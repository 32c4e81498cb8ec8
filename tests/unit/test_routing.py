"""A site's rules: the first that fits a call says where it goes."""

from __future__ import annotations

import pytest

from callrouter.pool.routing import RouteRule, fitting
from callrouter.sessions.model import TrafficSource

YANDEX = TrafficSource(channel="paid_search", source="yandex", medium="cpc", campaign="Осень 2026")
DIRECT = TrafficSource(channel="direct", source="(direct)", medium="(none)")


def goes(*rules: RouteRule, traffic: TrafficSource | None = None, unique: bool | None = None, manager: str = "") -> str:
    found = fitting(rules, traffic, unique=unique, manager=manager)
    return found.route if found else ""


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        (RouteRule(route="a"), True),
        (RouteRule(route="a", channels=("paid_search",)), True),
        (RouteRule(route="a", channels=("direct", "paid_search")), True),
        (RouteRule(route="a", channels=("direct",)), False),
        (RouteRule(route="a", sources=("YANDEX",), mediums=("cpc",)), True),
        (RouteRule(route="a", sources=("yandex",), mediums=("organic",)), False),
        (RouteRule(route="a", campaigns=("осень 2026",)), True),
        (RouteRule(route="a", campaigns=("осень*",)), True),
        (RouteRule(route="a", campaigns=("осень",)), False),
        (RouteRule(route="a", campaigns=("*",)), True),
    ],
)
def test_all_that_a_rule_asks_has_to_fit_and_of_several_words_one(rule: RouteRule, *, fits: bool) -> None:
    assert goes(rule, traffic=YANDEX) == ("a" if fits else "")


def test_of_a_call_without_a_source_no_rule_about_sources_fits() -> None:
    assert goes(RouteRule(route="a", campaigns=("*",)), RouteRule(route="b")) == "b"


def test_rules_about_the_caller_fit_only_if_he_is_known_in_time() -> None:
    new, known, managed = (RouteRule(route=who, caller=who) for who in ("new", "known", "managed"))
    rules = (managed, known, new)
    assert goes(*rules, unique=None) == ""
    assert goes(*rules, unique=True) == "new"
    assert goes(*rules, unique=False) == "known"
    assert goes(*rules, unique=False, manager="101") == "managed"


def test_the_first_that_fits_counts() -> None:
    first, second = RouteRule(route="first", sources=("yandex",)), RouteRule(route="second")
    assert goes(first, second, traffic=YANDEX) == "first"
    assert goes(second, first, traffic=YANDEX) == "second"
    assert goes(first, second, traffic=DIRECT) == "second"
