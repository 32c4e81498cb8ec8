"""User agent → device type, operating system, browser, and whether it is a bot. Pure; knows no visits."""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec
from ua_parser import parse

BOT = re.compile(
    r"bot\b|bot/|crawl|spider|slurp|headless|phantomjs|lighthouse|pagespeed|pingdom|uptime|monitor|preview|facebookexternalhit"
    r"|curl/|wget/|python-|aiohttp|httpx|go-http-client|java/|okhttp|libwww|scrapy|selenium|puppeteer|playwright|yandex\w*bot"
    r"|mediapartners|adsbot|bingpreview|whatsapp/|telegrambot|vkshare|chatgpt-user|gptbot|oai-search|perplexity|claudebot",
    re.IGNORECASE,
)
TABLET = re.compile(r"ipad|tablet|playbook|silk|kindle|(?=.*android)(?!.*mobile)", re.IGNORECASE)
MOBILE = re.compile(r"mobi|iphone|ipod|android|windows phone|opera mini|blackberry", re.IGNORECASE)
TELEVISION = re.compile(r"smart-?tv|appletv|hbbtv|netcast|web0s|tizen.*tv|bravia", re.IGNORECASE)
LIMIT = 512


class Device(msgspec.Struct, frozen=True):
    kind: str
    """desktop, mobile, tablet, tv; '' if the user agent says nothing."""
    os: str
    browser: str
    bot: bool
    user_agent: str = ""
    """What it said of itself, cut to a length."""


@lru_cache(maxsize=8192)
def recognise(user_agent: str, brands: str = "", mobile: str = "", platform: str = "") -> Device:
    """What opened the page, by its client hints and then its user agent; without any agent it is a bot."""
    if not user_agent.strip():
        return Device("", "", "", bot=True)
    text = user_agent[:LIMIT]
    parsed = parse(text)
    family = parsed.device.family if parsed.device else ""
    return Device(
        kind=_kind(text),
        os=parsed.os.family if parsed.os else "",
        browser=parsed.user_agent.family if parsed.user_agent else "",
        bot=family == "Spider" or bool(BOT.search(text)),
        user_agent=text,
    )


def _kind(text: str) -> str:
    for kind, pattern in (("tv", TELEVISION), ("tablet", TABLET), ("mobile", MOBILE)):
        if pattern.search(text):
            return kind
    return "desktop"
