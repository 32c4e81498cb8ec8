"""What of the configuration tells where reports may go."""

from __future__ import annotations

from pathlib import Path

from callrouter.config import Config
from callrouter.scheduled.model import MailSettings, Outlet


def outlet_of(config: Config) -> Outlet:
    mail = config.mail
    settings = MailSettings(
        host=mail.host, port=mail.port, tls=mail.tls, user=mail.user, secret=mail.secret, sender=mail.sender,
        ca_file=mail.ca,
    )  # fmt: skip
    return Outlet(
        mail=settings if mail.host else None, folder=Path(config.reports.folder) if config.reports.folder else None,
        allowed=config.reports.recipients,
    )  # fmt: skip
