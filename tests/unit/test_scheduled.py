"""When reports are due, what their mails look like on the wire, and what a mail server may do to them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callrouter.scheduled.due import latest_due, next_due
from callrouter.scheduled.folder import file_name, put
from callrouter.scheduled.letter import letter
from callrouter.scheduled.model import File, MailSettings, Plan, Schedule, Written
from callrouter.scheduled.post import NotSent, Posting, post
from callrouter.scheduled.store import may_get
from tests.mail_server import SECRET, USER, MailServer, serving

MOSCOW, BERLIN = ZoneInfo("Europe/Moscow"), ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)  # a Wednesday
DAILY = Plan(name="r", report="channels", period="yesterday", format="html", every="day", minute=9 * 60)
WEEKLY = msgspec.structs.replace(DAILY, every="week", day=1)
MONTHLY = msgspec.structs.replace(DAILY, every="month", day=31)
WRITTEN = Written(
    subject="Звонки: 23 февр. – 1 мар.\r\nBcc: everybody@example.com",
    text=".first\n..second\nОкна\n", html="<p>Окна</p>",
    file=File(name="отчёт.csv", media_type="text/csv; charset=utf-8", content=b"a;b\r\n"), attached=True, rows=1,
    since=NOON, until=NOON,
)  # fmt: skip


def at(text: str, zone: ZoneInfo = MOSCOW) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


def test_reports_are_due_by_the_clock_of_the_account() -> None:
    assert next_due(DAILY, MOSCOW, NOON) == at("2026-03-05T09:00")
    assert next_due(WEEKLY, MOSCOW, NOON) == at("2026-03-09T09:00")
    assert next_due(MONTHLY, MOSCOW, NOON) == at("2026-03-31T09:00")
    assert next_due(MONTHLY, MOSCOW, at("2026-04-01T00:00")) == at("2026-04-30T09:00")
    assert next_due(DAILY, MOSCOW, at("2026-03-05T09:00")) == at("2026-03-06T09:00")


def test_of_missed_due_times_only_the_last_is_made_up_for() -> None:
    long_ago = NOON - timedelta(days=300)
    assert latest_due(DAILY, MOSCOW, long_ago, NOON) == at("2026-03-04T09:00")
    assert latest_due(MONTHLY, MOSCOW, long_ago, NOON) == at("2026-02-28T09:00")
    assert latest_due(DAILY, MOSCOW, at("2026-03-04T09:00"), NOON) is None
    assert latest_due(DAILY, MOSCOW, NOON, NOON + timedelta(hours=1)) is None


def test_a_time_that_the_clock_skips_or_shows_twice_is_once_a_day() -> None:
    at_night = msgspec.structs.replace(DAILY, minute=2 * 60 + 30)
    assert next_due(at_night, BERLIN, at("2026-03-28T12:00", BERLIN)) == at("2026-03-29T03:30", BERLIN)
    assert next_due(at_night, BERLIN, at("2026-03-29T12:00", BERLIN)) == at("2026-03-30T02:30", BERLIN)
    autumn = next_due(at_night, BERLIN, at("2026-10-24T12:00", BERLIN))
    assert next_due(at_night, BERLIN, autumn) == at("2026-10-26T02:30", BERLIN)


@given(
    st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2030, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.sampled_from([DAILY, WEEKLY, MONTHLY]), st.integers(0, 1439), st.integers(1, 7),
    st.sampled_from([MOSCOW, BERLIN, ZoneInfo("Asia/Kathmandu"), ZoneInfo("America/Santiago")]),
)  # fmt: skip
def test_what_is_due_next_is_due_latest_once_it_has_come(
    now: datetime, plan: Plan, minute: int, day: int, zone: ZoneInfo
) -> None:
    plan = msgspec.structs.replace(plan, minute=minute, day=day)
    due = next_due(plan, zone, now)
    assert now < due <= now + timedelta(days=32)
    assert latest_due(plan, zone, now, due) == due
    assert latest_due(plan, zone, now, due - timedelta(seconds=1)) is None
    assert next_due(plan, zone, due) > due


def settings(server: MailServer, **other: object) -> MailSettings:
    return MailSettings(**{  # type: ignore[arg-type]
        "host": "localhost", "port": server.port, "tls": "starttls" if server.tls else "none",
        "user": USER if server.auth else "", "secret": SECRET, "sender": "Отчёты <reports@calls.example>",
        "ca_file": str(server.certificate or ""), **other,
    })  # fmt: skip


def a_letter(written: Written = WRITTEN) -> EmailMessage:
    return letter(
        written, sender="Отчёты <reports@calls.example>", recipient="anna@windows.example", key="2 4 x", at=NOON
    )


def test_a_mail_is_given_by_the_rules_and_arrives_as_it_was_written(tmp_path: Path) -> None:
    with serving(MailServer(), tmp_path) as server:
        post(settings(server), a_letter())
    assert server.breaches == []
    (taken,) = server.taken
    assert (taken.sender, taken.recipients) == ("<reports@calls.example>", ["anna@windows.example"])
    message = taken.message
    assert message["Subject"] == "Звонки: 23 февр. – 1 мар. Bcc: everybody@example.com"
    assert message["Bcc"] is None
    assert message["From"].addresses[0].display_name == "Отчёты"
    assert message["Message-ID"] == a_letter()["Message-ID"]
    assert message["Auto-Submitted"] == "auto-generated"
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert html is not None
    assert text.get_content().replace("\r\n", "\n") == WRITTEN.text
    assert "Окна" in html.get_content()
    (file,) = message.iter_attachments()
    assert (file.get_filename(), file.get_content()) == ("отчёт.csv", "a;b\r\n")
    assert b"=?utf-8?" in taken.wire.split(b"Subject: ")[1][:20].lower()


def test_a_password_is_never_sent_in_the_clear_nor_to_a_stranger(tmp_path: Path) -> None:
    with serving(MailServer(tls=False), tmp_path) as server, pytest.raises(NotSent, match="STARTTLS"):
        post(settings(server, tls="starttls"), a_letter())
    assert (server.taken, server.breaches) == ([], [])
    with serving(MailServer(), tmp_path) as server, pytest.raises(NotSent, match=r"(?i)certificate"):
        post(settings(server, ca_file=""), a_letter())
    assert (server.taken, server.breaches) == ([], [])


@pytest.mark.parametrize(
    ("refuse", "lasting"),
    [({"MAIL": "451 later"}, False), ({"RCPT": "550 5.1.1 no such user"}, True), ({"RCPT": "450 grey"}, False),
     ({"DATA": "554 no"}, True), ({"AUTH": "535 wrong"}, False), ({"END": "452 full"}, False),
     ({"END": "554 spam"}, True)],
)  # fmt: skip
def test_what_a_server_refuses_is_tried_again_unless_it_says_never(
    tmp_path: Path, refuse: dict[str, str], lasting: bool
) -> None:
    with serving(MailServer(refuse=refuse), tmp_path) as server, pytest.raises(NotSent) as error:
        post(settings(server), a_letter())
    assert (error.value.lasting, error.value.doubtful) == (lasting, False)
    assert next(iter(refuse.values()))[:3] in str(error.value)
    assert (server.taken, server.breaches) == ([], [])


@pytest.mark.parametrize(("step", "doubtful"), [("EHLO", False), ("RCPT", False), ("END", True)])
def test_a_line_that_breaks_leaves_doubt_only_once_the_mail_was_given(
    tmp_path: Path, step: str, doubtful: bool
) -> None:
    with serving(MailServer(vanish=step), tmp_path) as server, pytest.raises(NotSent) as error:
        post(settings(server), a_letter())
    assert error.value.doubtful is doubtful
    assert not error.value.lasting


def test_a_dead_server_and_one_that_says_nothing_hold_nobody_up(tmp_path: Path) -> None:
    with serving(MailServer(), tmp_path) as server:
        pass
    with pytest.raises(NotSent):
        post(settings(server), a_letter())
    with serving(MailServer(tls=False, auth=False, vanish="none"), tmp_path) as server:
        posting = Posting(settings(server), seconds=0.2)
        posting.begin(a_letter())
        server.hold = None
        posting.close()


def test_recipients_are_the_accounts_people_and_whom_the_operator_allowed() -> None:
    people = ["anna@windows.example"]
    assert may_get("anna@windows.example", people, ())
    assert not may_get("eve@evil.example", people, ("good.example", "boss@other.example"))
    assert may_get("any@good.example", people, ("good.example",))
    assert may_get("boss@other.example", people, ("boss@other.example",))
    assert may_get("eve@evil.example", people, ("*",))
    assert not may_get("eve@notgood.example", people, ("good.example",))


def test_a_file_has_a_name_that_every_disk_takes_and_is_whole(tmp_path: Path) -> None:
    kept = {name: getattr(DAILY, name) for name in Plan.__struct_fields__}
    schedule = Schedule(**{**kept, "name": "../../etc/Звонки: «всё»\\x"}, account=2, id=4, done_until=NOON, version=1)
    assert file_name(schedule, NOON, ".csv") == "etc-Звонки-всё-x-4-2026-03-04-1200.csv"
    for _ in range(2):
        path = put(tmp_path, schedule, NOON, WRITTEN.file)
        assert path.parent == tmp_path / "account-2"
        assert [each.name for each in path.parent.iterdir()] == [path.name]
        assert path.read_bytes() == WRITTEN.file.content
