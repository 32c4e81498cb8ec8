"""Client hints and user agent → device type, system, browser, and whether it is a bot. Pure; knows no visits."""

from __future__ import annotations

import re
from functools import cache, lru_cache

import msgspec
from ua_parser import parse

from callrouter.sessions.platforms import read_data

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
BRAND = re.compile(r'"((?:[^"\\]|\\.)*)"\s*;\s*v=')


class Browsers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """data/browsers.toml."""

    class Automats(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        brands: tuple[str, ...]

    version: str
    brands: dict[str, str]
    mobile: dict[str, str]
    systems: dict[str, str]
    automats: Automats


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
    claimed = BRAND.findall(brands[:LIMIT])
    on_phone = mobile.strip() == "?1"
    return Device(
        kind="mobile" if on_phone and not TELEVISION.search(text) else _kind(text),
        os=_known().systems.get(platform.strip('" '), "") or (parsed.os.family if parsed.os else ""),
        browser=_branded(claimed, on_phone=on_phone) or (parsed.user_agent.family if parsed.user_agent else ""),
        bot=family == "Spider" or bool(BOT.search(text)) or not set(_known().automats.brands).isdisjoint(claimed),
        user_agent=text,
    )


def prepare() -> None:
    """Read the patterns, which takes a good part of a second: better before the first visitor than while he waits."""
    recognise("Mozilla/5.0")


def _branded(claimed: list[str], *, on_phone: bool) -> str:
    known = _known()
    name = next((name for brand, name in known.brands.items() if brand in claimed), "")
    if name == "Chromium":
        return ""  # all of them are: the user agent may say more
    return known.mobile.get(name, name) if on_phone else name


@cache
def _known() -> Browsers:
    return msgspec.convert(read_data("browsers"), Browsers)


def _kind(text: str) -> str:
    for kind, pattern in (("tv", TELEVISION), ("tablet", TABLET), ("mobile", MOBILE)):
        if pattern.search(text):
            return kind
    return "desktop"
