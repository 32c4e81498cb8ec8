"""Scheduled reports on a real Postgres: each due time once, whoever sends and whatever dies; what the mails say."""

from __future__ import annotations

import asyncio
import io
import threading
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from callrouter.db.connect import Connection, Pool
from callrouter.people import users
from callrouter.pool.inventory import Refused
from callrouter.scheduled import sending, store
from callrouter.scheduled.model import REPORTS, Format, MailSettings, Outlet, Plan, Schedule, Written
from callrouter.scheduled.sending import Sender
from callrouter.web.pages.report_letter import write_report
from tests.integration.publishing import shop
from tests.mail_server import SECRET, USER, MailServer, serving

PLAN = Plan(
    name="Звонки", report="channels", period="yesterday", format="html", every="day", minute=0,
    recipients=("anna@windows.example",),
)  # fmt: skip
ACCOUNT = 7


@asynccontextmanager
async def house(database: str) -> AsyncIterator[Pool]:
    async with shop(database) as pool:
        async with pool.acquire() as conn:
            for email in ("anna@windows.example", "boris@windows.example"):
                await users.add_user(conn, ACCOUNT, email, role="manager")
        yield pool


def outlet(server: MailServer, **other: Any) -> Outlet:
    mail = MailSettings(
        host="localhost", port=server.port, tls="starttls", user=USER, secret=SECRET, sender="reports@calls.example",
        ca_file=str(server.certificate),
    )  # fmt: skip
    return Outlet(**{"mail": mail, **other})


async def scheduled(pool: Pool, *, days_ago: int = 1, account: int = ACCOUNT, **plan: Any) -> Schedule:
    """One that has been due since."""
    async with pool.acquire() as conn:
        wanted = Plan(**{name: plan.get(name, getattr(PLAN, name)) for name in Plan.__struct_fields__})
        number = await store.add_schedule(conn, account, wanted, by=None, allowed=("*",), folder=True)
        await conn.execute(
            "UPDATE scheduled_reports SET done_until = now() - make_interval(days => $1) WHERE id = $2",
            days_ago,
            number,
        )
        return await store.schedule_numbered(conn, account, number)


@asynccontextmanager
async def workers(database: str, pool: Pool, where: Outlet, count: int = 1, writer: Any = None) -> AsyncIterator[None]:
    senders = [Sender(database, pool, writer or write_report, where, tick_seconds=0.05) for _ in range(count)]
    tasks = [asyncio.create_task(sender.run()) for sender in senders]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(pool: Pool, condition: str, count: int = 1) -> list[Any]:
    """The sendings, once there are so many and the condition holds for all of them."""
    deadline = asyncio.get_running_loop().time() + 30
    while asyncio.get_running_loop().time() < deadline:
        rows = await pool.fetch(f"SELECT *, {condition} AS holds FROM report_sendings ORDER BY due_at, recipient")
        if len(rows) >= count and all(row["holds"] for row in rows):
            return rows
        await asyncio.sleep(0.05)
    raise AssertionError([dict(row) for row in rows])


def living(database: str, scene: Callable[[Pool], Awaitable[None]]) -> None:
    async def run() -> None:
        async with house(database) as pool:
            await scene(pool)

    asyncio.run(run())


def test_two_workers_send_each_due_time_once_to_each_and_make_up_for_the_last_one_only(
    database: str, tmp_path: Path
) -> None:
    async def scene(pool: Pool) -> None:
        with serving(MailServer(), tmp_path) as server:
            recipients = ("anna@windows.example", "boris@windows.example")
            await scheduled(pool, days_ago=5, recipients=recipients, to_folder=True)
            async with workers(database, pool, outlet(server, folder=tmp_path), count=3):
                rows = await until(pool, "state = 'sent'", 3)
                await asyncio.sleep(0.3)
            assert [row["recipient"] for row in rows] == ["", *recipients]
            assert sorted(taken.recipients[0] for taken in server.taken) == list(recipients)
            assert all(len(taken.recipients) == 1 for taken in server.taken)
            assert len({taken.message["Message-ID"] for taken in server.taken}) == 2
            assert server.breaches == []
            (file,) = (tmp_path / f"account-{ACCOUNT}").iterdir()
            assert "Звонки" in file.read_text()

    living(database, scene)


def test_a_mail_that_may_have_gone_when_the_worker_died_is_not_sent_again(database: str, tmp_path: Path) -> None:
    async def scene(pool: Pool) -> None:
        hold = threading.Event()
        with serving(MailServer(hold=hold), tmp_path) as server:
            await scheduled(pool)
            async with workers(database, pool, outlet(server)):
                await asyncio.to_thread(server.holding.wait, 30)
                assert [row["state"] for row in await until(pool, "true")] == ["sending"]
                await pool.execute(
                    """SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'
                       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
                )
                hold.set()
                (row,) = await until(pool, "state = 'doubtful'")
                await asyncio.sleep(0.3)
            assert "ended while" in row["note"]
            assert len(server.taken) == 1

    living(database, scene)


def test_what_a_server_cannot_take_now_is_tried_again_and_what_it_never_takes_is_not(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "AGAIN_AFTER", (timedelta(seconds=0.2),) * 2)

    async def scene(pool: Pool) -> None:
        with serving(MailServer(refuse={"RCPT": "450 grey list"}), tmp_path) as server:
            await scheduled(pool)
            async with workers(database, pool, outlet(server)):
                (row,) = await until(pool, "attempts > 0")
                assert (row["state"], "450 grey list" in row["note"]) == ("waiting", True)
                server.refuse.clear()
                await until(pool, "state = 'sent'")
            assert len(server.taken) == 1
            server.refuse["END"] = "554 no"
            await scheduled(pool, name="Другой")
            async with workers(database, pool, outlet(server)):
                rows = await until(pool, "state IN ('sent', 'failed')", 2)
            assert [row["state"] for row in rows].count("failed") == 1
            server.refuse = {"MAIL": "451 never now"}
            await scheduled(pool, name="Третий")
            async with workers(database, pool, outlet(server)):
                rows = await until(pool, "state IN ('sent', 'failed')", 3)
            assert sorted(row["attempts"] for row in rows) == [1, 2, 2]

    living(database, scene)


def test_a_report_that_cannot_be_written_holds_up_no_other_and_strangers_get_none(
    database: str, tmp_path: Path
) -> None:
    async def breaks(conn: Connection, schedule: Schedule, due_at: datetime) -> Written:
        if schedule.name == "broken":
            raise ZeroDivisionError("a fault of ours")
        return await write_report(conn, schedule, due_at)

    async def scene(pool: Pool) -> None:
        with serving(MailServer(), tmp_path) as server:
            await scheduled(pool, name="broken")
            await scheduled(pool, name="whole", recipients=("anna@windows.example", "eve@evil.example"))
            await pool.execute("UPDATE users SET disabled_at = now() WHERE email LIKE 'boris%'")
            async with workers(database, pool, outlet(server), writer=breaks):
                rows = await until(pool, "state IN ('sent', 'failed') OR attempts > 0", 3)
            told = {(row["recipient"], row["state"]) for row in rows}
            assert told == {
                ("anna@windows.example", "waiting"), ("anna@windows.example", "sent"), ("eve@evil.example", "failed"),
            }  # fmt: skip
            assert [taken.recipients for taken in server.taken] == [["anna@windows.example"]]
            note = next(row["note"] for row in rows if row["state"] == "waiting")
            assert "could not be written" in note
            assert "a fault of ours" not in note

    living(database, scene)


def test_an_odd_address_stops_nobody_elses_report(database: str, tmp_path: Path) -> None:
    odd = "a..b@windows.example"

    async def scene(pool: Pool) -> None:
        async with pool.acquire() as conn:
            await users.add_user(conn, ACCOUNT, odd, role="manager")
        with serving(MailServer(), tmp_path) as server:
            await scheduled(pool, name="first", recipients=(odd, "anna@windows.example"))
            await scheduled(pool, name="second", recipients=("boris@windows.example",))
            async with workers(database, pool, outlet(server)):
                rows = await until(pool, "state IN ('sent', 'failed')", 3)
            assert {row["recipient"]: row["state"] for row in rows} == {
                odd: "failed", "anna@windows.example": "sent", "boris@windows.example": "sent",
            }  # fmt: skip
            assert "no such address" in next(row["note"] for row in rows if row["recipient"] == odd)
            assert len(server.taken) == 2

    living(database, scene)


def test_an_account_sends_so_many_mails_an_hour_and_the_rest_later(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "MOST_AN_HOUR", 1)
    monkeypatch.setattr(sending, "AGAIN_AFTER", (timedelta(seconds=0.1),) * 300)

    async def scene(pool: Pool) -> None:
        with serving(MailServer(), tmp_path) as server:
            await scheduled(pool, recipients=("anna@windows.example", "boris@windows.example"))
            await scheduled(pool, account=8, recipients=("eve@doors.example",))
            async with pool.acquire() as conn:
                await users.add_user(conn, 8, "eve@doors.example", role="viewer")
            async with workers(database, pool, outlet(server)):
                rows = await until(pool, "state = 'sent' OR attempts > 1", 3)
                assert sorted(row["state"] for row in rows) == ["sent", "sent", "waiting"], "another account's is sent"
                assert "mails within an hour" in next(row["note"] for row in rows if row["state"] == "waiting")
                assert len(server.taken) == 2
                monkeypatch.setattr(sending, "HOURLY", timedelta())  # an hour later
                await until(pool, "state = 'sent'", 3)
            assert len(server.taken) == 3

    living(database, scene)


def test_schedules_are_refused_with_what_is_wrong_with_them(database: str) -> None:
    async def scene(pool: Pool) -> None:
        async with pool.acquire() as conn:

            async def refused(match: str, *, allowed: tuple[str, ...] = (), folder: bool = False, **plan: Any) -> None:
                wanted = Plan(**{name: plan.get(name, getattr(PLAN, name)) for name in Plan.__struct_fields__})
                with pytest.raises(Refused, match=match):
                    await store.add_schedule(conn, ACCOUNT, wanted, by=None, allowed=allowed, folder=folder)

            await refused("may not sign in", recipients=("eve@evil.example",))
            await refused("no e-mail", recipients=("anna@windows.example\r\nBcc: x@y",))
            await refused("Latin", recipients=("анна@окна.рф",), allowed=("*",))
            await refused("one line", name="a\nb: c" + "x" * 200)
            await refused("choose a report", report="nonsense")
            await refused("choose a day", every="week", day=8)
            await refused("no site 99", site=99)
            await refused("to whom", recipients=())
            await refused("no folder", to_folder=True)
            await refused("addresses at most", recipients=tuple(f"a{n}@x.example" for n in range(21)), allowed=("*",))
            await store.add_schedule(conn, ACCOUNT, PLAN, by=None, allowed=(), folder=False)
            await refused("already")

    living(database, scene)


@pytest.mark.parametrize("report_format", ["html", "csv", "xlsx"])
def test_a_written_report_has_the_accounts_figures_and_nothing_that_runs(database: str, report_format: Format) -> None:
    async def scene(pool: Pool) -> None:
        async with pool.acquire() as conn:
            day = datetime(2026, 3, 3, 12, tzinfo=UTC)
            for number, (account, campaign) in enumerate(
                [(7, "<script>alert(1)</script>"), (7, "=1+1"), (8, "secret")]
            ):
                await conn.execute(
                    """INSERT INTO appeals (account_id, started_at, id, kind, direction, status, channel, source,
                           medium, campaign, is_unique) VALUES ($1, $2, gen_random_uuid(), 'call', 'inbound',
                           'answered', 'paid_search', 'yandex', 'cpc', $3, true)""",
                    account, day + timedelta(minutes=number), campaign,
                )  # fmt: skip
            await conn.execute(
                "INSERT INTO costs (account_id, day, source, medium, campaign, amount, currency)"
                " VALUES (7, '2026-03-03', 'yandex', 'cpc', '=1+1', 1500.5, 'RUB')"
            )
        schedule = await scheduled(pool, report="campaigns", format=report_format, locale="ru")
        async with pool.acquire() as conn, conn.transaction(isolation="repeatable_read"):
            written = await write_report(conn, schedule, datetime(2026, 3, 4, 9, tzinfo=UTC))
        assert written.rows == 2
        assert "<script" not in written.html
        assert "&lt;script&gt;" in written.html
        assert "secret" not in written.html + written.text
        assert "Звонки" in written.subject
        assert "2" in written.text
        content = written.file.content
        if report_format == "csv":
            text = content.decode("utf-8-sig")
            assert text.splitlines()[0].startswith("Источник;")
            assert "'=1+1" in text
            assert "1500.5" in text
        if report_format == "xlsx":
            with zipfile.ZipFile(io.BytesIO(content)) as book:
                sheet = book.read("xl/worksheets/sheet1.xml").decode()
            assert "<f>" not in sheet
            assert "1500.5" in sheet

    living(database, scene)


def test_every_report_that_people_open_is_written_in_their_words(database: str) -> None:
    touches = [
        {"channel": "paid_search", "source": "yandex", "session": "1", "at": "2026-03-03T10:00:00Z", "linear": 500_000},
        {"channel": "direct", "source": "(direct)", "session": "2", "at": "2026-03-03T11:00:00Z", "linear": 500_000},
    ]

    async def scene(pool: Pool) -> None:
        async with pool.acquire() as conn:
            await conn.execute(
                """INSERT INTO appeals (account_id, started_at, id, kind, direction, status, channel, source, medium,
                       called, multichannel, credits) VALUES (7, '2026-03-03 12:00Z', gen_random_uuid(), 'call',
                       'inbound', 'lost', 'direct', '(direct)', '(none)', '74950000001', true, $1)""",
                touches,
            )
        texts = {}
        for report in REPORTS:
            schedule = await scheduled(pool, name=report, report=report, format="csv")
            async with pool.acquire() as conn, conn.transaction(isolation="repeatable_read"):
                written = await write_report(conn, schedule, datetime(2026, 3, 4, 9, tzinfo=UTC))
            texts[report] = written.text + written.file.content.decode()
        assert "+7 495 000-00-01" in texts["numbers"]
        assert "Контекстная реклама yandex → " in texts["paths"]
        assert "Контекстная реклама" in texts["assists"]
        assert "paid_search" not in "".join(texts.values())
        assert "Линейная" in texts["models"]
        with pytest.raises(Refused, match="sites share pools"):
            await scheduled(pool, name="of one site", report="pools", site=1)

    living(database, scene)
