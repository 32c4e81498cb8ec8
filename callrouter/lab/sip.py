"""A SIP user agent on one UDP socket, as small as playing phones allows. Knows messages and dialogs, no behaviour.

It speaks to one peer, the PBX on this machine: no authentication, no route sets, no media (an SDP offer that names the
discard port). Requests are repeated until answered, because a busy machine drops datagrams even on the loopback.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

TRY_AGAIN_SECONDS = 0.5
GIVE_UP_SECONDS = 32.0
DISCARD_PORT = 9
BUSY_HERE, DECLINED, TERMINATED, OK, RINGING, TRYING, ACCEPTED = 486, 603, 487, 200, 180, 100, 202
REASONS = {200: "OK", 180: "Ringing", 486: "Busy Here", 487: "Request Terminated", 603: "Decline", 481: "No Such Call"}


@dataclass
class Message:
    """A SIP request (`method`, `uri`) or response (`status`). A repeated header keeps its order."""

    method: str
    uri: str
    status: int
    headers: list[tuple[str, str]]
    body: str = ""

    @classmethod
    def parse(cls, data: bytes) -> Message:
        """Read a datagram; raises ValueError on what is not SIP."""
        head, _, body = data.decode("utf-8", "surrogateescape").partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        headers = [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        words = first.split(" ", 2)
        if len(words) < 3 or "SIP/2.0" not in (words[0], words[2]):  # noqa: PLR2004 - the three words of the first line
            raise ValueError("not a SIP message")
        if words[0] == "SIP/2.0":
            return cls("", "", int(words[1]), headers, body)
        return cls(words[0], words[1], 0, headers, body)

    def get(self, name: str) -> str:
        """The first header of this name, or nothing."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    @property
    def cseq(self) -> tuple[int, str]:
        number, _, method = self.get("cseq").partition(" ")
        return int(number), method

    @property
    def user(self) -> str:
        """The user part of a request's URI: whom it is for."""
        return user_of(self.uri)

    def encode(self) -> bytes:
        first = f"SIP/2.0 {self.status} {REASONS.get(self.status, 'Status')}"
        if self.method:
            first = f"{self.method} {self.uri} SIP/2.0"
        body = self.body.encode("utf-8", "surrogateescape")
        lines = [first, *(f"{name}: {value}" for name, value in self.headers), f"Content-Length: {len(body)}", "", ""]
        return "\r\n".join(lines).encode("utf-8", "surrogateescape") + body


def user_of(text: str) -> str:
    """The user part of a SIP URI or of a header that holds one."""
    match = re.search(r"sips?:([^@;>]*)@", text)
    return match[1] if match else ""


def tag_of(header: str) -> str:
    match = re.search(r";tag=([^;>\s]+)", header)
    return match[1] if match else ""


def _contact_uri(header: str) -> str:
    match = re.search(r"<([^>]+)>", header)
    return match[1] if match else header.split(";", maxsplit=1)[0]


@dataclass
class Dialog:
    """One leg of a call as a phone sees it."""

    agent: UserAgent
    call_id: str
    local: str  # our From/To value with tag
    remote: str
    target: str  # where requests go: the peer's Contact
    user: str
    invite: Message
    incoming: bool
    established: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    refer_done: asyncio.Event = field(default_factory=asyncio.Event)
    failure: int = 0
    sequence: int = 1

    def ring(self) -> None:
        self.respond(self.invite, RINGING)

    def answer(self) -> None:
        """Take the call; `established` is set by the peer's ACK."""
        self.agent.answer(self)

    def refuse(self, status: int) -> None:
        self.failure = status
        self.respond(self.invite, status)
        self.ended.set()

    def respond(self, request: Message, status: int, body: str = "") -> None:
        """Send a response to a request of this dialog."""
        self.agent.respond(request, status, to=self.local if self.incoming else None, body=body, user=self.user)

    async def request(self, method: str, *extra: tuple[str, str], body: str = "") -> int:
        """Send a request within the dialog; returns the final status."""
        self.sequence += 1
        return (await self.agent.request(self, method, extra, body)).status

    async def hang_up(self) -> None:
        """End the leg in whatever state it is."""
        if self.ended.is_set():
            return
        if self.established.is_set():
            self.ended.set()
            await self.request("BYE")
        elif self.incoming:
            self.refuse(BUSY_HERE)
        else:
            self.agent.cancel(self)
            with contextlib.suppress(TimeoutError):  # a peer that has gone answers no CANCEL
                async with asyncio.timeout(GIVE_UP_SECONDS):
                    await first_of(self.ended, self.established)
            if self.established.is_set():  # the answer was faster than our CANCEL
                await self.hang_up()

    async def send_digit(self, digit: str) -> None:
        body = f"Signal={digit}\r\nDuration=100\r\n"
        await self.request("INFO", ("Content-Type", "application/dtmf-relay"), body=body)

    async def hold(self, *, on: bool = True) -> None:
        body = self.agent.session("sendonly" if on else "sendrecv")
        await self.request("INVITE", ("Content-Type", "application/sdp"), body=body)
        self.agent.acknowledge(self)

    async def transfer(self, to_user: str, replaces: Dialog | None = None) -> int:
        """REFER the peer to another number (blind), or to the leg that we already have there (attended)."""
        uri = f"sip:{to_user}@{self.agent.peer[0]}:{self.agent.peer[1]}"
        if replaces:
            named = f"{replaces.call_id};to-tag={tag_of(replaces.remote)};from-tag={tag_of(replaces.local)}"
            uri += "?Replaces=" + named.replace(";", "%3B").replace("=", "%3D").replace("@", "%40")
        by = re.sub(r";tag=.*", "", self.local)
        return await self.request("REFER", ("Refer-To", f"<{uri}>"), ("Referred-By", by))


class UserAgent(asyncio.DatagramProtocol):
    """All phones of a lab behind one socket; `on_invite` is called with the dialog of each call that comes in."""

    def __init__(self, on_invite: Callable[[Dialog], None]) -> None:
        self.peer = ("127.0.0.1", 0)
        self.address = ("127.0.0.1", 0)
        self.garbage = 0
        self._on_invite = on_invite
        self._dialogs: dict[str, Dialog] = {}
        self._waiting: dict[tuple[str, int, str], asyncio.Future[Message]] = {}
        self._ids = itertools.count(1)
        self._transport: asyncio.DatagramTransport | None = None

    async def open(self) -> None:
        """Bind a free port of 127.0.0.1."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=self.address)
        self.address = self._transport.get_extra_info("sockname")

    def close(self) -> None:
        if self._transport:
            self._transport.close()

    def session(self, direction: str = "sendrecv") -> str:
        """An SDP offer or answer without media behind it."""
        version = next(self._ids)
        lines = [
            "v=0", f"o=- 1 {version} IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0",
            f"m=audio {DISCARD_PORT} RTP/AVP 0", "a=rtpmap:0 PCMU/8000", f"a={direction}", "",
        ]  # fmt: skip
        return "\r\n".join(lines)

    async def call(self, user: str, number: str, *extra: tuple[str, str], name: str = "") -> Dialog:
        """Call a number as `user`; returns once the leg is established or refused."""
        dialog = self.start_call(user, number, *extra, name=name)
        await first_of(dialog.established, dialog.ended)
        return dialog

    def start_call(self, user: str, number: str, *extra: tuple[str, str], name: str = "") -> Dialog:
        """Send the INVITE; the dialog tells what becomes of it."""
        call_id = f"{secrets.token_hex(8)}@127.0.0.1"
        display = f'"{name}" ' if name else ""
        local = f"{display}<sip:{user}@{self.address[0]}:{self.address[1]}>;tag={secrets.token_hex(4)}"
        uri = f"sip:{number}@{self.peer[0]}:{self.peer[1]}"
        headers = [("Via", self._via()), ("From", local), ("To", f"<{uri}>"), ("Call-ID", call_id)]
        headers += [("CSeq", "1 INVITE"), ("Contact", self._contact(user)), ("Max-Forwards", "70"), *extra]
        invite = Message("INVITE", uri, 0, [*headers, ("Content-Type", "application/sdp")], self.session())
        dialog = Dialog(self, call_id, local, f"<{uri}>", uri, user, invite, incoming=False)
        self._dialogs[call_id] = dialog
        self._repeat(invite.encode(), lambda: dialog.failure != 0 or tag_of(dialog.remote) != "")
        return dialog

    def cancel(self, dialog: Dialog) -> None:
        """Give up a call that was not answered yet."""
        invite = dialog.invite
        headers = [(name, invite.get(name.lower())) for name in ("Via", "From", "To", "Call-ID", "Max-Forwards")]
        message = Message("CANCEL", invite.uri, 0, [*headers, ("CSeq", "1 CANCEL")])
        self._repeat(message.encode(), dialog.ended.is_set)

    def answer(self, dialog: Dialog) -> None:
        """Accept an incoming call, again and again until its ACK comes."""
        names = ("via", "from", "call-id", "cseq")
        headers = [(name, value) for name, value in dialog.invite.headers if name in names]
        headers += [("To", dialog.local), ("Contact", self._contact(dialog.user)), ("Content-Type", "application/sdp")]
        data = Message("", "", OK, headers, self.session()).encode()
        self._repeat(data, lambda: dialog.established.is_set() or dialog.ended.is_set())

    def acknowledge(self, dialog: Dialog, sequence: int | None = None) -> None:
        headers = [("Via", self._via()), ("From", dialog.local), ("To", dialog.remote), ("Call-ID", dialog.call_id)]
        headers += [("CSeq", f"{sequence or dialog.sequence} ACK"), ("Max-Forwards", "70")]
        self._send(Message("ACK", dialog.target, 0, headers).encode())

    async def request(self, dialog: Dialog, method: str, extra: tuple[tuple[str, str], ...], body: str) -> Message:
        """Send a request until it has its final response; a peer that never answers counts as 408."""
        headers = [("Via", self._via()), ("From", dialog.local), ("To", dialog.remote), ("Call-ID", dialog.call_id)]
        headers += [("CSeq", f"{dialog.sequence} {method}"), ("Max-Forwards", "70")]
        headers += [("Contact", self._contact(dialog.user)), *extra]
        message = Message(method, dialog.target, 0, headers, body)
        key = (dialog.call_id, dialog.sequence, method)
        answer = self._waiting[key] = asyncio.get_running_loop().create_future()
        self._repeat(message.encode(), answer.done)
        try:
            return await asyncio.wait_for(answer, GIVE_UP_SECONDS)
        except TimeoutError:
            return Message("", "", 408, [])
        finally:
            self._waiting.pop(key, None)

    def respond(self, request: Message, status: int, *, to: str | None = None, body: str = "", user: str = "") -> None:
        headers = [
            (name.title(), value) for name, value in request.headers if name in ("via", "from", "call-id", "cseq")
        ]
        headers += [("To", to or request.get("to")), ("Contact", self._contact(user))]
        if body:
            headers.append(("Content-Type", "application/sdp"))
        self._send(Message("", "", status, headers, body).encode())

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:  # noqa: ARG002 - protocol's API
        try:
            message = Message.parse(data)
            if message.method:
                self._on_request(message)
            else:
                self._on_response(message)
        except ValueError:
            self.garbage += 1

    def _on_response(self, message: Message) -> None:
        sequence, method = message.cseq
        dialog = self._dialogs.get(message.get("call-id"))
        if message.status >= OK and (answer := self._waiting.get((message.get("call-id"), sequence, method))):
            if not answer.done():
                answer.set_result(message)
        elif dialog and method == "INVITE" and sequence == 1 and not dialog.incoming:
            self._on_invite_response(dialog, message)

    def _on_invite_response(self, dialog: Dialog, message: Message) -> None:
        dialog.remote = message.get("to")
        if message.status >= 300:  # noqa: PLR2004 - the start of refusals in SIP
            self._acknowledge_refusal(dialog, message)
            dialog.failure = message.status
            dialog.ended.set()
        elif message.status >= OK:
            dialog.target = _contact_uri(message.get("contact"))
            self.acknowledge(dialog, 1)
            dialog.established.set()

    def _acknowledge_refusal(self, dialog: Dialog, message: Message) -> None:
        headers = [("Via", dialog.invite.get("via")), ("From", dialog.local)]
        headers += [("To", message.get("to")), ("Call-ID", dialog.call_id), ("CSeq", "1 ACK"), ("Max-Forwards", "70")]
        self._send(Message("ACK", dialog.invite.uri, 0, headers).encode())

    def _on_request(self, message: Message) -> None:
        dialog = self._dialogs.get(message.get("call-id"))
        if dialog is None:
            self._on_first_request(message)
        elif message.method == "ACK":
            if not dialog.failure:
                dialog.established.set()
        elif message.method == "CANCEL":
            self.respond(message, OK)
            if not dialog.established.is_set() and not dialog.ended.is_set():
                dialog.refuse(TERMINATED)
        elif message.method == "INVITE":
            self._on_repeated_invite(dialog, message)
        else:
            self.respond(message, OK, user=dialog.user)
            if message.method == "BYE":
                dialog.ended.set()
            elif message.method == "NOTIFY" and re.search(r"SIP/2\.0 [2-6]\d\d", message.body):
                dialog.refer_done.set()

    def _on_first_request(self, message: Message) -> None:
        if message.method == "INVITE":
            local = f"{message.get('to')};tag={secrets.token_hex(4)}"
            target = _contact_uri(message.get("contact"))
            dialog = Dialog(
                self, message.get("call-id"), local, message.get("from"), target, message.user, message, incoming=True
            )
            self._dialogs[dialog.call_id] = dialog
            self._on_invite(dialog)
        elif message.method == "OPTIONS":
            self.respond(message, OK)
        elif message.method != "ACK":
            self.respond(message, 481)

    def _on_repeated_invite(self, dialog: Dialog, message: Message) -> None:
        if message.cseq == dialog.invite.cseq and dialog.incoming:
            return  # a retransmission: the response is under way
        dialog.respond(message, OK, body=self.session())

    def _repeat(self, data: bytes, is_done: Callable[[], bool], tries: int = 8) -> None:
        if tries and not is_done() and self._transport and not self._transport.is_closing():
            self._send(data)
            loop = asyncio.get_running_loop()
            loop.call_later(TRY_AGAIN_SECONDS, self._repeat, data, is_done, tries - 1)

    def _send(self, data: bytes) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.sendto(data, self.peer)

    def _via(self) -> str:
        return f"SIP/2.0/UDP {self.address[0]}:{self.address[1]};branch=z9hG4bK{secrets.token_hex(8)};rport"

    def _contact(self, user: str) -> str:
        host = f"{self.address[0]}:{self.address[1]}"
        return f"<sip:{user}@{host}>" if user else f"<sip:{host}>"


async def first_of(*events: asyncio.Event) -> None:
    """Wait until one of the events is set."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
