"""The configuration: what is accepted, and how each mistake is told."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from callrouter.config import Config, PbxConfig
from callrouter.configfile import ConfigError, load, shown

GOOD = """\
[redis]
url = "redis://:sekret@127.0.0.1:6379/0"

[[pbx]]
name = "pbx1"
trunks = ["PJSIP/carrier"]

[[pbx]]
name = "pbx 2"
attach = "ari"
"""


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "callrouter.toml"
    file.write_text(text, encoding="utf-8")
    return file


def complaints(tmp_path: Path, text: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        load(written(tmp_path, text), environ)
    return [line.replace(str(tmp_path) + "/", "") for line in str(raised.value).splitlines()]


def test_defaults_stand_without_a_file() -> None:
    assert load(None, {}).config == Config()


def test_a_file_is_read_and_each_value_knows_its_line(tmp_path: Path) -> None:
    loaded = load(written(tmp_path, GOOD), {})
    assert [pbx.name for pbx in loaded.config.pbx] == ["pbx1", "pbx 2"]
    assert loaded.source.where("redis.url").endswith("callrouter.toml:2 (redis.url)")
    assert loaded.source.where("pbx.1.attach").endswith("callrouter.toml:10 (pbx.1.attach)")
    assert loaded.source.where("postgres.url") == "postgres.url (not set: the default)"


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    environ = {
        "CALLROUTER_REDIS_URL": "redis://elsewhere:1/0",
        "CALLROUTER_ROUTER_DEADLINE_MS": "90",
        "CALLROUTER_PBX_PBX_2_AMI_SECRET": "hush",
        "CALLROUTER_PBX_PBX1_TRUNKS": "PJSIP/a, PJSIP/b",
    }
    loaded = load(written(tmp_path, GOOD), environ)
    assert loaded.config.redis.url == "redis://elsewhere:1/0"
    assert loaded.config.router.deadline_ms == 90
    assert loaded.config.pbx[1].ami_secret == "hush"
    assert loaded.config.pbx[0].trunks == ("PJSIP/a", "PJSIP/b")
    assert loaded.source.where("redis.url") == "$CALLROUTER_REDIS_URL"


OIDC = '[oidc]\nissuer = "https://login.example"\nclient_id = "c"\nclient_secret = "s"\n'


def test_a_provider_of_sign_ins_is_read_and_its_secret_masked(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hush\n")
    text = OIDC.replace('client_secret = "s"', f'client_secret_file = "{secret}"')
    loaded = load(written(tmp_path, text), {"CALLROUTER_OIDC_CREATE_DOMAINS": "a.example, b.example"})
    assert (loaded.config.oidc.client_secret, loaded.config.oidc.label) == ("hush", "OpenID")
    assert loaded.config.oidc.create_domains == ("a.example", "b.example")
    assert "hush" not in str(shown(loaded.config))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("https://login", "http://login"), "(oidc.issuer)"), (("login.example", "login.example/?x"), "begins with"),
        (('"c"', '""'), "client_id"), (('"s"', '""'), "client_secret"), (("login.example", "["), "https"),
        (('"c"', '"c"\naddress = "https://calls.example/path"'), "address is a scheme and a host"),
        (('"c"', '"c"\naddress = "http://calls.example"'), "address must be"), (('"c"', '"c"\nlabel = " "'), "label"),
        (('"c"', '"c"\ncreate_as = "viewer"'), "create_domains"), (('"c"', '"c"\ncreate_as = "admin"'), "create_as"),
        (("https://login.example", ""), "nobody signs in"),
    ],
)  # fmt: skip
def test_a_provider_that_would_let_in_more_than_is_meant_is_refused(
    tmp_path: Path, change: tuple[str, str], told: str
) -> None:
    [complaint] = complaints(tmp_path, OIDC.replace(*change, 1))
    assert told in complaint


def test_every_unknown_key_is_told_at_once_with_line_and_likely_meaning(tmp_path: Path) -> None:
    text = '[rooter]\n[redis]\nurrl = "redis://x"\n[[pbx]]\nname = "a"\n[[pbx]]\nname = "b"\nami_usr = "x"\n'
    assert complaints(tmp_path, text) == [
        "callrouter.toml:1: unknown key 'rooter'; did you mean 'router'?",
        "callrouter.toml:3: unknown key 'redis.urrl'; did you mean 'url'?",
        "callrouter.toml:8: unknown key 'pbx.1.ami_usr'; did you mean 'ami_user'?",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[router]\nagi_listen = "here"', "callrouter.toml:2 (router.agi_listen): 'here' is not an address"),
        ("[router]\n\ndeadline_ms = 5000", "callrouter.toml:3 (router.deadline_ms): deadline_ms must lie in 1…1000"),
        ('[web]\nworkers = "many"', "callrouter.toml:2 (web.workers): expected `int`"),
        ('[redis]\nurl = "localhost"', "callrouter.toml:2 (redis.url): not a URL of the form redis://"),
        ('[[pbx]]\nname = "a"\nattach = "sip"', "callrouter.toml:3 (pbx.0.attach): invalid enum value 'sip'"),
        ('[[pbx]]\nname = ""', "callrouter.toml:2 (pbx.0.name): name is empty; it must equal `systemname`"),
        ('[[pbx]]\nname = "a"\n[[pbx]]\nname = "a"', "callrouter.toml: two [[pbx]] sections are named 'a'"),
        ("[router\n", "callrouter.toml: is not valid TOML"),
        ('[web]\ntoken_secret_file = "/nonexistent"', "callrouter.toml:2 (web.token_secret_file): /nonexistent cannot"),
        ("redis = 3", "callrouter.toml:1 (redis): expected `object`, got `int`"),
        ("pbx = 3", "callrouter.toml:1 (pbx): expected `array`, got `int`"),
    ],
)
def test_a_bad_value_is_told_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    lines = complaints(tmp_path, text)
    assert len(lines) == 1
    assert lines[0].startswith(told)


def test_a_bad_environment_variable_is_told_by_its_name(tmp_path: Path) -> None:
    lines = complaints(tmp_path, GOOD, CALLROUTER_WEB_WORKERS="x", CALLROUTER_NONSENSE="1")
    assert lines == [
        "$CALLROUTER_NONSENSE: names no configuration key; `callrouter config show` lists them",
        "$CALLROUTER_WEB_WORKERS: Expected `int`, got `str`",
    ]


def test_a_missing_or_binary_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "none.toml", {})
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="UTF-8"):
        load(tmp_path / "binary.toml", {})


def test_secrets_are_read_from_files_and_never_shown(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("p@ss/word\n")
    text = (
        f'[postgres]\nurl = "postgresql://me@db:5432/x"\npassword_file = "{tmp_path}/secret"\n'
        f'[redis]\nurl = "redis://:sekret@r:6379/0"\n'
        f'[[pbx]]\nname = "a"\nami_secret_file = "{tmp_path}/secret"\n'
    )
    config = load(written(tmp_path, text), {}).config
    assert config.postgres.url == "postgresql://me:p%40ss%2Fword@db:5432/x"
    assert config.pbx[0].ami_secret == "p@ss/word"
    printed = repr(shown(config))
    assert "sekret" not in printed
    assert "p%40ss" not in printed
    assert "p@ss" not in printed


def test_each_key_stands_in_the_reference() -> None:
    page = Path("docs/reference/configuration.md").read_text(encoding="utf-8")
    for section in msgspec.structs.fields(Config):
        kind = PbxConfig if section.name == "pbx" else section.type
        heading = r"## `\[+" + section.name + r"\]+`"
        assert re.search(heading, page), f"no section {section.name}"
        for field in msgspec.structs.fields(kind):
            assert f"`{field.name}`" in page, f"{section.name}.{field.name} is not in docs/reference/configuration.md"


def test_a_password_file_alone_completes_the_default_url(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s/cret\n")
    found = load(written(tmp_path, f'[postgres]\npassword_file = "{tmp_path}/password"\n'), {})
    assert found.config.postgres.url == "postgresql://callrouter:s%2Fcret@127.0.0.1:5432/callrouter"


def test_a_password_among_the_parameters_of_a_url_is_not_shown(tmp_path: Path) -> None:
    found = load(written(tmp_path, '[postgres]\nurl = "postgresql://h/d?user=u&password=hush&sslmode=require"\n'), {})
    assert "hush" not in str(shown(found.config))


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        ("[postgres]\npassword_file = 5\n", {}),
        ('[postgres]\nurl = 5\npassword_file = "FILE"\n', {}),
        ('[postgres]\nurl = "http://[x"\npassword_file = "FILE"\n', {}),
        ('[pbx]\nname = "x"\n', {"CALLROUTER_PBX_X_AMI_SECRET": "y"}),
        ('pbx = ["x"]\n', {"CALLROUTER_PBX_X_AMI_SECRET": "y"}),
        ('redis = "x"\n', {"CALLROUTER_REDIS_URL": "redis://h"}),
        ("[worker]\nsweep_seconds = 0\n", {}),
        ("[worker]\nsweep_seconds = nan\n", {}),
        ("[pool]\naffinity = 0.5\n", {}),
        ("[pool]\naffinity = nan\n", {}),
        ("[attribution]\nwindow_hours = 1e300\n", {}),
        ("[attribution]\nwindow_hours = nan\n", {}),
    ],
)
def test_what_has_the_wrong_shape_is_a_complaint_and_no_crash(
    tmp_path: Path, text: str, environ: dict[str, str]
) -> None:
    (tmp_path / "password").write_text("secret")
    assert complaints(tmp_path, text.replace("FILE", f"{tmp_path}/password"), **environ)
