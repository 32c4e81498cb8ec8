"""Roles, passwords, guesses, words and formats of the pages: what can be said of them without a server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po
from hypothesis import given
from hypothesis import strategies as st

from callrouter.people import passwords
from callrouter.people.audit import Action
from callrouter.people.passwords import WeakPassword, generated, require_strong
from callrouter.people.roles import ROLES, SCOPES, SCOPES_OF, may_give
from callrouter.people.tries import FREE_OF_LINE, FREE_TRIES, LINE_WAIT, LONGEST_WAIT, Tries
from callrouter.people.users import email_of
from callrouter.pool.inventory import Refused
from callrouter.web.pages import files, record, tokens, users
from callrouter.web.pages.formats import Formats
from callrouter.web.pages.words import FOLDER, accepted, refusal_in

KEYWORDS: dict[str, Any] = {
    "_": None, "gettext": None, "N_": None, "Refused": None, "WeakPassword": None, "NotHis": None, "NoSense": None,
    "NotANumber": None, "Worded": None, "Wording": None, "Fault": (2,), "BadFilter": (2,), "ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
}  # fmt: skip
PACKAGE = Path("callrouter")


def test_each_role_may_all_that_the_humbler_one_may_and_something_more() -> None:
    scopes = [SCOPES_OF[role] for role in reversed(ROLES)]
    for humbler, higher in pairwise(scopes):
        assert humbler < higher
        assert may_give(higher, humbler)
        assert not may_give(humbler, higher)
    assert SCOPES_OF["operator"] == set(SCOPES)
    assert not [scope for scope in SCOPES_OF["viewer"] if not scope.endswith(":read")]


def test_all_scopes_roles_and_actions_have_words_on_the_pages() -> None:
    assert set(tokens.SCOPE_TEXTS) == set(SCOPES)
    assert set(users.ROLE_NAMES) == set(users.ROLE_TEXTS) == set(ROLES)
    assert set(record.ACTIONS) == set(get_args(Action))


@pytest.mark.parametrize(
    "password", ["short", "x" * 201, "aaaaaaaaaaaa", "1234567890", "QwertyUIOP", "Anna.Petrova", "anna@shop.example1"]
)
def test_weak_passwords_are_refused(password: str) -> None:
    with pytest.raises(WeakPassword):
        require_strong(password, email="anna@shop.example", name="Anna.Petrova")


def test_a_user_who_is_unknown_costs_as_much_as_one_who_is_not() -> None:
    assert not passwords.needs_rehash(passwords._nobody)


def test_what_is_drawn_is_strong_and_each_time_another() -> None:
    drawn = {generated() for _ in range(100)}
    assert len(drawn) == 100
    for password in drawn:
        require_strong(password, email="anna@shop.example")


@pytest.mark.parametrize(
    "text", ["", "a", "a@", "@b", "a b@c", "a@b,c@d", "a@b\nc", "<a@b>", "a" * 65 + "@b", "a@b\x00"]
)
def test_what_is_no_e_mail_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        email_of(text)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), st.floats(0, 400)), max_size=60))
def test_a_user_waits_only_for_his_own_line_and_never_long(told: list[tuple[str, str, float]]) -> None:
    tries, now = Tries(), 0.0
    for line, user, pause in told:
        now += pause
        if tries.wait(line, user, now) == 0:
            tries.begin(line, user, now)
        assert 0 <= tries.wait(line, user, now) <= LONGEST_WAIT
        assert tries.wait("another line", user, now) == 0


def test_each_wrong_try_waits_twice_as_long_and_a_right_one_forgets_them() -> None:
    tries = Tries()
    for _ in range(FREE_TRIES):
        assert tries.wait("a", "x", 0) == 0
        tries.begin("a", "x", 0)
    assert tries.wait("a", "x", 0) == 1
    tries.begin("a", "x", 1)
    assert tries.wait("a", "x", 1) == 2
    assert tries.wait("a", "y", 1) == 0
    tries.was_right("a", "x")
    assert tries.wait("a", "x", 1) == 0


def test_one_password_tried_on_many_users_is_slowed_too() -> None:
    tries = Tries()
    for number in range(FREE_OF_LINE):
        tries.begin("a", f"user {number}", 0)
    assert tries.wait("a", "fresh", 0) == LINE_WAIT
    assert tries.wait("b", "fresh", 0) == 0


def messages() -> Iterator[tuple[str, Any, str | None]]:
    with (FOLDER / "babel.cfg").open() as config:
        methods, options = parse_mapping_cfg(config)  # type: ignore[no-untyped-call] # the library has no type for it
    for file, _line, message, _comments, context in extract_from_dir(
        PACKAGE, methods, options, KEYWORDS, callback=None, strip_comment_tags=True
    ):
        yield file, message, context


def test_every_text_of_the_pages_has_a_russian_one_with_the_same_places() -> None:
    with (FOLDER / "ru.po").open("rb") as source:
        catalog = read_po(source, locale="ru", abort_invalid=True)
    found = 0
    for file, message, context in messages():
        texts = message if isinstance(message, tuple) else (message,)
        entry = catalog.get(texts[0], context)
        assert entry is not None, f"{file}: {texts[0]!r} is not in ru.po: make messages"
        russian = entry.string if isinstance(entry.string, tuple) else (entry.string,)
        assert all(russian), f"{texts[0]!r} has no Russian text"
        assert not entry.fuzzy
        for each in russian:
            assert places(str(each)) == places(str(texts[-1])), texts[0]
        found += 1
    assert found > 200, "the search finds nothing: have the pages changed their form?"


def places(text: str) -> list[str]:
    return sorted(re.findall(r"%\(\w+\)\w|\{\w+(?:!r)?\}", text))


def test_templates_have_no_inline_script_or_style_and_nothing_from_elsewhere() -> None:
    for template in (PACKAGE / "web/pages/templates").glob("*.html"):
        text = template.read_text(encoding="utf-8")
        if not template.name.startswith("letter_"):  # mail programs know no stylesheets
            assert not re.search(r"<style|\sstyle=", text), template.name
        assert not re.search(r"\son\w+=|javascript:|\|\s*safe\b", text), template.name
        assert not re.search(r"<script(?![^>]*\ssrc=)", text), template.name
        assert not re.search(r"(?:src|href|action)=[\"']?(?:https?:)?//", text), template.name


def test_files_are_sent_under_names_of_their_content() -> None:
    for path, file in files.sent_files().items():
        assert re.fullmatch(r"/static/[\w-]+\.[0-9a-f]{12}\.(css|js|svg)", path)
        assert len(file.compressed) < 12_000, path
    assert sum(len(file.compressed) for file in files.sent_files().values()) < 60_000


@pytest.mark.parametrize(
    ("header", "locale"),
    [("ru-RU,ru;q=0.9,en;q=0.8", "ru"), ("en-US,en;q=0.9,ru;q=0.8", "en"), ("de,ru;q=0.5,en;q=0.4", "ru"), ("", "en"),
     ("de", "en"), ("ru;q=0.1,en;q=0.2", "en"), (";;;,,,q=", "en"), ("ru;q=9999", "en"), ("x" * 9000, "en")],
)  # fmt: skip
def test_a_stranger_is_met_in_his_browsers_language(header: str, locale: str) -> None:
    assert accepted(header) == locale


def test_times_numbers_and_money_are_written_as_the_reader_does() -> None:
    at = datetime(2026, 3, 1, 22, 5, 9, tzinfo=UTC)
    russian, english = Formats("ru", "Europe/Moscow"), Formats("en", "Asia/Almaty")
    assert russian.moment(at) == "2 мар. 2026\u202fг., 01:05"
    assert english.moment(at, seconds=True) == "2 Mar 2026, 03:05:09"
    assert russian.number(1234567.891, 2) == "1\xa0234\xa0567,89"
    assert english.money(Decimal("1234.50"), "RUB") == "RUB\xa01,234.50"
    assert russian.money(Decimal("1234.50"), "RUB") == "1\xa0234,50\xa0₽"
    assert (russian.phone("74952232725"), russian.phone("101"), russian.phone(None)) == ("+7 495 223-27-25", "101", "—")
    assert (russian.lasted(187), russian.lasted(3765), russian.lasted(None)) == ("3:07", "1:02:45", "—")
    assert russian.percent(0.256) == "26\xa0%"
    assert Formats("ru", "Mars/Olympus").clock(at) == "22:05"


def test_a_refusal_is_told_in_the_readers_language() -> None:
    error = Refused("{text!r} is no e-mail address", text="x{y}")
    assert str(error) == "'x{y}' is no e-mail address"
    assert refusal_in("ru", error) == "'x{y}' — не адрес почты"
