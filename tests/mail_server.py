"""A mail server that is strict: each line is checked as RFC 5321 and its kin have it, and every breach is kept.

It can be told to refuse at a step, to go away at one, and to hold the answer to a mail back.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

USER, SECRET = "reports", "secret of the tests"
LONGEST_LINE = 998
ADDRESS = re.compile(r"<[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+>")


@dataclass
class Taken:
    sender: str
    recipients: list[str]
    wire: bytes
    """As it was given, dots undone."""

    @property
    def message(self) -> EmailMessage:
        message = message_from_bytes(self.wire, policy=default)
        assert isinstance(message, EmailMessage)
        return message


@dataclass
class MailServer:
    """`refuse`: step → answer; `vanish`: the step after which the line is cut."""

    tls: bool = True
    auth: bool = True
    refuse: dict[str, str] = field(default_factory=dict)
    vanish: str = ""
    taken: list[Taken] = field(default_factory=list)
    breaches: list[str] = field(default_factory=list)
    port: int = 0
    certificate: Path | None = None
    hold: threading.Event | None = None
    """The answer to a mail is given when this is set."""
    holding: threading.Event = field(default_factory=threading.Event)


@contextlib.contextmanager
def serving(server: MailServer, folder: Path) -> Iterator[MailServer]:
    context = _context(server, folder) if server.tls else None
    listener = socket.create_server(("127.0.0.1", 0))
    server.port = listener.getsockname()[1]

    def accept() -> None:
        while True:
            try:
                line, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=_Talk(server, line, context).run, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield server
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


class _Talk:
    """One conversation."""

    def __init__(self, server: MailServer, line: socket.socket, context: ssl.SSLContext | None) -> None:
        self._server = server
        self._line = line
        self._context = context
        self._file = line.makefile("rb")
        self._greeted = self._private = self._known = False
        self._sender = ""
        self._eight_bit = False
        self._recipients: list[str] = []

    def run(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._say("220 mail.test ESMTP")
            while (command := self._read()) and self._answer(command):
                pass
        with contextlib.suppress(OSError):
            self._file.close()
            self._line.close()

    def _answer(self, line: str) -> bool:
        verb = line.partition(" ")[0].upper().partition(":")[0]
        step = {"MAIL": "MAIL", "RCPT": "RCPT"}.get(verb, verb)
        if step in self._server.refuse:
            self._say(self._server.refuse[step])
            return True
        handler = getattr(self, f"_{step.lower()}", None)
        if handler is None:
            self._breach(f"unknown command {line!r}")
            self._say("500 unknown")
            return True
        goes_on: bool = handler(line)
        return goes_on and self._server.vanish != step

    def _ehlo(self, line: str) -> bool:
        name = line.partition(" ")[2]
        if not re.fullmatch(r"\[[0-9.]+\]|[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", name):
            self._breach(f"EHLO {name!r} is neither a domain nor an address")
        self._greeted = True
        offers = ["8BITMIME", "SIZE 20000000"]
        offers += ["STARTTLS"] if self._context and not self._private else []
        offers += ["AUTH PLAIN LOGIN"] if self._server.auth and (self._private or not self._context) else []
        for offer in ["mail.test", *offers[:-1]]:
            self._say(f"250-{offer}")
        self._say(f"250 {offers[-1]}")
        return True

    def _starttls(self, _line: str) -> bool:
        if not self._context or self._private:
            self._breach("STARTTLS was not offered")
        self._say("220 go ahead")
        assert self._context
        self._line = self._context.wrap_socket(self._line, server_side=True)
        self._file = self._line.makefile("rb")
        self._private, self._greeted = True, False
        return True

    def _auth(self, line: str) -> bool:
        if self._context and not self._private:
            self._breach("a password in the clear")
        kind, _, told = line.partition(" ")[2].partition(" ")
        if kind.upper() != "PLAIN":
            self._breach(f"AUTH {kind}")
        given = base64.b64decode(told).split(b"\0")
        self._known = given[1:] == [USER.encode(), SECRET.encode()]
        self._say("235 welcome" if self._known else "535 5.7.8 no")
        return True

    def _mail(self, line: str) -> bool:
        self._require_greeted("MAIL")
        if self._server.auth and not self._known:
            self._say("530 5.7.0 who are you?")
            return True
        found = re.fullmatch(r"MAIL FROM:(<\S+>)((?: [A-Za-z0-9]+(?:=\S+)?)*)", line, re.IGNORECASE)
        if not found or not ADDRESS.fullmatch(found[1]):
            self._breach(f"{line!r}")
        self._eight_bit = "body=8bitmime" in line.lower()
        self._sender, self._recipients = found[1] if found else "", []
        self._say("250 ok")
        return True

    def _rcpt(self, line: str) -> bool:
        found = re.fullmatch(r"RCPT TO:(<\S+>)", line, re.IGNORECASE)
        if not found or not self._sender or not ADDRESS.fullmatch(found[1]):
            self._breach(f"{line!r}")
        self._recipients.append(found[1].strip("<>") if found else "")
        self._say("250 ok")
        return True

    def _data(self, _line: str) -> bool:
        if not self._recipients:
            self._breach("DATA without RCPT")
        self._say("354 go on")
        lines: list[bytes] = []
        while (raw := self._file.readline()) != b".\r\n":
            if not raw:
                return False
            self._check(raw)
            lines.append(raw[1:] if raw.startswith(b".") else raw)
        self._server.taken.append(Taken(self._sender, list(self._recipients), b"".join(lines)))
        self._server.holding.set()
        if self._server.hold:
            self._server.hold.wait(30)
        if "END" in self._server.refuse:
            self._server.taken.pop()
            self._say(self._server.refuse["END"])
            return True
        if self._server.vanish == "END":
            return False
        self._say("250 2.0.0 taken")
        return True

    def _quit(self, _line: str) -> bool:
        self._say("221 bye")
        return False

    def _check(self, raw: bytes) -> None:
        if not raw.endswith(b"\r\n") or b"\r" in raw[:-2] or b"\n" in raw[:-2]:
            self._breach(f"a line that does not end in CR LF: {raw[:80]!r}")
        if raw.startswith(b".") and not raw.startswith(b".."):
            self._breach(f"a dot that is not doubled: {raw[:80]!r}")
        if len(raw) > LONGEST_LINE + 2:
            self._breach(f"a line of {len(raw)} bytes")
        if not raw.isascii() and not self._eight_bit:
            self._breach(f"eight bits that were not announced: {raw[:80]!r}")

    def _require_greeted(self, step: str) -> None:
        if not self._greeted:
            self._breach(f"{step} before EHLO")

    def _read(self) -> str:
        raw = self._file.readline(LONGEST_LINE)
        if raw and not raw.endswith(b"\r\n"):
            self._breach(f"{raw!r} does not end in CR LF")
        return raw.decode("ascii", "replace").rstrip("\r\n")

    def _say(self, text: str) -> None:
        self._line.sendall(f"{text}\r\n".encode())

    def _breach(self, text: str) -> None:
        self._server.breaches.append(text)


def _context(server: MailServer, folder: Path) -> ssl.SSLContext:
    """Of a certificate of its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    server.certificate, secret = folder / "mail.pem", folder / "mail.key"
    server.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    encoding = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    secret.write_bytes(key.private_bytes(*encoding))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.certificate, secret)
    return context
