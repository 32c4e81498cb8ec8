"""A traffic source in Google Analytics' default channel grouping: the other naming, beside ours. Pure.

Its rules look at source, medium and campaign in a fixed order; the first that fits names the channel.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Literal

import msgspec

from callrouter.sessions.model import TrafficSource
from callrouter.sessions.platforms import platforms, read_data

Naming = Literal["ours", "google"]


class Google(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """data/google.toml."""

    version: str
    paid: str
    shopping_campaign: str
    shopping_sources: frozenset[str]
    display: frozenset[str]
    social: frozenset[str]
    video: str
    referral: frozenset[str]
    email: frozenset[str]
    affiliates: frozenset[str]
    audio: frozenset[str]
    sms: frozenset[str]
    push: frozenset[str]


def channel_of(traffic: TrafficSource, naming: Naming) -> str:
    return traffic.channel if naming == "ours" else google_channel(traffic)


def google_channel(traffic: TrafficSource) -> str:
    """Such as `Organic Search`; `Unassigned` if no rule fits."""
    source, medium, campaign = traffic.source.lower(), traffic.medium.lower(), traffic.campaign.lower()
    if source == "(direct)" and medium in {"(none)", "(not set)"}:
        return "Direct"
    if "cross-network" in campaign:
        return "Cross-network"
    rules, kind = _google(), _kind(source)
    shopping = kind == "shopping" or re.fullmatch(rules.shopping_campaign, campaign) is not None
    if re.fullmatch(rules.paid, medium):
        return _paid("shopping" if shopping else kind, medium)
    if medium in rules.display:
        return "Display"
    return _organic("shopping" if shopping else kind, source, medium)


def _paid(kind: str, medium: str) -> str:
    names = {
        "shopping": "Paid Shopping", "search": "Paid Search", "social": "Paid Social", "messenger": "Paid Social",
        "video": "Paid Video",
    }  # fmt: skip
    return names.get(kind) or ("Display" if medium in _google().display else "Paid Other")


def _organic(kind: str, source: str, medium: str) -> str:
    rules = _google()
    fitting = (
        ("Organic Shopping", kind == "shopping"),
        ("Email", not rules.email.isdisjoint((source, medium))),  # first: some mail has the name of a search engine
        ("Organic Video", kind == "video"),  # we call these networks, too
        ("Organic Social", kind in {"social", "messenger"} or medium in rules.social),
        ("Organic Video", re.fullmatch(rules.video, medium) is not None),
        ("Organic Search", medium == "organic" or (kind == "search" and medium != "(none)")),
        ("Referral", medium in rules.referral),
        ("Affiliates", medium in rules.affiliates),
        ("Audio", medium in rules.audio),
        ("SMS", not rules.sms.isdisjoint((source, medium))),
        ("Mobile Push Notifications", medium.endswith("push") or any(word in medium for word in rules.push)),
        ("Referral", medium == "ai"),
    )
    return next((name for name, fits in fitting if fits), "Unassigned")


def _kind(source: str) -> str:
    """In Google's categories of sources."""
    if source in _google().shopping_sources:
        return "shopping"
    platform = platforms().named(source)
    if platform is None:
        return ""
    if platform.video:
        return "video"
    return {"marketplace": "shopping"}.get(platform.kind, platform.kind)


@cache
def _google() -> Google:
    return msgspec.convert(read_data("google"), Google)
