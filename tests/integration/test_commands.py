"""The command line: each command answers --help, prints JSON on stdout, and tells mistakes without a traceback."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from callrouter.calls.record import CallRecord
from callrouter.cli import COMMANDS, main
from callrouter.db.connect import connect

CAPTURE = Path("tests/captures/22/blind_transfer.ami")
PBX = """
[[pbx]]
name = "pbx1"
inbound_contexts = ["from-trunk"]
trunks = ["PJSIP/carrier"]
group_contexts = ["ring-groups"]
internal_contexts = ["from-internal"]
"""


def run(*words: str, **environ: str) -> Result:
    return CliRunner().invoke(main, words, env=environ)


def told(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def pbx_file(tmp_path: Path) -> str:
    file = tmp_path / "pbx.toml"
    file.write_text(PBX)
    return str(file)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_each_command_explains_itself(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert len(result.output.splitlines()) > 4


def test_replay_tells_a_call_with_the_fields_of_the_rules(pbx_file: str) -> None:
    (call,) = told(run("replay", "--config", pbx_file, str(CAPTURE)))
    assert list(call) == [field.name for field in msgspec.structs.fields(CallRecord)]
    assert (call["status"], call["group"], call["employee"]) == ("answered", "support", "211")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", call["started_at"])


def without_login(text: bytes) -> bytes:
    return text[text.index(b"Event: Newchannel") :]


def headers_reversed(text: bytes) -> bytes:
    blocks = without_login(text).split(b"\r\n\r\n")
    return b"\r\n\r\n".join(b"\r\n".join(reversed(block.split(b"\r\n"))) for block in blocks)


@pytest.mark.parametrize(
    "changed",
    [
        without_login,
        headers_reversed,
        lambda text: text.replace(b"\r\n", b"\n"),
        lambda text: b"\xff\x00garbage\r\n\r\n" + text,
    ],
    ids=["without login", "headers reversed", "LF", "garbage before"],
)  # fmt: skip
def test_replay_takes_a_capture_in_any_spelling(tmp_path: Path, pbx_file: str, changed: Any) -> None:
    (tmp_path / "changed.ami").write_bytes(changed(CAPTURE.read_bytes()))
    (tmp_path / "packed.ami.gz").write_bytes(gzip.compress(CAPTURE.read_bytes()))
    as_it_is = run("replay", "--config", pbx_file, str(CAPTURE)).stdout_bytes
    assert run("replay", "--config", pbx_file, str(tmp_path / "changed.ami")).stdout_bytes == as_it_is
    assert run("replay", "--config", pbx_file, str(tmp_path / "packed.ami.gz")).stdout_bytes == as_it_is


def test_replay_goes_on_after_a_file_that_is_no_capture(tmp_path: Path, pbx_file: str) -> None:
    (tmp_path / "none.ami").write_bytes(b"\x00\x01binary")
    result = run("replay", "--config", pbx_file, str(tmp_path / "none.ami"), str(CAPTURE))
    assert result.exit_code == 1
    assert "none.ami" in result.stderr
    assert len(result.stdout.splitlines()) == 1, "the good capture is told all the same"


def test_source_explains_a_first_hit() -> None:
    (hit,) = told(run("source", "--url", "https://shop.example/?yclid=7", "--referrer", "https://yandex.ru/"))
    assert list(hit) == ["channel", "source", "medium", "campaign", "keyword", "content", "click_id"]
    assert (hit["source"], hit["medium"], hit["click_id"]) == ("yandex", "cpc", "7")


def test_config_check_names_the_line_of_each_server_that_cannot_be_used(tmp_path: Path, database: str) -> None:
    file = tmp_path / "callrouter.toml"
    file.write_text(
        f'[postgres]\nurl = "{database}"\n[redis]\nurl = "redis://127.0.0.1:1/0"\n[[pbx]]\nami = "127.0.0.1:1"\n'
    )
    result = run("config", "check", "--config", str(file))
    assert result.exit_code == 1
    assert "callrouter.toml:4 (redis.url): Redis/Valkey cannot be reached" in result.stderr
    assert "callrouter.toml:6 (pbx.0.ami): AMI of pbx1 cannot be reached" in result.stderr
    assert "Postgres" not in result.stderr
    assert run("config", "check", "--offline", "--config", str(file)).exit_code == 0


def test_config_show_masks_secrets(tmp_path: Path) -> None:
    file = tmp_path / "callrouter.toml"
    file.write_text('[redis]\nurl = "redis://:sekret@r:6379/0"\n')
    result = run("config", "show", "--config", str(file), CALLROUTER_WEB_TOKEN_SECRET="0123456789abcdefsekret")
    assert "sekret" not in result.stdout
    (shown,) = told(result)
    assert shown["redis"]["url"] == "redis://:********@r:6379/0"


LEASE = """
INSERT INTO leases (account_id, number, id, pool_id, site_id, session, visitor, started_at, seen_at, expires_at,
                    ended_at, end_reason)
VALUES (2, '74952220101', 'l1', 1, 1, 's1', 'v1', '2026-05-01 12:00Z', '2026-05-01 12:05Z', '2026-05-01 12:35Z',
        '2026-05-01 12:35Z', 'expired')"""


def test_lease_show_tells_who_held_a_number_and_why(database: str) -> None:
    async def write() -> None:
        conn = await connect(database)
        await conn.execute("INSERT INTO accounts (id, name) OVERRIDING SYSTEM VALUE VALUES (2, 'Acme')")
        await conn.execute(LEASE)
        await conn.close()

    asyncio.run(write())

    def ask(at: str) -> dict[str, Any]:
        (answer,) = told(run("lease", "show", "84952220101", "--at", at, CALLROUTER_POSTGRES_URL=database))
        return answer

    held = ask("2026-05-01T15:10:00+03:00")
    assert held["holder"]["session"] == "s1"
    assert held["why"].startswith("was leased to visit s1")
    later = ask("2026-05-01T13:00:00")
    assert later["holder"] is None
    assert later["last_holder"]["session"] == "s1"
    before = ask("2026-05-01T11:00:00")
    assert (before["holder"], before["last_holder"]) == (None, None)


def test_migrations_run_once_from_the_command_line(empty_database: str) -> None:
    (first,) = told(run("db", "migrate", CALLROUTER_POSTGRES_URL=empty_database))
    (second,) = told(run("db", "migrate", CALLROUTER_POSTGRES_URL=empty_database))
    assert first["migrations_run"] > 0
    assert second["migrations_run"] == 0
