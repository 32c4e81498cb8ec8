"""Obtaining Asterisk: the closure of packages, the cache, and an honest line when it cannot be had."""

from __future__ import annotations

from pathlib import Path

import pytest

from callrouter.lab import obtain
from callrouter.lab.obtain import LabUnavailable

LISTING = """\
asterisk
 |Depends: asterisk-config
  Depends: <asterisk-config-custom>
    asterisk-config
  Depends: libc6
 |Depends: libfirst1
  Depends: libsecond1
  PreDepends: zlib1g
libc6
  Depends: libgcc-s1
<asterisk-config-custom>
"""


def test_of_alternatives_the_first_is_taken() -> None:
    assert obtain._dependencies(LISTING)["asterisk"] == ["asterisk-config", "libc6", "libfirst1", "zlib1g"]


def test_only_libraries_are_taken_along() -> None:
    names = ["libc6", "zlib1g", "adduser", "python3", "asterisk-config"]
    assert [name for name in names if obtain._is_library(name)] == ["libc6", "zlib1g"]


def test_what_is_missing_and_what_to_do_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(obtain, "_installed", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabUnavailable) as failure:
        obtain.obtain(cache=tmp_path)
    text = str(failure.value)
    assert "no apt-get on this system" in text
    assert "install the packages asterisk and sip-tester" in text
    assert "\n" not in text


def test_version_that_no_suite_has_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(obtain, "_installed", lambda: None)
    with pytest.raises(LabUnavailable, match="no suite is known to have Asterisk 13"):
        obtain.obtain(13, cache=tmp_path)


def test_damaged_cache_is_said_to_be_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(obtain, "_installed", lambda: None)
    for suite in obtain.SUITES:
        (tmp_path / "asterisk" / suite).mkdir(parents=True)
    with pytest.raises(LabUnavailable, match="is damaged: delete it and repeat"):
        obtain.obtain(cache=tmp_path)


def test_cache_is_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLROUTER_CACHE", str(tmp_path))
    assert obtain.default_cache() == tmp_path
