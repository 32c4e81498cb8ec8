"""One AMI connection's bytes: panoramisk's protocol with its reading, matching and closing replaced.

Knows actions and their answers; knows no login, no reconnecting and no meaning of events. What stock panoramisk 1.4
does instead is shown, scenario by scenario, in tests/integration/ami/test_replaced_weaknesses.py.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from panoramisk.actions import Action
from panoramisk.ami_protocol import AMIProtocol
from panoramisk.message import Message

from callrouter.ami.wire import Event, EventReader, write_action

if TYPE_CHECKING:
    from callrouter.ami.connection import AmiConnection

GATHER_S = 0.01
"""Asterisk sends each event by itself. Who reads each at once is woken by each, on Asterisk's time and on ours."""
FEW_BYTES = 16_384
"""A read of more is a busy stream, which gathers by itself."""


class AmiProtocol(AMIProtocol):  # type: ignore[misc] # panoramisk has no types
    """Reads whole messages, gives answers to the actions they belong to and all else to the connection's consumer."""

    def __init__(self, connection: AmiConnection, reader: EventReader) -> None:
        self.reader = reader
        self.connection = connection
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Done, with the reason, when the connection is no more."""
        self.heard_at = 0.0
        self.transport: asyncio.Transport | None = None
        self.responses: dict[str, Action] = {}
        self.closed = False
        self.gathering = False
        """Nothing is read until what Asterisk sends meanwhile has come together."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.factory = self.connection
        self.log = self.connection.log

    def send(self, data: Any, as_list: bool | None = None) -> asyncio.Future[Any]:
        """Write an action; its future gets the answer, or ConnectionError. ValueError if a value has a line break."""
        action = data if isinstance(data, Action) else Action(data)
        action.as_list = as_list
        line = write_action(dict(action.items()))
        if self.closed or self.transport is None:
            raise ConnectionError("not connected to Asterisk's manager interface")
        self.responses[action.id] = action
        self.transport.write(line)
        self._read_on()
        future: asyncio.Future[Any] = action.future
        return future

    def forget(self, action: Action) -> None:
        """Nobody waits for this answer any more."""
        self.responses.pop(action.id, None)

    def data_received(self, data: bytes) -> None:
        """Nothing here waits, and no failure of a consumer reaches the transport, which would close the connection."""
        at, self.heard_at = self.connection.now(), self.connection.steady()
        if self.connection.on_bytes is not None:
            self.connection.on_bytes(data)
        dispatch = self.connection.dispatch
        for event in self.reader.feed(data):
            if "ActionID" in event or "Response" in event:
                self.handle_message(event)
            else:
                dispatch(event, at)
        self.connection.count(len(data))
        if len(data) < FEW_BYTES and not self.responses:
            self._gather()

    def _gather(self) -> None:
        """Read nothing for a moment. Whoever waits for an answer, or hears a long list, is not kept waiting."""
        if self.transport is not None and not self.transport.is_closing() and not self.gathering:
            self.transport.pause_reading()
            self.gathering = True
            asyncio.get_running_loop().call_later(GATHER_S, self._read_on)

    def _read_on(self) -> None:
        if self.gathering and self.transport is not None and not self.transport.is_closing():
            self.gathering = False
            self.transport.resume_reading()

    def handle_message(self, message: Event) -> None:
        action = self.responses.get(message.get("ActionID", ""))
        if action is not None:
            if action.add_message(Message(message)):
                self.forget(action)
        elif self.connection.is_ours(message) or "Event" not in message:
            self.connection.odd("late_answer")
        else:  # an event that answers another client's action
            self.connection.dispatch(message, self.connection.now())

    def connection_lost(self, exc: Exception | None) -> None:
        self.end(f"{exc or 'closed by Asterisk'}")

    def end(self, reason: str) -> None:
        """Close for good. Actions in flight fail: whether Asterisk ran them is unknown, so they are never repeated."""
        self.closed = True
        if self.transport is not None:
            self.transport.abort()
        actions, self.responses = self.responses, {}
        for action in actions.values():
            if not action.future.done():
                action.future.set_exception(ConnectionError(f"connection to Asterisk lost: {reason}"))
        if not self.lost.done():
            self.lost.set_result(reason)

    def close(self) -> None:
        self.end("closed by callrouter")
