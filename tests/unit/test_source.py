"""How a first hit is classified (rules §4)."""

from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callrouter.sessions.explain import explain
from callrouter.sessions.grouping import google_channel
from callrouter.sessions.model import TrafficSource
from callrouter.sessions.platforms import LISTS, PlatformList, data_text, platforms, read_data
from callrouter.sessions.source import VALUE_LIMIT, classify, classify_hit

SHOP = "https://shop.example/catalogue"
YANDEX, GOOGLE = "https://yandex.ru/search/?text=%D0%BE%D0%BA%D0%BD%D0%B0", "https://www.google.co.uk/"


@pytest.mark.parametrize(
    ("query", "referrer", "channel", "source", "medium"),
    [
        ("", "", "direct", "(direct)", "(none)"),
        ("", YANDEX, "organic_search", "yandex", "organic"),
        ("", GOOGLE, "organic_search", "google", "organic"),
        ("", "https://ya.ru/", "organic_search", "yandex", "organic"),
        ("", "android-app://com.google.android.googlequicksearchbox/", "organic_search", "google", "organic"),
        ("", "https://go.mail.ru/search?q=x", "organic_search", "mail.ru", "organic"),
        ("", "https://chatgpt.com/", "ai", "chatgpt", "ai"),
        ("", "https://gemini.google.com/app", "ai", "gemini", "ai"),
        ("", "https://away.vk.com/away.php", "social", "vk", "social"),
        ("", "https://l.instagram.com/", "social", "instagram", "social"),
        ("", "https://t.me/channel", "messenger", "telegram", "messenger"),
        ("", "android-app://org.telegram.messenger/", "messenger", "telegram", "messenger"),
        ("", "https://mail.google.com/mail", "email", "gmail", "email"),
        ("", "https://e.mail.ru/inbox", "email", "mail.ru", "email"),
        ("", "https://yandex.ru/maps/213", "maps_and_catalogues", "yandex maps", "referral"),
        ("", "https://2gis.ru/moscow", "maps_and_catalogues", "2gis", "referral"),
        ("", "https://www.news.example.org:8080/a?b", "referral", "news.example.org", "referral"),
        ("", "https://docs.google.com/document", "referral", "docs.google.com", "referral"),
        ("", "https://shop.example/other", "direct", "(direct)", "(none)"),
        ("", "https://blog.shop.example/", "direct", "(direct)", "(none)"),
        ("gclid=abc", "", "paid_search", "google", "cpc"),
        ("wbraid=abc", GOOGLE, "paid_search", "google", "cpc"),
        ("yclid=1", YANDEX, "paid_search", "yandex", "cpc"),
        ("ymclid=1", "", "paid_search", "yandex", "cpc"),
        ("fbclid=1", "", "paid_social", "facebook", "cpc"),
        ("ttclid=1", "", "paid_social", "tiktok", "cpc"),
        ("rb_clickid=1", "", "paid_social", "vk", "cpc"),
        ("msclkid=1", "", "paid_search", "bing", "cpc"),
        ("utm_source=yandex&utm_medium=cpc", "", "paid_search", "yandex", "cpc"),
        ("utm_source=Yandex.Direct&utm_medium=cpc", "", "paid_search", "yandex", "cpc"),
        ("utm_source=vk.com&utm_medium=cpc", "", "paid_social", "vk", "cpc"),
        ("utm_source=vk", "", "social", "vk", "social"),
        ("utm_source=letters&utm_medium=email", "https://e.mail.ru/", "email", "letters", "email"),
        ("utm_source=letters&utm_medium=Рассылка", "", "other", "letters", "Рассылка"),
        ("utm_source=google&utm_medium=organic&gclid=1", "", "organic_search", "google", "organic"),
        ("utm_source=partner&gclid=1", "", "paid_search", "partner", "cpc"),
        ("utm_campaign=spring", YANDEX, "organic_search", "yandex", "organic"),
        ("mtm_source=flyer&mtm_medium=qr", "", "offline", "flyer", "qr"),
        ("utm_source=booklet", "", "other", "booklet", "(none)"),
        ("utm_source=yandex&utm_medium=none", "", "other", "yandex", "none"),
        ("utm_campaign=spring", "", "direct", "(direct)", "(none)"),
        ("", "https://www.ozon.ru/product/1", "marketplaces", "ozon", "referral"),
        ("", "https://market.yandex.ru/product/1", "marketplaces", "yandex market", "referral"),
        ("", "https://search.seznam.cz/?q=x", "organic_search", "seznam", "organic"),
        ("", "https://szukaj.onet.pl/", "organic_search", "onet", "organic"),
        ("", "https://web.telegram.org/k/", "messenger", "telegram", "messenger"),
        ("", "https://chat.qwen.ai/", "ai", "qwen", "ai"),
        ("utm-source=vk&amp;utm-medium=cpc", "", "paid_social", "vk", "cpc"),
        ("UTM_SOURCE=vk&UTM_MEDIUM=cpc", "", "paid_social", "vk", "cpc"),
        ("ysclid=l1", "", "organic_search", "yandex", "organic"),
        ("srsltid=a", GOOGLE, "organic_search", "google", "organic"),
        ("gad_source=1", GOOGLE, "paid_search", "google", "cpc"),
        ("utm_referrer=https%3A%2F%2Fyandex.ru%2F", "", "organic_search", "yandex", "organic"),
        ("utm_referrer=https%3A%2F%2Fyandex.ru%2F", "https://shop.example/", "organic_search", "yandex", "organic"),
        ("utm_referrer=https%3A%2F%2Fyandex.ru%2F", GOOGLE, "organic_search", "google", "organic"),
        ("_openstat=ZGlyZWN0LnlhbmRleC5ydTsxOzI7MQ", "", "paid_search", "yandex", "cpc"),
        ("_openstat=%00%ff!!", "", "direct", "(direct)", "(none)"),
        (
            "utm_source={{site_source_name}}&utm_medium=__PLACEMENT__&utm_term={a}|{b}",
            "",
            "direct",
            "(direct)",
            "(none)",
        ),
        ("utm_source={source}&utm_medium=%7Bmedium%7D", GOOGLE, "organic_search", "google", "organic"),
    ],
)
def test_a_first_hit_is_classified(query: str, referrer: str, channel: str, source: str, medium: str) -> None:
    traffic = classify(f"{SHOP}?{query}" if query else SHOP, referrer, ["shop.example"])
    assert (traffic.channel, traffic.source, traffic.medium) == (channel, source, medium)


@pytest.mark.parametrize(
    "host",
    [
        "google.com.evil.example",
        "notgoogle.com",
        "google.evil",
        "vk.com.phish.ru",
        "evilvk.com",
        "yandex.ru.example.net",
    ],
)
def test_look_alike_hosts_are_plain_referrals(host: str) -> None:
    assert classify(SHOP, f"https://{host}/search?q=1").source == host


def test_a_referrer_cannot_pretend_by_a_login_or_a_path() -> None:
    assert classify(SHOP, "https://google.com@evil.example/").source == "evil.example"
    assert classify(SHOP, "https://a@[2001:db8::1]:443/").source == "[2001:db8::1]"
    assert classify(SHOP, "https://evil.example/google.com").source == "evil.example"
    assert classify(SHOP, "https://notshop.example/", ["shop.example"]).source == "notshop.example"


def test_attributes_are_decoded_and_unfilled_macros_dropped() -> None:
    tags = "utm_source=yandex&utm_medium=cpc&utm_campaign=%D0%BE%D0%BA%D0%BD%D0%B0&utm_term={keyword}&utm_content=ad+1"
    traffic = classify(f"{SHOP}?{tags}&yclid=77")
    assert (traffic.campaign, traffic.keyword, traffic.content, traffic.click_id) == ("окна", "", "ad 1", "77")


def test_the_search_text_is_the_keyword_where_the_engine_sends_it() -> None:
    assert classify(SHOP, YANDEX).keyword == "окна"


def test_tags_behind_the_hash_count() -> None:
    assert classify(f"{SHOP}#utm_source=vk&utm_medium=cpc").source == "vk"


def test_payment_returns_are_no_source() -> None:
    assert classify(SHOP, "https://pay.bank.example/", excluded=["bank.example"]).source == "(direct)"


def test_only_explicit_parameters_sign_a_campaign() -> None:
    first = classify_hit(f"{SHOP}?utm_source=vk&page=1").campaign
    assert first == classify_hit(f"{SHOP}/x?page=2&utm_source=vk").campaign != ""
    assert classify_hit(f"{SHOP}?utm_source=ok").campaign != first
    assert classify_hit(SHOP, YANDEX).campaign == ""


@given(st.text(max_size=200), st.text(max_size=200))
def test_hostile_addresses_never_raise(url: str, referrer: str) -> None:
    for prefix in ("", "https://", "https://a.example/?utm_source=", "https://a.example/?gclid="):
        traffic = classify(prefix + url, "https://" + referrer)
        assert traffic.source
        assert len(traffic.campaign) <= VALUE_LIMIT


KNOWN_HOSTS = sorted(
    host.replace(".*", ".com")
    for name in LISTS
    for row in msgspec.convert(read_data(name), PlatformList).platform
    for host in row.hosts
    if "/" not in host
)
LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)


@given(st.sampled_from(KNOWN_HOSTS), LABELS)
def test_no_look_alike_of_any_known_host_is_taken_for_it(host: str, label: str) -> None:
    for alike in (f"{host}.{label}-phish.example", f"{label}-{host}.example", f"x{label}{host}.example"):
        traffic = classify(SHOP, f"https://{alike}/")
        assert (traffic.channel, traffic.medium) == ("referral", "referral")


@given(st.text(), st.text(), st.lists(st.text(max_size=20), max_size=3))
def test_an_explanation_never_raises_and_says_what_was_decided(url: str, referrer: str, own: list[str]) -> None:
    for address in (url, f"https://a.example/?{url}", f"https://a.example/?utm_source={url}&ysclid={url}#{url}"):
        assert explain(address, referrer, own).traffic == classify(address, referrer, own)


def test_an_explanation_names_rule_and_line() -> None:
    found = explain(
        f"{SHOP}?utm_source=Yandex.Direct&utm_medium=cpc&utm_term={{keyword}}&yclid=1", GOOGLE, ["shop.example"]
    )
    assert [reason.rule for reason in found.reasons] == [
        "placeholder", "click id", "tag", "tag", "name", "referrer", "channel",
    ]  # fmt: skip
    for reason in found.reasons:
        if reason.data:
            file, _, line = reason.data.removeprefix("data/").partition(".toml:")
            assert data_text(file).splitlines()[int(line) - 1].strip()
    own = explain(SHOP, "https://pay.bank.example/", ["shop.example"], ["bank.example"])
    assert own.reasons[0].gives == "none: an excluded domain"


@pytest.mark.parametrize(
    ("query", "referrer", "channel"),
    [
        ("", "", "Direct"),
        ("", GOOGLE, "Organic Search"),
        ("gclid=1", "", "Paid Search"),
        ("utm_source=vk&utm_medium=cpc", "", "Paid Social"),
        ("utm_source=youtube&utm_medium=cpv", "", "Paid Video"),
        ("utm_source=youtube&utm_medium=cpc", "", "Paid Video"),
        ("utm_source=ozon&utm_medium=cpc", "", "Paid Shopping"),
        ("utm_source=google&utm_medium=cpc&utm_campaign=autumn-shopping", "", "Paid Shopping"),
        ("utm_source=a&utm_medium=cpc", "", "Paid Other"),
        ("utm_source=a&utm_medium=banner", "", "Display"),
        ("utm_source=a&utm_medium=cpc&utm_campaign=my-cross-network", "", "Cross-network"),
        ("", "https://vk.com/", "Organic Social"),
        ("", "https://rutube.ru/", "Organic Video"),
        ("", "https://www.wildberries.ru/", "Organic Shopping"),
        ("", "https://e.mail.ru/", "Email"),
        ("utm_source=letters&utm_medium=e-mail", "", "Email"),
        ("utm_source=zzz&utm_medium=affiliate", "", "Affiliates"),
        ("utm_source=zzz&utm_medium=sms", "", "SMS"),
        ("utm_source=zzz&utm_medium=webpush", "", "Mobile Push Notifications"),
        ("", "https://2gis.ru/", "Referral"),
        ("utm_source=zzz&utm_medium=flyer", "", "Unassigned"),
    ],
)
def test_googles_grouping_is_known_too(query: str, referrer: str, channel: str) -> None:
    assert google_channel(classify(f"{SHOP}?{query}", referrer)) == channel


@given(st.builds(TrafficSource, channel=st.text(), source=st.text(), medium=st.text(), campaign=st.text()))
def test_googles_grouping_never_raises(traffic: TrafficSource) -> None:
    assert google_channel(traffic)


def test_every_data_file_has_a_version() -> None:
    for name in (*LISTS, "parameters", "channels", "browsers", "google"):
        assert re.fullmatch(r"20\d\d-\d\d", str(read_data(name)["version"])), name


def test_data_files_name_each_host_once_in_lower_case_without_scheme() -> None:
    seen: set[str] = set()
    for name in LISTS:
        for row in msgspec.convert(read_data(name), PlatformList).platform:
            for host in row.hosts:
                assert host == host.lower()
                assert "://" not in host
                assert host not in seen, f"{host} stands twice"
                seen.add(host)
    assert platforms().version
