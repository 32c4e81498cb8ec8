"""Logs: to stderr, without secrets, and not too many of a kind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog

from callrouter import log


@pytest.fixture(autouse=True)
def _configured_for_this_test() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_traceback_shows_no_variables(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    log.set_up("info", form)
    password = "".join(["hu", "sh", "hush"])
    try:
        int(password[:0])
    except ValueError:
        structlog.get_logger().exception("SOMETHING-FAILED")
    told = capsys.readouterr()
    assert told.out == ""
    assert "invalid literal" in told.err
    assert "hushhush" not in told.err


def test_messages_of_a_kind_are_said_once_a_minute_with_the_count_of_those_held_back(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.set_up("info", "json")
    now = 0.0
    say = log.OncePerKind(lambda: now)
    for _ in range(3):
        say.error("A-KIND")
    say.warning("ANOTHER-KIND")
    now = 61.0
    say.error("A-KIND")
    lines = capsys.readouterr().err.splitlines()
    assert [("A-KIND" in line, '"since_last":2' in line.replace(" ", "")) for line in lines] == [
        (True, False), (False, False), (True, True),
    ]  # fmt: skip
    assert '"level":"error"' in lines[0].replace(" ", "")
