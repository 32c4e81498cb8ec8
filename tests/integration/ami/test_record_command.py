"""`callrouter record` as a command: what it says when nothing can be recorded."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from callrouter.cli import main
from callrouter.lab.ports import free_port


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "callrouter.toml"
    file.write_text(f'[[pbx]]\nami = "127.0.0.1:{free_port()}"\nami_secret = "x"\n', encoding="utf-8")
    return file


def recorded(config: Path, out: Path) -> Result:
    return CliRunner().invoke(main, ["record", "--config", str(config), "--out", str(out), "--seconds", "0.3"])


def test_a_pbx_that_is_away_is_an_error_and_leaves_no_file(config: Path, tmp_path: Path) -> None:
    result = recorded(config, tmp_path / "odd.ami")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "AMI-LOST" in result.stderr
    assert "nothing was recorded" in result.stderr
    assert not (tmp_path / "odd.ami").exists()


def test_a_file_that_cannot_be_written_is_said_in_one_line(config: Path, tmp_path: Path) -> None:
    result = recorded(config, tmp_path / "nowhere" / "odd.ami")
    assert result.exit_code == 1
    assert "cannot be written: No such file or directory" in result.stderr
