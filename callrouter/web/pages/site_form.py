"""A site's settings as the fields of a form, and a form that was sent as what shall change. Pure; knows no page.

What stands in the form as it was shown is no change: so nobody undoes what somebody else set in another field, and an
account may send a form in which the operator's fields are missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

import msgspec
import phonenumbers

from callrouter.numbers import Number, display_number
from callrouter.pool.inventory import Refused
from callrouter.pool.routing import MOST_RULES, RouteRule
from callrouter.pool.site_change import CallbackChange, SiteChange
from callrouter.pool.site_details import SiteDetails
from callrouter.pool.site_inventory import WantedPool
from callrouter.web.pages.ground import Form

Kind = Literal["text", "lines", "words", "number", "whole", "flag"]
FIELDS: dict[str, Kind] = {
    "name": "text", "domains": "lines", "excluded_referrers": "lines", "country": "text", "own_numbers": "lines",
    "fallback": "text", "display": "text", "select": "text", "shadow": "text", "route": "text",
    "hold_minutes": "number", "rest_minutes": "number", "gap_minutes": "number", "overflow": "text", "consent": "text",
    "quality_s": "number", "bounce_s": "number", "unique_scope": "text", "unique_days": "whole",
    "retention_days": "whole", "leases_per_address": "whole", "leases_per_site": "whole",
    "requests_per_second": "whole", "enabled": "flag",
}  # fmt: skip
CALLBACK: dict[str, Kind] = {
    "enabled": "flag", "pbx": "text", "route": "text", "shown": "text", "countries": "words", "hours": "text",
    "time_zone": "text", "latest_minutes": "whole", "attempts": "whole", "pause_s": "whole", "ring_s": "whole",
    "per_visitor": "whole", "per_site": "whole",
}  # fmt: skip
CHOICES: dict[str, tuple[str, ...]] = {
    "overflow": ("fallback", "nearest_end"), "consent": ("full", "ask", "refused"), "unique_scope": ("account", "site"),
}  # fmt: skip
EMPTY_IS_DEFAULT = frozenset(
    ["fallback", "unique_days", "retention_days", "leases_per_address", "leases_per_site", "requests_per_second"]
)
RULE = ("caller", "channels", "sources", "mediums", "campaigns", "route", "place")
POOL = ("name", "regions", "sources", "priority")
SPARE_ROWS = 2
LONGEST_WHOLE = 12
MOST_POOLS = 20


def shown(site: SiteDetails) -> dict[str, str]:
    """Each field of the form as the site is set."""
    fields = {name: _text(getattr(site, name), kind) for name, kind in FIELDS.items()}
    fields |= {f"callback_{name}": _text(getattr(site.callback, name), kind) for name, kind in CALLBACK.items()}
    fields |= {
        "own_numbers": "\n".join(map(spelled, site.own_numbers)), "fallback": spelled(site.fallback or ""),
        "callback_shown": spelled(site.callback.shown),
    }  # fmt: skip
    for at, rule in enumerate(site.routing):
        fields |= _rule_row(at, rule)
    for at, pool in enumerate(site.pools):
        row = (pool.name, ", ".join(pool.regions), ", ".join(pool.sources), str(pool.priority))
        fields |= {f"pool-{at}-{name}": text for name, text in zip(POOL, row, strict=True)}
    return fields


def refilled(form: Form, site: SiteDetails) -> dict[str, str]:
    """The fields as they were sent, those that were not as the site is set."""
    unset = {name.removesuffix(" asked"): "" for name in form if name.endswith(" asked")}
    return shown(site) | unset | dict(form)


def spelled(number: str) -> str:
    """As people read it, and as it is understood again."""
    try:
        return display_number(Number(number)) if number else ""
    except phonenumbers.NumberParseException:
        return f"+{number}"


def rows(fields: Form, kind: Literal["rule", "pool"]) -> range:
    """Of rules or pools, with spare ones to fill in."""
    limit = MOST_RULES if kind == "rule" else MOST_POOLS
    numbers = [int(match[1]) for name in fields if (match := re.fullmatch(rf"{kind}-(\d{{1,3}})-\w+", name))]
    named = [at for at in numbers if fields.get(f"{kind}-{at}-{'route' if kind == 'rule' else 'name'}")]
    return range(min(limit, max(named, default=-1) + 1 + SPARE_ROWS))


def change_in(form: Form, site: SiteDetails) -> tuple[SiteChange, dict[str, Refused]]:
    """What differs from how the site is set; and what is no number, no choice."""
    faults: dict[str, Refused] = {}
    given = _given(form, FIELDS, shown(site), "", faults)
    callback = _given(form, CALLBACK, shown(site), "callback_", faults)
    if callback:
        given["callback"] = CallbackChange(**callback)
    if "rule-0-route" in form and (rules := tuple(_rules(form, faults))) != site.routing:
        given["routing"] = rules
    if "pool-0-name" in form and (pools := tuple(_pools(form, faults))) != site.pools:
        given["pools"] = pools
    return SiteChange(**given), faults


def _given(
    form: Form, fields: dict[str, Kind], before: Form, prefix: str, faults: dict[str, Refused]
) -> dict[str, Any]:  # fmt: skip
    given: dict[str, Any] = {}
    for name, kind in fields.items():
        field = prefix + name
        if kind == "flag":
            text = "yes" if form.get(field) else ""
            known = f"{field} asked" in form
        else:
            text, known = form.get(field, "").strip(), field in form
        if not known or _same(text, before[field], kind):
            continue
        try:
            given[name] = _value(name, text, kind)
        except Refused as fault:
            faults[field] = fault
    return given


def _same(text: str, before: str, kind: Kind) -> bool:
    if kind in ("lines", "words"):
        return _words(text) == _words(before)
    return text.replace("\r\n", "\n") == before


def _text(value: Any, kind: Kind) -> str:
    if value is None:
        return ""
    if kind == "flag":
        return "yes" if value else ""
    if kind in ("lines", "words"):
        return ("\n" if kind == "lines" else ", ").join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _value(name: str, text: str, kind: Kind) -> Any:
    if name in CHOICES and text not in CHOICES[name]:
        raise Refused("choose one")
    if not text and name in EMPTY_IS_DEFAULT:
        return None
    match kind:
        case "flag":
            return bool(text)
        case "lines" | "words":
            return _words(text)
        case "number":
            return _number(text)
        case "whole":
            return _whole(text)
        case "text":
            return text


def _number(text: str) -> float:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        raise Refused("{text!r} is no number", text=text[:20]) from None


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= LONGEST_WHOLE):
        raise Refused("{text!r} is no whole number", text=text[:20])
    return int(text)


def _words(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.strip() for word in re.split(r"[,;\n]", text) if word.strip()))


def _rule_row(at: int, rule: RouteRule) -> dict[str, str]:
    words = (rule.channels, rule.sources, rule.mediums, rule.campaigns)
    row = (rule.caller, *(", ".join(each) for each in words), rule.route, str(at + 1))
    return {f"rule-{at}-{name}": text for name, text in zip(RULE, row, strict=True)}


def _rules(form: Form, faults: dict[str, Refused]) -> Iterator[RouteRule]:
    """In the order of their places; a row without a route is none."""
    found: list[tuple[float, int, RouteRule]] = []
    for at in range(MOST_RULES):
        row = {name: form.get(f"rule-{at}-{name}", "").strip() for name in RULE}
        asks = any(row[name] for name in ("channels", "sources", "mediums", "campaigns"))
        if not row["route"]:
            if asks or row["caller"] not in ("", "any"):
                faults[f"rule-{at}-route"] = Refused("each rule says where the call goes")
            continue
        words = {name: _words(row[name]) for name in ("channels", "sources", "mediums", "campaigns")}
        try:
            rule = msgspec.convert({"route": row["route"], "caller": row["caller"] or "any", **words}, RouteRule)
            found.append((_number(row["place"] or str(at + 1)), at, rule))
        except msgspec.ValidationError:
            faults[f"rule-{at}-caller"] = Refused("choose one")
        except Refused as fault:
            faults[f"rule-{at}-place"] = fault
    yield from (rule for _, _, rule in sorted(found, key=lambda each: each[:2]))


def _pools(form: Form, faults: dict[str, Refused]) -> Iterator[WantedPool]:
    """By priority; a row without a pool is none."""
    found: list[WantedPool] = []
    for at in range(MOST_POOLS):
        row = {name: form.get(f"pool-{at}-{name}", "").strip() for name in POOL}
        if not row["name"]:
            continue
        if not re.fullmatch(r"-?\d{1,6}", row["priority"] or str(at), re.ASCII):
            faults[f"pool-{at}-priority"] = Refused("{text!r} is no whole number", text=row["priority"][:20])
            continue
        priority = int(row["priority"] or at)
        found.append(WantedPool(row["name"], priority, _words(row["regions"]), _words(row["sources"])))
    yield from sorted(found, key=lambda each: each.priority)
