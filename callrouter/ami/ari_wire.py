"""What ARI says of a channel that waits for an answer → the question, as FastAGI would have put it. Pure.

Knows JSON and its shapes; knows no socket. Whatever is not as ARI describes it is left out, or refused: a caller waits.
"""

from __future__ import annotations

from typing import Any

import msgspec

from callrouter.ami.agi_wire import AgiRequest


class NotAri(ValueError):
    """What came is nothing that ARI says; `kind` is for the count of such."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


def read_event(message: str | bytes) -> AgiRequest | None:
    """The question of a StasisStart; None: another event. Raises NotAri."""
    event = _decoded(message)
    if not isinstance(event, dict) or event.get("type") != "StasisStart":
        return None
    args = event.get("args")
    return _question(event.get("channel"), args if isinstance(args, list) else [])


def read_listed(message: str | bytes) -> AgiRequest:
    """The question of a channel that a list told of. Raises NotAri. Older versions of Asterisk tell no arguments."""
    channel = _decoded(message)
    dialplan = _object(channel, "dialplan")
    said = dialplan.get("app_data") if dialplan.get("app_name") == "Stasis" else None
    return _question(channel, said.split(",")[1:] if isinstance(said, str) else [])


def _decoded(message: str | bytes) -> object:
    try:
        return msgspec.json.decode(message)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise NotAri("not_json") from None


def _question(channel: object, args: list[Any]) -> AgiRequest:
    """Arguments of Stasis() stand for those of AGI()."""
    uniqueid = _text(channel, "id")
    if not uniqueid or not uniqueid.isprintable():
        raise NotAri("not_understood")
    caller, dialplan = _object(channel, "caller"), _object(channel, "dialplan")
    environment = {
        "network_script": "resolve",
        "uniqueid": uniqueid,
        "channel": _text(channel, "name"),
        "callerid": _text(caller, "number"),
        "calleridname": _text(caller, "name"),
        "context": _text(dialplan, "context"),
        "extension": _text(dialplan, "exten"),
        "accountcode": _text(channel, "accountcode"),
    }
    return AgiRequest.of(
        environment | {f"arg_{n}": str(arg) for n, arg in enumerate(args[args[:1] == ["resolve"] :], 1)}
    )


def _object(value: object, name: str) -> dict[str, Any]:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _text(value: object, name: str) -> str:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""
