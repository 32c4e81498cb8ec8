"""What must be known of a PBX's dialplan to tell its calls apart. A `[[pbx]]` section of the configuration."""

from __future__ import annotations

import msgspec


class PbxProfile(msgspec.Struct, frozen=True, kw_only=True):
    """Names as they stand in extensions.conf and pjsip.conf of one Asterisk; empty means "none such"."""

    name: str
    """Asterisk's `systemname`: uniqueids start with it, calls are keyed by it."""
    country: str = "RU"
    """ISO 3166 code of the country whose national spelling the trunks use."""
    inbound_contexts: tuple[str, ...] = ("from-trunk", "from-pstn", "callrouter-in")
    """Contexts in which calls from outside arrive."""
    trunks: tuple[str, ...] = ()
    """Channel name prefixes of the carriers' endpoints, as `PJSIP/carrier`."""
    peers: tuple[str, ...] = ()
    """Channel name prefixes of the company's other PBXs, as `PJSIP/kazan`: what comes from there is no new call."""
    group_contexts: tuple[str, ...] = ()
    """Contexts whose extension names a ring group."""
    internal_contexts: tuple[str, ...] = ("from-internal",)
    """Contexts from which employees dial."""
    group_extensions: dict[str, str] = {}
    """Plain extensions that count as a group when a call is transferred to them: extension → group."""
