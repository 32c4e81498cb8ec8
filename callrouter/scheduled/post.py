"""One mail to one mail server, step by step, so that it is known up to where it went. Knows SMTP; blocks.

`begin` goes as far as the server's word that it would take the mail; only `give` gives it. What fails before is not
sent, for certain; what fails after the last byte may have been.
"""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
from email.message import EmailMessage

from callrouter.scheduled.model import MailSettings

SECONDS = 30.0
READY, TAKEN = 354, 250
FIRST_TEMPORARY, FIRST_PERMANENT = 400, 500
LONGEST_WHY = 300


class NotSent(Exception):
    """`lasting`: the server will not take it another time either. `doubtful`: it may have taken it."""

    def __init__(self, why: str, *, lasting: bool = False, doubtful: bool = False) -> None:
        super().__init__(" ".join(why.split())[:LONGEST_WHY])
        self.lasting = lasting
        self.doubtful = doubtful


class Posting:
    """A conversation about one mail. `begin`, `give`, and `close` in any case."""

    def __init__(self, settings: MailSettings, *, seconds: float = SECONDS) -> None:
        self._settings = settings
        self._seconds = seconds
        self._smtp: smtplib.SMTP | None = None

    def begin(self, message: EmailMessage) -> None:
        """Raises NotSent."""
        try:
            self._smtp = smtp = self._connected()
            smtp.ehlo_or_helo_if_needed()
            body = "8bitmime" if smtp.has_extn("8bitmime") else ""
            sender, recipient = message["From"].addresses[0], message["To"].addresses[0]
            _require(smtp.mail(sender.addr_spec, [f"body={body}"] if body else []), "MAIL FROM", TAKEN)
            _require(smtp.rcpt(recipient.addr_spec), "RCPT TO", TAKEN)
            _require(smtp.docmd("DATA"), "DATA", READY)
        except smtplib.SMTPResponseException as error:
            raise NotSent(_said(error.smtp_code, error.smtp_error)) from error  # also wrong passwords: people mend them
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise NotSent(_why(error)) from error

    def give(self, message: EmailMessage) -> None:
        """After `begin`. Raises NotSent."""
        assert self._smtp is not None  # noqa: S101 - `begin` was called
        wire = re.sub(rb"(?m)^\.", b"..", message.as_bytes())
        try:
            self._smtp.send(wire + (b"" if wire.endswith(b"\r\n") else b"\r\n") + b".\r\n")
            code, said = self._smtp.getreply()
        except (smtplib.SMTPException, OSError) as error:
            raise NotSent(_why(error), doubtful=True) from error
        if code != TAKEN:
            raise NotSent(_said(code, said), lasting=code >= FIRST_PERMANENT)

    def close(self) -> None:
        if self._smtp is not None:
            try:
                self._smtp.quit()
            except (smtplib.SMTPException, OSError):
                self._smtp.close()

    def _connected(self) -> smtplib.SMTP:
        asked, name = self._settings, _own_name()
        if asked.tls == "none":
            smtp = smtplib.SMTP(asked.host, asked.port, local_hostname=name, timeout=self._seconds)
        else:
            context = ssl.create_default_context(cafile=asked.ca_file or None)
            if asked.tls == "tls":
                smtp = smtplib.SMTP_SSL(
                    asked.host, asked.port, local_hostname=name, timeout=self._seconds, context=context
                )
            else:
                smtp = smtplib.SMTP(asked.host, asked.port, local_hostname=name, timeout=self._seconds)
                self._smtp = smtp
                smtp.starttls(context=context)  # refuses to go on in the clear
        self._smtp = smtp
        if asked.user:
            smtp.login(asked.user, asked.secret)
        return smtp


def post(settings: MailSettings, message: EmailMessage, *, seconds: float = SECONDS) -> None:
    """All of it. Raises NotSent."""
    posting = Posting(settings, seconds=seconds)
    try:
        posting.begin(message)
        posting.give(message)
    finally:
        posting.close()


def _require(answer: tuple[int, bytes], step: str, wanted: int) -> None:
    code, said = answer
    if code != wanted and not (wanted == TAKEN and code == TAKEN + 1):
        raise NotSent(f"{step}: {_said(code, said)}", lasting=code >= FIRST_PERMANENT)


def _said(code: int, said: bytes | str) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return f"{code} {text}"


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__


def _own_name() -> str:
    """For EHLO: no look-up, which may take long."""
    name = socket.gethostname()
    return name if re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", name) else "[127.0.0.1]"
