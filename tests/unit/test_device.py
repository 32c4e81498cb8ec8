"""What opened the page."""

from __future__ import annotations

import pytest

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
