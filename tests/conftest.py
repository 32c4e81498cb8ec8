"""How the whole suite is shared by processes: the PBX's tests by one, the browser's by one, others by files.

What takes longest is begun first, so that no process is left with it when the others have nothing more to do. The tests
of the PBX wait most of the time, and hold people to seconds: there may be a process more than there are processors, and
whoever only computes gives way to them.
"""

from __future__ import annotations

import os
from pathlib import PurePosixPath

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

TOGETHER = {"pbx", "browser"}
"""Folders whose tests are not run beside each other: one Asterisk at a time, one Chromium."""
LONGEST = ["pbx", "browser", "test_pool_plan", "test_kept", "test_default_size", "test_runs", "test_faults"]
"""Folders and files that take longest. The others follow by how many tests they have."""
GIVES_WAY = 5
_yielded: list[int] = []

settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")  # how long an example takes is the machine's, which others use too


class ByFolder(LoadScopeScheduling):  # type: ignore[misc]  # xdist tells no types
    """Tests of a file, or of such a folder, are one process's."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        folder = PurePosixPath(file).parent.name
        return folder if folder in TOGETHER else file

    def _assign_work_unit(self, node: WorkerController) -> None:
        longest = min(self.workqueue, key=_turn)
        self.workqueue.move_to_end(longest, last=False)
        super()._assign_work_unit(node)


def _turn(scope: str) -> int:
    name = PurePosixPath(scope).stem
    return LONGEST.index(name) if name in LONGEST else len(LONGEST)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByFolder:
    return ByFolder(config, log)


def pytest_runtest_setup(item: pytest.Item) -> None:
    shared = hasattr(item.config, "workerinput")
    if shared and not _yielded and item.path.parent.name not in TOGETHER:
        _yielded.append(os.nice(GIVES_WAY))
