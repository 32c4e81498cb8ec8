"""A site's form and trial, without a server: what was typed becomes a change, and what would be replaced is shown."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from callrouter.numbers import Number
from callrouter.pool.directory import Site, Widget
from callrouter.pool.planning.standing import reckoned_for
from callrouter.pool.routing import RouteRule
from callrouter.pool.site_change import SiteChange, WrongSettings, settings_in
from callrouter.pool.site_details import CallbackSet, SiteDetails
from callrouter.pool.site_inventory import SiteSettings, WantedPool
from callrouter.web.pages.pool_curve import reckoned_curve
from callrouter.web.pages.site_form import change_in, refilled, rows, shown
from callrouter.web.widget.trial import tried

SITE = SiteDetails(
    id=1, account=2, name="shop.example", domains=("shop.example", "shop.test"), excluded_referrers=(), country="RU",
    own_numbers=("74952222222", "78005553535"), fallback="74952222222", display="8 (###) ###-##-##", select="",
    shadow="", route="sales", routing=(RouteRule(route="leads", caller="new", campaigns=("a", "b*")),),
    hold_minutes=30.0, rest_minutes=0.0, gap_minutes=30.0, overflow="fallback", consent="full", quality_s=60.0,
    bounce_s=15.0, unique_scope="account", unique_days=None, retention_days=None, leases_per_address=None,
    leases_per_site=None, requests_per_second=None, pools=(WantedPool("Moscow"), WantedPool("Spare", 5, ("RU-MOS",))),
    shared_pools=0, callback=CallbackSet(), enabled=True, created_at=datetime(2026, 3, 2, tzinfo=UTC),
)  # fmt: skip
FLAGS = {"enabled asked": "yes", "callback_enabled asked": "yes"}
EXAMPLE = Number("74950000000")


def changed(**typed: str) -> dict[str, Any]:
    """What the form changes when these fields are typed over."""
    change, faults = change_in({**shown(SITE), **FLAGS, **typed}, SITE)
    assert not faults
    return change.given()


def test_a_form_sent_as_it_was_shown_changes_nothing() -> None:
    assert changed() == {}
    assert changed(domains="shop.test,  shop.test", name="shop.example ") == {"domains": ("shop.test",)}
    assert settings_in(SiteChange(), "RU") == SiteSettings()


def test_what_was_typed_over_is_the_change() -> None:
    assert changed(hold_minutes="7,5", unique_days="30", fallback="") == {
        "hold_minutes": 7.5, "unique_days": 30, "fallback": None,
    }  # fmt: skip
    assert changed(enabled="") == {"enabled": False}
    assert changed(callback_attempts="5")["callback"].attempts == 5
    assert changed(**{"pool-1-name": ""}) == {"pools": (WantedPool("Moscow"),)}


def test_fields_that_were_not_sent_stay() -> None:
    change, faults = change_in({"hold_minutes": "45"}, SITE)
    assert (change.given(), faults) == ({"hold_minutes": 45.0}, {})


def test_rules_are_taken_in_the_order_of_their_places() -> None:
    told = changed(
        **{"rule-1-route": "manager", "rule-1-caller": "managed", "rule-1-place": "0,5", "rule-0-campaigns": "a, b*"}
    )
    assert [rule.route for rule in told["routing"]] == ["manager", "leads"]
    assert changed(**{"rule-0-route": "", "rule-0-caller": "any", "rule-0-campaigns": ""}) == {"routing": ()}
    _, faults = change_in({**shown(SITE), "rule-0-route": ""}, SITE)
    assert list(faults) == ["rule-0-route"], "a rule that goes nowhere"
    _, faults = change_in({**shown(SITE), "rule-0-caller": "<script>"}, SITE)
    assert list(faults) == ["rule-0-caller"]
    assert rows(shown(SITE), "rule") == range(3)


def test_everything_that_is_wrong_is_told_at_once_by_its_field() -> None:
    change, faults = change_in({**shown(SITE), "hold_minutes": "soon", "consent": "maybe", "unique_days": "-1"}, SITE)
    assert sorted(faults) == ["consent", "hold_minutes", "unique_days"]
    change, faults = change_in(
        {
            **shown(SITE), "own_numbers": "12", "domains": "http://x/", "hold_minutes": "nan", "route": "a,b",
            "display": "##", "country": "ZZ", "callback_hours": "always", "callback_time_zone": "Moon/Base",
            "quality_s": "1e999", "retention_days": "99999999",
        },
        SITE,
    )  # fmt: skip
    assert not faults
    with pytest.raises(WrongSettings) as refused:
        settings_in(change, "RU")
    assert sorted(refused.value.faults) == [
        "callback_hours", "callback_time_zone", "country", "display", "domains", "hold_minutes", "own_numbers",
        "quality_s", "retention_days", "route",
    ]  # fmt: skip


def test_nothing_that_was_typed_is_lost_and_an_empty_box_stays_empty() -> None:
    fields = refilled({"hold_minutes": "soon", "enabled asked": "yes"}, SITE)
    assert (fields["hold_minutes"], fields["enabled"], fields["name"]) == ("soon", "", "shop.example")


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("Звоните 8 (495) 222-22-22!", "Звоните 8 (495) 000-00-00!"),
        ("+7 495 222 22 22 и 84952222222", "+7 495 000 00 00 и 84950000000"),
        ("+7 (0) 495 222-22-22", "+7 (0) 495 000-00-00"),
        ("бесплатно 8-800-555-35-35", "бесплатно 8-495-000-00-00"),
        ("222-22-22 и 8 495 222-22-23 и 8495222222299", "222-22-22 и 8 495 222-22-23 и 8495222222299"),
        ("", ""),
    ],
)
def test_a_trial_shows_each_of_the_sites_numbers_as_the_script_would(text: str, read: str) -> None:
    site = Site(id=1, account=2, own_numbers=(Number("74952222222"), Number("78005553535")))
    pieces = tried(site, text, EXAMPLE)
    assert "".join(piece.text for piece in pieces) == text
    assert "".join(piece.shown or piece.text for piece in pieces) == read


def test_a_trial_of_a_site_with_a_selector_takes_any_number_and_one_without_numbers_none() -> None:
    anything = Site(id=1, account=2, widget=Widget(select=".phone"))
    assert [bool(piece.shown) for piece in tried(anything, "x 8 812 333-44-55", EXAMPLE)] == [False, True]
    assert [piece.shown for piece in tried(Site(id=1, account=2), "8 495 222-22-22", EXAMPLE)] == [None]


@pytest.mark.parametrize(("load", "numbers"), [(0.4, 1), (12.0, 30), (90.0, 5), (5000.0, 100_000)])
def test_the_curve_stays_within_its_picture_whatever_the_pool(load: float, numbers: int) -> None:
    curve = reckoned_curve(reckoned_for(load, 100), numbers)
    assert curve
    assert curve.now
    places = [tuple(map(float, point.split(","))) for point in curve.line.split()]
    places += [(tick.at, 100.0) for tick in curve.x_ticks] + [(100.0, tick.at) for tick in curve.y_ticks]
    places += [(curve.now.x, curve.now.y if curve.now.y is not None else 100.0)]
    assert all(50 <= x <= 624 and 14 <= y <= 242 for x, y in places)
    shares = [share for _, share in curve.points]
    assert shares == sorted(shares)
