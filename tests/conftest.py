"""How the whole suite is shared between two processes: the PBX's tests by one, one after another, the rest by files."""

from __future__ import annotations

import pytest

ALONE = {"pbx", "browser"}
"""Folders whose tests are not run beside each other: each has one Asterisk, or one Chromium."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder = item.path.parent.name
        item.add_marker(pytest.mark.xdist_group(folder if folder in ALONE else str(item.path)))
