"""What led to an appeal, and who has a share in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from callrouter.appeals.credit import MODELS, SHARED, WHOLE, Credit, credits_of
from callrouter.appeals.multichannel import LONGEST_CHAIN, Rule, Story, Touch, stories

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PLAIN = Rule()
A, B, C = (UUID(int=number) for number in (1, 2, 3))


def touch(hours: float, source: str = "yandex", channel: str = "paid_search", session: str = "") -> Touch:
    at = NOON + hours * HOUR
    return Touch(at=at, session=session or f"{hours} {source}", channel=channel, source=source)


def led_to(*touches: Touch, rule: Rule = PLAIN, **appeals: float) -> dict[str, Story]:
    ids = {name: UUID(int=number) for number, name in enumerate(sorted(appeals))}
    told = stories(touches, {ids[name]: NOON + hours * HOUR for name, hours in appeals.items()}, rule)
    return {name: told[ids[name]] for name in appeals}


def test_two_touches_from_two_channels_before_an_appeal_make_it_multichannel() -> None:
    assert led_to(touch(0), touch(1, "google"), call=2)["call"].multichannel
    assert not led_to(touch(0), touch(1), call=2)["call"].multichannel
    assert led_to(touch(0, "yandex", "organic_search"), touch(1), call=2)["call"].multichannel


def test_touches_after_the_appeal_or_at_its_very_start_do_not_count() -> None:
    assert not led_to(touch(0), touch(2, "google"), touch(3, "vk"), call=2)["call"].multichannel


def test_each_appeal_has_the_touches_since_the_previous_one() -> None:
    told = led_to(touch(0), touch(1, "google"), touch(3, "vk"), first=2, second=4)
    assert [t.source for t in told["first"].chain] == ["yandex", "google"]
    assert [t.source for t in told["second"].chain] == ["vk"]
    assert told["second"].multichannel


def test_without_touches_since_the_previous_appeal_the_window_is_looked_back_upon() -> None:
    told = led_to(touch(-24 * 91), touch(0), touch(1, "google"), first=2, second=24 * 90 + 0.5)
    assert [t.source for t in told["second"].chain] == ["google"]


def test_account_may_want_more_touches() -> None:
    told = led_to(touch(0), touch(1, "google"), touch(3), rule=Rule(touches=3), first=2, second=4)
    assert (told["first"].multichannel, told["second"].multichannel) == (False, True)


def test_long_chain_keeps_its_first_touch_and_its_last() -> None:
    chain = led_to(*(touch(hour) for hour in range(500)), call=501)["call"].chain
    assert len(chain) == LONGEST_CHAIN
    assert (chain[0].at, chain[-1].at) == (NOON, NOON + 499 * HOUR)


TOUCHES = st.lists(
    st.builds(
        touch, st.integers(-3000, 100), st.sampled_from(["yandex", "google", "vk"]),
        st.sampled_from(["paid_search", "direct"]),
    ),
    max_size=12,
)  # fmt: skip
APPEALS = st.dictionaries(st.sampled_from([A, B, C]), st.integers(-3000, 100).map(lambda h: NOON + h * HOUR))


@given(TOUCHES, APPEALS, st.builds(Rule, st.integers(2, 3), st.integers(1, 90)), st.randoms(use_true_random=False))
def test_verdict_is_a_plain_reading_of_the_rules_in_whatever_order_facts_come(
    touches: list[Touch], appeals: dict[UUID, datetime], rule: Rule, chance: object
) -> None:
    touches = list({t.session: t for t in touches}.values())
    told = stories(touches, appeals, rule)
    shuffled = touches[:]
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert stories(shuffled, dict(reversed(appeals.items())), rule) == told
    for appeal, at in appeals.items():
        before = [t for t in touches if t.at < at]
        channels = {(t.channel, t.source) for t in before}
        assert told[appeal].multichannel == (len(before) >= rule.touches and len(channels) >= 2)
        earlier = max(((when, each) for each, when in appeals.items() if (when, each) < (at, appeal)), default=None)
        since = [t for t in before if earlier and t.at >= earlier[0]]
        window = [t for t in before if t.at >= at - timedelta(days=rule.days)]
        expected = since or window
        assert told[appeal].chain == tuple(sorted(expected, key=lambda t: (t.at, t.session)))


@settings(max_examples=200)
@given(TOUCHES, st.integers(1, 200))
def test_shares_of_every_model_sum_to_one_whole_to_the_last_millionth(touches: list[Touch], hours: int) -> None:
    at = NOON + (100 + hours) * HOUR
    shares = credits_of(at, stories(touches, {A: at}, Rule(days=365))[A])
    assert bool(shares) == bool(touches)
    for model in SHARED if shares else ():
        given_ = [getattr(share, model) for share in shares]
        assert sum(given_) == WHOLE
        assert min(given_) >= 0


def shares(model: str, *touches: Touch, at: float) -> list[float]:
    told = credits_of(NOON + at * HOUR, led_to(*touches, call=at)["call"])
    return [getattr(share, model) / WHOLE for share in told]


def test_models_share_as_their_names_say() -> None:
    chain = touch(0), touch(24, "google"), touch(48, "vk"), touch(7 * 24, "direct", "direct")
    assert shares("first", *chain, at=200) == [1, 0, 0, 0]
    assert shares("linear", *chain, at=200) == [0.25] * 4
    assert shares("position", *chain, at=200) == [0.4, 0.1, 0.1, 0.4]
    assert shares("last_non_direct", *chain, at=200) == [0, 0, 1, 0]
    assert shares("position", *chain[:2], at=200) == [0.5, 0.5]
    early, late = shares("decay", chain[0], chain[3], at=200)
    assert round(late / early, 3) == 2


def test_last_non_direct_looks_past_an_earlier_appeal() -> None:
    told = led_to(touch(0), touch(3, "(direct)", "direct"), first=1, second=4)["second"]
    found = credits_of(NOON + 4 * HOUR, told)
    assert {share.source: share.last_non_direct for share in found} == {"(direct)": 0, "yandex": WHOLE}
    assert {share.source: share.first for share in found} == {"(direct)": WHOLE, "yandex": 0}


def test_every_model_has_its_field() -> None:
    assert set(MODELS) - {"last_click"} == set(Credit.__struct_fields__) - set(Touch.__struct_fields__)
