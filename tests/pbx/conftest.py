"""A real Asterisk for the tests of this folder, obtained once; each test starts the instance it needs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from callrouter.lab.asterisk import Attachment
from callrouter.lab.calls import AsteriskLab
from callrouter.lab.obtain import LabUnavailable, PbxSoftware, obtain

Build = Callable[..., AsteriskLab]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("pbx")


@pytest.fixture(scope="session")
def asterisk_22() -> PbxSoftware:
    return _obtained(22)


@pytest.fixture(scope="session")
def asterisk_16() -> PbxSoftware:
    return _obtained(16)


@pytest.fixture
def new_pbx(asterisk_22: PbxSoftware, tmp_path: Path) -> Build:
    """Builds labs in folders of their own, of Asterisk 22 unless another software is given."""

    def build(software: PbxSoftware = asterisk_22, name: str = "pbx1", **attachment: object) -> AsteriskLab:
        settings = Attachment(**attachment)  # type: ignore[arg-type]
        return AsteriskLab(software, tmp_path / name, name=name, attachment=settings)

    return build


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """One event loop for the tests of a module that share a PBX."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def pbx_of_module(
    asterisk_22: PbxSoftware, tmp_path_factory: pytest.TempPathFactory, runner: asyncio.Runner
) -> Iterator[AsteriskLab]:
    """An Asterisk 22 that the tests of a module share, which nobody asks."""
    pbx = AsteriskLab(asterisk_22, tmp_path_factory.mktemp("pbx"))
    runner.run(pbx.start())
    yield pbx
    runner.run(pbx.stop())


def _obtained(version: int) -> PbxSoftware:
    try:
        return obtain(version)
    except LabUnavailable as reason:
        pytest.fail(str(reason))
