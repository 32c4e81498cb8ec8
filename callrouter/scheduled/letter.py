"""What is written → an e-mail that any mail server takes. Pure.

Each recipient gets a letter of his own: nobody sees who else does. Its Message-ID follows from what it is, so that a
reader's program knows the same one again.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr

from callrouter.scheduled.model import Written


def letter(written: Written, *, sender: str, recipient: str, key: str, at: datetime) -> EmailMessage:
    """`sender`: `Reports <reports@example.com>`; `key`: what tells this letter from all others."""
    message = EmailMessage(policy=SMTP)
    name, mailbox = parseaddr(sender)
    own = Address(display_name=name, addr_spec=mailbox)
    message["From"] = own
    message["To"] = Address(addr_spec=recipient)
    message["Subject"] = " ".join(written.subject.split())
    message["Date"] = format_datetime(at)
    digest = hashlib.blake2s(f"{key} {recipient}".encode(), digest_size=16).hexdigest()
    message["Message-ID"] = f"<{digest}@{own.domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message.set_content(written.text)
    message.add_alternative(written.html, subtype="html")
    if written.attached:
        kind, _, subtype = written.file.media_type.partition(";")[0].partition("/")
        message.add_attachment(written.file.content, maintype=kind, subtype=subtype, filename=written.file.name)
    return message
