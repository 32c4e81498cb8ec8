"""How the whole suite is shared by two processes: the tests of the PBX, and of the browser, by one; others by files."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from xdist.scheduler import LoadScopeScheduling

TOGETHER = {"pbx", "browser"}
"""Folders whose tests are not run beside each other: one Asterisk at a time, one Chromium."""


class ByFolder(LoadScopeScheduling):  # type: ignore[misc]  # xdist tells no types
    """Tests of a file, or of such a folder, are one process's."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        folder = PurePosixPath(file).parent.name
        return folder if folder in TOGETHER else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByFolder:
    return ByFolder(config, log)
