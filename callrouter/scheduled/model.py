"""A schedule: which report of which period, when, to whom. Pure."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Literal, get_args

import msgspec

from callrouter.appeals.credit import Model
from callrouter.people.model import Locale
from callrouter.reports.figures import BY_NAME

Every = Literal["day", "week", "month"]
EVERY: tuple[Every, ...] = get_args(Every)
Format = Literal["html", "xlsx", "csv"]
FORMATS: tuple[Format, ...] = get_args(Format)
Period = Literal["yesterday", "7d", "30d", "last_week", "week", "last_month", "month", "quarter", "year"]
PERIODS: tuple[Period, ...] = get_args(Period)
"""Seen from the due time: a report that is late tells of the same days."""
TABLES = ("numbers", "static", "pools", "pool-sites", "paths", "assists", "models")
"""Reports whose rows are not figures by dimensions."""
REPORTS = (*BY_NAME, *TABLES)
Tls = Literal["starttls", "tls", "none"]
State = Literal["waiting", "sending", "sent", "failed", "doubtful"]
FOLDER = ""
"""The recipient that is no person."""
MOST_RECIPIENTS = 20
MINUTES_OF_DAY = 24 * 60
LAST_DAY = 31


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What people set."""

    name: str
    report: str
    period: Period
    format: Format
    every: Every
    day: int = 1
    """Of a week (1: Monday) or month (beyond its end: its last)."""
    minute: int
    """Of the day, on the account's clock."""
    site: int | None = None
    """None: all sites."""
    model: Model = "last_click"
    locale: Locale = "ru"
    recipients: tuple[str, ...] = ()
    to_folder: bool = False
    enabled: bool = True


class Schedule(Plan, frozen=True, kw_only=True):
    """As it is kept. `done_until`: due times up to here are dealt with."""

    account: int
    id: int
    done_until: datetime
    version: int


class Sending(msgspec.Struct, frozen=True, kw_only=True):
    """Of one due time to one recipient."""

    account: int
    report: int
    due_at: datetime
    recipient: str
    state: State
    attempts: int
    next_at: datetime
    ended_at: datetime | None
    note: str


class File(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    media_type: str
    content: bytes


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """A report as it is sent. `file`: attached, and what a folder gets."""

    subject: str
    text: str
    html: str
    file: File
    attached: bool
    rows: int
    since: datetime
    until: datetime


class MailSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The server that takes our mail. `ca_file`: whom its certificate is from, where it is no public authority."""

    host: str
    port: int
    tls: Tls
    user: str
    secret: str
    sender: str
    ca_file: str = ""


class Outlet(msgspec.Struct, frozen=True, kw_only=True):
    """Where reports may go, as the operator configured it."""

    mail: MailSettings | None = None
    folder: Path | None = None
    allowed: tuple[str, ...] = ()
    """Addresses, domains or `*` besides the account's own people."""
