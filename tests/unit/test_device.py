"""What opened the page."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callrouter.sessions.device import recognise

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Safari/537.36"
)
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 "
    "Mobile/15E148 Safari/604.1"
)
TABLET = "Mozilla/5.0 (Linux; Android 13; SM-X700) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0 Safari/537.36"


@pytest.mark.parametrize(
    ("user_agent", "kind", "os", "bot"),
    [
        (CHROME, "desktop", "Windows", False),
        (IPHONE, "mobile", "iOS", False),
        (TABLET, "tablet", "Android", False),
        ("Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)", "desktop", "Other", True),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "desktop", "Other", True),
        (CHROME.replace("Chrome", "HeadlessChrome"), "desktop", "Windows", True),
        ("curl/8.5.0", "desktop", "", True),
        ("", "", "", True),
    ],
)
def test_a_user_agent_is_recognised(user_agent: str, kind: str, os: str, bot: bool) -> None:
    device = recognise(user_agent)
    assert (device.kind, device.bot) == (kind, bot)
    assert device.os in (os, "")


def test_a_huge_user_agent_is_no_trouble() -> None:
    assert recognise(CHROME + "(" * 100_000).browser == "Chrome"


@pytest.mark.parametrize(
    ("brands", "mobile", "platform", "found"),
    [
        (
            '"Google Chrome";v="129", "Not=A?Brand";v="8", "Chromium";v="129"',
            "?0",
            '"Windows"',
            ("desktop", "Windows", "Chrome"),
        ),
        ('"Chromium";v="128", "YaBrowser";v="24.10"', "?1", '"Android"', ("mobile", "Android", "Yandex Browser")),
        ('"Microsoft Edge";v="129", "Chromium";v="129"', "?1", '"Android"', ("mobile", "Android", "Edge Mobile")),
        ('"Chromium";v="129"', "?0", '"macOS"', ("desktop", "Mac OS X", "Chrome")),
        ('"\\"";v=, garbage', "?9", "strange", ("desktop", "Windows", "Chrome")),
    ],
)
def test_client_hints_come_before_the_user_agent(
    brands: str, mobile: str, platform: str, found: tuple[str, str, str]
) -> None:
    device = recognise(CHROME, brands, mobile, platform)
    assert (device.kind, device.os, device.browser) == found


def test_a_headless_brand_is_a_bot() -> None:
    assert recognise(CHROME, '"HeadlessChrome";v="129"', "?0", '"Linux"').bot


@given(st.text(), st.text(), st.text(), st.text())
def test_hostile_hints_never_raise(user_agent: str, brands: str, mobile: str, platform: str) -> None:
    recognise(user_agent, brands, mobile, platform)
