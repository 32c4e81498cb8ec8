"""`callrouter user`: who may sign in, as an operator says on the command line, on a real Postgres."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest
from argon2 import PasswordHasher
from click.testing import CliRunner, Result

from callrouter.cli import main
from callrouter.db.connect import connect
from callrouter.people import passwords

Cli = Callable[..., Result]
GOOD = "correct horse staple"
FIELDS = ["user", "account", "email", "name", "role", "locale", "password", "openid", "disabled_at", "created_at",
          "signed_in_at"]  # fmt: skip


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a hash costs is of no interest here."""
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
def cli(database: str) -> Cli:
    def run(*words: str, typed: str | None = None) -> Result:
        return CliRunner().invoke(main, ("user", *words), env={"CALLROUTER_POSTGRES_URL": database}, input=typed)

    return run


@pytest.fixture
def acme(cli: Cli, database: str) -> Cli:
    """With an account besides the operator's own."""
    assert (
        CliRunner().invoke(main, ("account", "add", "Acme"), env={"CALLROUTER_POSTGRES_URL": database}).exit_code == 0
    )
    return cli


def told(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def refusal(result: Result) -> str:
    assert result.exit_code != 0
    assert "Traceback" not in result.output
    assert result.stdout == ""
    return result.stderr


def asked(database: str, query: str, *values: object) -> list[asyncpg.Record]:
    async def ask() -> list[asyncpg.Record]:
        conn = await connect(database)
        try:
            return await conn.fetch(query, *values)
        finally:
            await conn.close()

    return asyncio.run(ask())


def fits(database: str, email: str, password: str) -> bool:
    (row,) = asked(database, "SELECT password_hash FROM users WHERE email = $1", email)
    return passwords._fits(row["password_hash"], password)


def test_the_first_operator_is_made_with_a_password_that_is_shown_once(cli: Cli, database: str) -> None:
    result = cli("add", "Op@Operator.example", "--role", "operator", "--name", "Оля")
    (made,) = told(result)
    given = made.pop("password")
    assert list(made) == [name for name in FIELDS if name != "password"]
    assert (made["account"], made["email"], made["name"], made["locale"]) == (1, "op@operator.example", "Оля", "ru")
    assert "not shown again" in result.stderr
    assert fits(database, "op@operator.example", given)
    (listed,) = told(cli("list"))
    assert listed == {**made, "password": True}
    assert given not in cli("list").output
    (row,) = asked(database, "SELECT must_change_password, password_hash FROM users")
    assert row["must_change_password"]
    assert given not in row["password_hash"]


def test_a_password_of_ones_own_is_read_from_stdin_and_never_printed(acme: Cli, database: str) -> None:
    result = acme(
        "add", "ann@acme.example", "--role", "admin", "--account", "Acme", "--locale", "en", "--ask", typed=f"{GOOD}\n"
    )
    (made,) = told(result)
    assert (made["account"], made["locale"], made["password"]) == (2, "en", None)
    assert GOOD not in result.output
    assert fits(database, "ann@acme.example", GOOD)
    (row,) = asked(database, "SELECT must_change_password FROM users")
    assert not row["must_change_password"]


@pytest.mark.parametrize(
    ("words", "typed", "why"),
    [
        (("add", "ann@acme.example", "--role", "boss"), None, "'boss' is not one of"),
        (("add", "ann@acme.example"), None, "--role"), (("add", "ann", "--role", "operator"), None, "no e-mail"),
        (("add", "ann@acme.example", "--role", "admin", "--account", "Acne"), None, "Acme"),
        (("add", "ann@acme.example", "--role", "operator", "--account", "Acme"), None, "users of account 1"),
        (("add", "a@b.example", "--role", "viewer", "--name", "x" * 121), None, "120 characters"),
        (("add", "ann@acme.example", "--role", "viewer", "--ask"), "short\n", "fewer than 10"),
        (("add", "ann@acme.example", "--role", "viewer", "--ask"), "", "fewer than 10"),
        (("add", "ann@acme.example", "--role", "viewer", "--ask"), "ann@acme.example\n", "e-mail or the name"),
        (("disable", "nobody@acme.example"), None, "there is no user"), (("enable", "nobody"), None, "no e-mail"),
        (("password", "nobody@acme.example"), None, "there is no user"),
        (("unbind", "nobody@acme.example"), None, "there is no user"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_with_the_reason(
    acme: Cli, words: tuple[str, ...], typed: str | None, why: str
) -> None:
    assert why in refusal(acme(*words, typed=typed))
    assert told(acme("list")) == []


def test_an_email_signs_in_once_on_a_server(acme: Cli) -> None:
    told(acme("add", "ann@acme.example", "--role", "viewer", "--account", "Acme"))
    assert "ann@acme.example already" in refusal(acme("add", "ANN@acme.example", "--role", "viewer"))


def test_who_is_disabled_or_given_a_password_is_signed_out_and_the_record_tells(acme: Cli, database: str) -> None:
    for email in ("ann@acme.example", "max@acme.example"):
        told(acme("add", email, "--role", "manager", "--account", "Acme"))

    def browsers() -> set[str]:
        return {
            row["email"] for row in asked(database, "SELECT email FROM browser_sessions JOIN users u ON u.id = user_id")
        }

    sign_in = """INSERT INTO browser_sessions (account_id, user_id, hash, form_key, expires_at)
        SELECT account_id, id, sha256(email::bytea), 'k', now() + interval '1 day' FROM users"""
    asked(database, sign_in)
    (off,) = told(acme("disable", "Ann@acme.example"))
    assert off["disabled_at"] is not None
    assert browsers() == {"max@acme.example"}
    (on,) = told(acme("enable", "ann@acme.example"))
    assert on["disabled_at"] is None
    (given,) = told(acme("password", "max@acme.example"))
    assert browsers() == set()
    assert fits(database, "max@acme.example", given["password"])
    told(acme("password", "max@acme.example", "--ask", typed=f"{GOOD}\n"))
    assert fits(database, "max@acme.example", GOOD)
    rows = asked(database, "SELECT action, subject, user_id FROM audit WHERE action LIKE 'user.%' ORDER BY id")
    assert [(row["action"], row["subject"][:3]) for row in rows] == [
        ("user.add", "ann"), ("user.add", "max"), ("user.disable", "ann"), ("user.enable", "ann"),
        ("user.password", "max"), ("user.password", "max"),
    ]  # fmt: skip
    assert {row["user_id"] for row in rows} == {None}, "it was the command line"


def test_an_openid_identity_is_forgotten(acme: Cli, database: str) -> None:
    told(acme("add", "ann@acme.example", "--role", "viewer", "--account", "Acme"))
    assert "bound to no OpenID identity" in refusal(acme("unbind", "ann@acme.example"))
    asked(database, "UPDATE users SET oidc_issuer = 'https://login.example', oidc_subject = '7'")
    assert [each["openid"] for each in told(acme("list"))] == [True]
    (made,) = told(acme("unbind", "ann@acme.example"))
    assert made["openid"] is False


def test_a_user_gets_another_address_and_the_old_one_is_free_again(acme: Cli, database: str) -> None:
    for email in ("ann@acme.example", "max@acme.example"):
        told(acme("add", email, "--role", "viewer", "--account", "Acme"))
    assert "max@acme.example already" in refusal(acme("email", "ann@acme.example", "MAX@acme.example"))
    assert "no e-mail" in refusal(acme("email", "ann@acme.example", "nonsense"))
    (made,) = told(acme("email", "ann@acme.example", "Ann.Lee@acme.example"))
    assert made["email"] == "ann.lee@acme.example"
    told(acme("add", "ann@acme.example", "--role", "viewer"))
    (row,) = asked(database, "SELECT details FROM audit WHERE action = 'user.change'")
    assert row["details"]["email"] == ["ann@acme.example", "ann.lee@acme.example"]


def test_users_are_listed_by_account_those_who_may_sign_in_first(acme: Cli) -> None:
    for email, account in (("zoe@acme.example", "Acme"), ("ann@acme.example", "Acme"), ("bob@acme.example", "Acme")):
        told(acme("add", email, "--role", "viewer", "--account", account))
    told(acme("add", "op@operator.example", "--role", "operator"))
    told(acme("disable", "ann@acme.example"))
    assert [each["email"][:3] for each in told(acme("list"))] == ["op@", "bob", "zoe", "ann"]
