"""A real Asterisk for the tests of this folder, obtained once; each test starts the instance it needs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from callrouter.lab.asterisk import Attachment
from callrouter.lab.calls import AsteriskLab
from callrouter.lab.obtain import LabUnavailable, PbxSoftware, obtain
from tests.pbx.scene import Play, on_stage

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


@pytest.fixture(scope="session")
def runner() -> Iterator[asyncio.Runner]:
    """The event loop of the tests that share a PBX."""
    with asyncio.Runner() as runner:
        yield runner


class SharedPbx:
    """One Asterisk of each version, for all tests that only change how its dialplan asks."""

    def __init__(self, usual: PbxSoftware, folder: Path) -> None:
        self._usual = usual
        self._folder = folder
        self._labs: dict[int, AsteriskLab] = {}

    @asynccontextmanager
    async def __call__(self, software: PbxSoftware | None = None, **attachment: object) -> AsyncIterator[AsteriskLab]:
        software = software or self._usual
        pbx = self._labs.get(software.major)
        if pbx is None:
            pbx = self._labs[software.major] = AsteriskLab(software, self._folder / str(software.major))
            await pbx.start()
        await pbx.attach(Attachment(**attachment))  # type: ignore[arg-type]
        yield pbx

    async def stop(self) -> None:
        for pbx in self._labs.values():
            await pbx.stop()


@pytest.fixture(scope="session")
def shared_pbx(
    asterisk_22: PbxSoftware, tmp_path_factory: pytest.TempPathFactory, runner: asyncio.Runner
) -> Iterator[SharedPbx]:
    shared = SharedPbx(asterisk_22, tmp_path_factory.mktemp("pbx"))
    yield shared
    runner.run(shared.stop())


def _obtained(version: int) -> PbxSoftware:
    try:
        return obtain(version)
    except LabUnavailable as reason:
        pytest.fail(str(reason))


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    """Runs a scenario on the module's product."""
    with asyncio.Runner() as runner:
        stage = on_stage(tmp_path_factory.mktemp("stage"))
        scene = runner.run(stage.__aenter__())
        try:
            yield lambda scenario: runner.run(scenario(scene))
        finally:
            runner.run(stage.__aexit__(None, None, None))
