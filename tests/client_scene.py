"""People of account 2 with a past: Anna, who came by many ways; Anna again, by another number; one whose every word is
hostile; and one of whom nothing is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from callrouter.appeals.row import AppealRow
from callrouter.appeals.touching import judge_marked
from callrouter.calls.record import Step
from callrouter.db.connect import Pool
from tests.integration.web.journal import an_appeal, put, put_visit

NOW = datetime.now(UTC).replace(microsecond=0)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
ANNA, AGAIN, HOSTILE, NOBODY = 7_000_071, 7_000_072, 7_000_073, 7_000_074
SCRIPT = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}"
ADDRESS = "javascript:alert(3)//" + SCRIPT
WAYS: tuple[tuple[str, float, dict[str, Any]], ...] = (
    ("s1", 62, {"channel": "paid_search", "source": "yandex", "medium": "cpc", "campaign": "Окна Москва",
                "keyword": "пластиковые окна цена", "click_id": "yclid=18446744073709551", "pages": 4}),
    ("s2", 41, {"channel": "organic_search", "source": "google", "medium": "organic", "pages": 2}),
    ("s3", 12, {"channel": "social", "source": "vk", "medium": "social", "campaign": "весна", "pages": 3}),
    ("s4", 11.99, {"channel": "direct", "source": "(direct)", "medium": "(none)", "pages": 1}),
    ("s5", 1, {"channel": "email", "source": "newsletter", "medium": "email", "campaign": "november", "pages": 6}),
)  # fmt: skip
SEEN = {
    "device": "mobile", "os": "Android", "browser": "Chrome", "location": "Москва", "number": "74952232725",
    "landing_page": "https://windows.example/prices?utm_source=yandex#top", "referrer": "https://yandex.ru/",
    "ga_client_id": "1234567.1700000000", "ym_client_id": "1700000000123456789", "ym_counter": "4242",
}  # fmt: skip


async def people_with_a_past(postgres: Pool) -> None:
    """Account 2 and its site 1 are there."""
    await postgres.execute("UPDATE accounts SET multichannel = true WHERE id = 2")
    for session, days, how in WAYS:
        await put_visit(postgres, session, "v1", NOW - days * DAY, seen_at=NOW - days * DAY + 5 * MINUTE, **SEEN | how)
        await _pages(postgres, session, NOW - days * DAY, int(how["pages"]))
    await put_visit(postgres, "t1", "v2", NOW - 30 * DAY, channel="referral", source="forum.example", medium="referral")
    await put(postgres, *_of_anna(), *_of_others())
    await postgres.execute("UPDATE clients SET name = 'Анна Петрова' WHERE id = $1", ANNA)
    await postgres.execute("UPDATE clients SET first_touch_at = $1 WHERE id = $2", NOW - 62 * DAY, ANNA)
    await postgres.execute(
        "INSERT INTO client_identities VALUES (2, 'visitor', 'v1', $1, $3, $3), (2, 'visitor', 'v2', $2, $3, $3),"
        " (2, 'crm', 'contact-17', $1, $3, $3)", ANNA, AGAIN, NOW - DAY,
    )  # fmt: skip
    await postgres.execute(
        "INSERT INTO appeal_notes (account_id, appeal_id, tags, comment) VALUES (2, $1, '{замер,важно}', $2)",
        an_appeal(7103).id, "Просила перезвонить\nпосле обеда",
    )  # fmt: skip
    await _hostile(postgres)
    await _deals(postgres)
    async with postgres.acquire() as connection:
        while await judge_marked(connection):
            pass


def _call(number: int, days: float, client: int, **told: Any) -> AppealRow:
    at = NOW - days * DAY
    return an_appeal(number, at=at, client_id=client, **{"ended_at": at + 3 * MINUTE, "candidates": None} | told)


def _steps(days: float) -> tuple[Step, ...]:
    at = NOW - days * DAY
    told = (("started", 0, None, None), ("ivr", 1, None, None), ("group_entered", 12, "Отдел продаж", None),
            ("rang", 13, None, "101"), ("missed", 28, None, "101"), ("rang", 28, None, "104"),
            ("answered", 33, None, "104"), ("hold", 80, None, None), ("unhold", 95, None, None),
            ("ended", 180, None, None))  # fmt: skip
    return tuple(Step(at + timedelta(seconds=s), kind, group=group, who=who) for kind, s, group, who in told)  # type: ignore[arg-type]


def _of_anna() -> list[AppealRow]:
    anna = {"customer": "79161234567", "location": "Москва", "visitor": "v1", "person": "Анна Петрова", **_FROM_SITE}
    lost = {"status": "lost", "lost_reason": "abandoned_queue", "talk_s": 0.0, "quality": False, "is_unique": False}
    return [
        _call(7101, 40.9, ANNA, session="s2", steps=_steps(40.9), employee="104", final_group="Отдел продаж",
              channel="organic_search", source="google", medium="organic", campaign="",
              recording="https://pbx.example/rec/1.wav", **anna),
        _call(7102, 11.98, ANNA, kind="form", direction=None, status=None, session="s4", method="page", talk_s=None,
              email="anna@example.com", channel="direct", source="(direct)", medium="(none)", is_unique=False,
              details={"Что интересует": "Балкон"}, quality=False, **anna),
        _call(7103, 2, ANNA, session=None, method="unattributed", confidence=0.0, channel=None, source=None,
              **lost | anna | {"visitor": None}),
        _call(7104, 1.9, ANNA, session=None, direction="outbound", method="unattributed", confidence=0.0,
              channel=None, source=None, is_unique=False, **anna | {"visitor": None}),
        _call(7105, 0.9, ANNA, session="s5", steps=_steps(0.9), employee="104", is_unique=False, channel="email",
              source="newsletter", medium="email", campaign="november", **anna),
    ]  # fmt: skip


_FROM_SITE = {
    "page": "https://windows.example/contacts#form", "landing_page": "https://windows.example/prices?utm_source=yandex",
    "ga_client_id": "1234567.1700000000", "device": "mobile", "browser": "Chrome", "os": "Android",
}  # fmt: skip


def _of_others() -> list[AppealRow]:
    again = {"customer": "79169990000", "location": "Тверь", "visitor": "v2", "channel": "referral",
             "source": "forum.example", "medium": "referral", "person": "А. Петрова"}  # fmt: skip
    return [
        _call(7201, 29.9, AGAIN, session="t1", **again),
        _call(7401, 3, NOBODY, customer=None, session=None, visitor=None, location=None, channel=None, source=None,
              method="unattributed", confidence=0.0),
    ]  # fmt: skip


async def _hostile(postgres: Pool) -> None:
    said: dict[str, Any] = dict.fromkeys(
        ("campaign", "keyword", "source", "medium", "content", "location", "device", "os", "browser", "channel"), SCRIPT
    )
    places: dict[str, Any] = dict.fromkeys(("landing_page", "page", "referrer"), ADDRESS)
    at = NOW - 5 * DAY
    await put_visit(postgres, "x1", "vx", at, title=SCRIPT, **said, **places)
    await postgres.execute("UPDATE visit_pages SET url = $1, title = $2 WHERE session = 'x1'", ADDRESS, SCRIPT)
    said |= dict.fromkeys(("person", "email", "final_group", "employee", "title"), SCRIPT)
    steps = (
        Step(at, "started"),
        Step(at, "group_entered", group=SCRIPT),
        Step(at, "rang", who=SCRIPT),
        Step(at, "ended"),
    )
    row = _call(7301, 4.99, HOSTILE, session="x1", visitor="vx", customer="79160000666", steps=steps, recording=ADDRESS,
                details={SCRIPT: SCRIPT}, **said | places)  # fmt: skip
    await put(postgres, row)
    await postgres.execute("UPDATE clients SET name = $1, note = $1 WHERE id = $2", SCRIPT, HOSTILE)
    await postgres.execute(
        "INSERT INTO client_identities VALUES (2, 'visitor', 'vx', $1, $2, $2), (2, 'crm', $3, $1, $2, $2)",
        HOSTILE, at, SCRIPT,
    )  # fmt: skip
    await postgres.execute(
        "INSERT INTO appeal_notes (account_id, appeal_id, tags, comment) VALUES (2, $1, ARRAY[$2], $2)", row.id, SCRIPT
    )
    await postgres.execute(
        """INSERT INTO client_merges (account_id, survivor_id, merged_id, kind, value, moved)
           VALUES (2, $1, 999, 'email', $2, '{"identities": [], "appeals": [], "deals": [], "client":
           {"account_id": 2, "id": 999, "note": "", "first_touch_at": "2026-01-01", "created_at": "2026-01-01"}}')""",
        HOSTILE, SCRIPT,
    )  # fmt: skip


async def _deals(postgres: Pool) -> None:
    add = """INSERT INTO deals (account_id, client_id, title, stage, funnel, crm, crm_id, url, employee, revenue,
        currency, opened_at, closed_at, won) VALUES (2, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"""
    anna = (ANNA, "Окна в гостиную", "Оплачено", "Розница", "bitrix24", "D-1", "https://crm.example/deal/1", "Ольга")
    await postgres.execute(add, *anna, 128000.5, "RUB", NOW - 39 * DAY, NOW - 31 * DAY, True)
    lost = (ANNA, "Балкон", "Отказ", "Розница", "", None, "", "Ольга", 45000, "RUB", NOW - 10 * DAY, NOW - 9 * DAY)
    await postgres.execute(add, *lost, False)
    await postgres.execute(add, ANNA, "", "Замер", "", "", None, "", "", 300, "EUR", NOW - 0.5 * DAY, None, None)
    evil = (HOSTILE, SCRIPT, SCRIPT, SCRIPT, SCRIPT, SCRIPT, ADDRESS, SCRIPT, 1, "RUB", NOW - DAY, None, None)
    await postgres.execute(add, *evil)


async def _pages(postgres: Pool, session: str, at: datetime, count: int) -> None:
    await postgres.execute(
        """INSERT INTO visit_pages (account_id, at, session, sequence, url, title, seconds)
           SELECT 2, $1::timestamptz + n * interval '40 seconds', $2, n + 1, 'https://windows.example/page/' || n,
               'Страница ' || n, 38.5 FROM generate_series(1, $3::int - 1) n""",
        at, session, count,
    )  # fmt: skip
