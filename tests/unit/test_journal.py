"""The local journal: durable, ordered, and patient with disks, crashes and rivals."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from callrouter.appeals.encoding import encode
from callrouter.appeals.journal import DEAD_LETTERS, Journal, JournalError, JournalFull, JournalLocked
from callrouter.appeals.model import CallAppeal
from callrouter.appeals.segments import SegmentWriter, frame, segment_path, segment_sizes
from tests.call_samples import a_call, an_appeal
from tests.waiting import until


def with_journal(folder: Path, work: Callable[[Journal], Awaitable[None]], **options: float) -> None:
    async def run() -> None:
        journal = Journal(folder, **options)  # type: ignore[arg-type]
        try:
            await work(journal)
        finally:
            journal.close()

    asyncio.run(run())


def numbered(count: int, start: int = 0) -> list[CallAppeal]:
    return [an_appeal(a_call(f"1.{number}")) for number in range(start, start + count)]


async def append_all(journal: Journal, appeals: list[CallAppeal]) -> None:
    await asyncio.gather(*(journal.append(appeal) for appeal in appeals))


async def linkedids(journal: Journal, limit: int = 1000) -> list[str]:
    return [entry.appeal.call.linkedid for entry in await journal.read(limit) if isinstance(entry.appeal, CallAppeal)]


def test_appended_appeals_are_read_back_in_order_by_the_next_process(tmp_path: Path) -> None:
    appeals = numbered(50)

    async def write(journal: Journal) -> None:
        await append_all(journal, appeals)

    async def read(journal: Journal) -> None:
        assert [entry.appeal for entry in await journal.read(1000)] == appeals
        assert len(await journal.read(7)) == 7

    with_journal(tmp_path, write)
    with_journal(tmp_path, read)


def test_published_appeals_are_not_read_again_and_their_segments_go(tmp_path: Path) -> None:
    async def work(journal: Journal) -> None:
        for appeal in numbered(30):
            await journal.append(appeal)
        assert len(segment_sizes(tmp_path)) > 5
        entries = await journal.read(20)
        await journal.published(entries[-1].end)
        assert await linkedids(journal) == [f"1.{number}" for number in range(20, 30)]
        await journal.published((await journal.read(100))[-1].end)
        assert journal.backlog_bytes() == 0
        assert len(segment_sizes(tmp_path)) == 1

    async def nothing_left(journal: Journal) -> None:
        assert await linkedids(journal) == []

    with_journal(tmp_path, work, segment_bytes=1500, kept_seconds=0)
    with_journal(tmp_path, nothing_left)


def test_what_was_published_a_moment_ago_can_be_told_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless the disk needs the room, or it was long ago."""

    async def publish_all(journal: Journal) -> list[str]:
        told = await linkedids(journal)
        await journal.published((await journal.read(1000))[-1].end)
        return told

    async def work(journal: Journal) -> None:
        everything = [f"1.{number}" for number in range(40)]
        for start in (0, 20):
            await append_all(journal, numbered(20, start))
            await publish_all(journal)
        journal.rewind()
        assert await publish_all(journal) == everything
        journal.rewind()
        journal.rewind()
        await append_all(journal, numbered(5, 40))
        assert await publish_all(journal) == [*everything, *(f"1.{number}" for number in range(40, 45))]
        monkeypatch.setattr(SegmentWriter, "append", refuse_once(monkeypatch))
        await append_all(journal, numbered(1, 45))
        journal.rewind()
        assert await publish_all(journal) == ["1.45"]
        journal._kept.seconds = -60.0  # as if it were long ago
        journal.rewind()
        assert await linkedids(journal) == []

    with_journal(tmp_path, work, segment_bytes=1500)


def refuse_once(monkeypatch: pytest.MonkeyPatch) -> Callable[[SegmentWriter, bytes], None]:
    real = SegmentWriter.append

    def refuse(_writer: SegmentWriter, _data: bytes) -> None:
        monkeypatch.setattr(SegmentWriter, "append", real)
        raise OSError(28, "No space left on device")

    return refuse


def test_torn_tail_is_passed_over_and_later_records_are_read(tmp_path: Path) -> None:
    async def write(journal: Journal) -> None:
        await append_all(journal, numbered(3))

    async def write_more(journal: Journal) -> None:
        await journal.append(numbered(1, start=3)[0])
        assert await linkedids(journal) == ["1.0", "1.1", "1.2", "1.3"]

    with_journal(tmp_path, write)
    with segment_path(tmp_path, 1).open("ab") as segment:
        segment.write(frame(b"x" * 100)[:50])
    with_journal(tmp_path, write_more)


def test_damage_at_the_end_is_no_backlog(tmp_path: Path) -> None:
    segment_path(tmp_path, 1).write_bytes(b"no record at all")

    async def work(journal: Journal) -> None:
        assert await journal.read(10) == []
        assert journal.backlog_bytes() == 0

    with_journal(tmp_path, work)


@pytest.mark.parametrize("cursor", [b"", b"{", b"[1,999999]", b"[99,0]"])
def test_lost_or_absurd_cursor_repeats_rather_than_loses(tmp_path: Path, cursor: bytes) -> None:
    async def write(journal: Journal) -> None:
        await append_all(journal, numbered(3))

    async def read(journal: Journal) -> None:
        assert await linkedids(journal) == ["1.0", "1.1", "1.2"]

    with_journal(tmp_path, write)
    (tmp_path / "cursor").write_bytes(cursor)
    with_journal(tmp_path, read)


def test_second_process_is_told_who_holds_the_folder(tmp_path: Path) -> None:
    async def work(_journal: Journal) -> None:
        with pytest.raises(JournalLocked, match=f"process {os.getpid()}"):
            Journal(tmp_path)

    with_journal(tmp_path, work)


def test_disk_that_refuses_for_a_while_costs_only_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failures = iter([OSError(28, "No space left on device")] * 3)
    real_append = SegmentWriter.append

    def refuse_thrice(writer: SegmentWriter, data: bytes) -> None:
        if error := next(failures, None):
            raise error
        real_append(writer, data)

    monkeypatch.setattr(SegmentWriter, "append", refuse_thrice)

    async def work(journal: Journal) -> None:
        await append_all(journal, numbered(20))
        assert journal.failure == ""
        assert await linkedids(journal) == [f"1.{number}" for number in range(20)]

    with_journal(tmp_path, work)


def test_full_disk_is_said_once_memory_is_full_and_nothing_waiting_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_append = SegmentWriter.append
    full = True

    def append(writer: SegmentWriter, data: bytes) -> None:
        if full:
            raise OSError(28, "No space left on device")
        real_append(writer, data)

    monkeypatch.setattr(SegmentWriter, "append", append)

    async def work(journal: Journal) -> None:
        nonlocal full
        waiting = [asyncio.create_task(journal.append(appeal)) for appeal in numbered(10)]
        await until(lambda: bool(journal.failure))
        with pytest.raises(JournalFull, match="No space left"):
            await journal.append(an_appeal())
        assert not any(task.done() for task in waiting)
        full = False
        await asyncio.wait_for(asyncio.gather(*waiting), 10)
        assert sorted(await linkedids(journal)) == sorted(f"1.{number}" for number in range(10))

    with_journal(tmp_path, work, waiting_limit=10)


def test_closing_while_the_disk_refuses_tells_those_who_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(writer: SegmentWriter, data: bytes) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(SegmentWriter, "append", refuse)

    async def run() -> None:
        journal = Journal(tmp_path)
        waiting = asyncio.create_task(journal.append(an_appeal()))
        await until(lambda: bool(journal.failure))
        await asyncio.to_thread(journal.close)
        with pytest.raises(JournalError, match="Input/output error"):
            await waiting
        with pytest.raises(JournalError, match="closed"):
            await journal.append(an_appeal())

    asyncio.run(run())


def test_caller_name_of_half_characters_is_journalled(tmp_path: Path) -> None:
    async def work(journal: Journal) -> None:
        await journal.append(an_appeal(a_call(caller_raw="broken \udcff name", employee="nul \0")))
        (entry,) = await journal.read(10)
        assert isinstance(entry.appeal, CallAppeal)
        assert entry.appeal.call.caller_raw == "broken ? name"
        assert entry.appeal.call.started_at == a_call().started_at

    with_journal(tmp_path, work)


def test_abandoned_append_does_not_disturb_the_others(tmp_path: Path) -> None:
    async def work(journal: Journal) -> None:
        first, second = (asyncio.create_task(journal.append(appeal)) for appeal in numbered(2))
        await asyncio.sleep(0)
        first.cancel()
        await second
        assert set(await linkedids(journal)) == {"1.0", "1.1"}

    with_journal(tmp_path, work)


def test_whole_record_of_an_unknown_shape_is_handed_out_as_such_and_can_be_set_aside(tmp_path: Path) -> None:
    segment_path(tmp_path, 1).write_bytes(frame(b"\x01") + frame(encode(an_appeal())))

    async def work(journal: Journal) -> None:
        strange, known = await journal.read(10)
        assert strange.appeal is None
        assert known.appeal == an_appeal()
        await journal.set_aside(strange, "unknown shape")
        letter = msgspec.json.decode((tmp_path / DEAD_LETTERS).read_bytes())
        assert (letter["reason"], letter["record"]) == ("unknown shape", "AQ==")

    with_journal(tmp_path, work)


def test_reader_gets_the_same_from_memory_as_from_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callrouter.appeals.journal.RECENT_LIMIT", 10)
    everything = [f"1.{number}" for number in range(100)]

    async def work(journal: Journal) -> None:
        for start in range(0, 100, 20):
            await append_all(journal, numbered(20, start))
            if start == 40:
                await journal.published((await journal.read(33))[-1].end)
        seen: list[str] = []
        position = None
        while entries := await journal.read(7, position):
            seen += [entry.appeal.call.linkedid for entry in entries if isinstance(entry.appeal, CallAppeal)]
            position = entries[-1].end
        assert seen == everything[33:]

    with_journal(tmp_path, work, segment_bytes=5000)


def test_what_is_published_makes_room_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when it is all that the disk holds, and when the cursor itself cannot be written."""
    write, full = Path.write_bytes, True

    def written(path: Path, data: bytes) -> int:
        if full and path.name == "cursor.new":
            raise OSError(28, "No space left on device")
        return write(path, data)

    def appended(writer: SegmentWriter, data: bytes) -> None:
        if segment_sizes(tmp_path).keys() > {writer.number}:
            raise OSError(28, "No space left on device")
        real(writer, data)

    def refused(_writer: SegmentWriter, _data: bytes) -> None:
        raise OSError(28, "No space left on device")

    async def work(journal: Journal) -> None:
        await append_all(journal, numbered(3))
        monkeypatch.setattr(SegmentWriter, "append", refused)
        waiting = asyncio.create_task(journal.append(numbered(1, 3)[0]))
        await until(lambda: bool(journal.failure))
        monkeypatch.setattr(SegmentWriter, "append", appended)
        (*_, last) = await journal.read(10)
        await until(lambda: journal._writer is None)
        await journal.published(last.end)
        await asyncio.wait_for(waiting, 10)
        assert await linkedids(journal) == ["1.3"]

    real = SegmentWriter.append
    monkeypatch.setattr(Path, "write_bytes", written)
    with_journal(tmp_path, work)
    full = False

    async def read(journal: Journal) -> None:
        assert await linkedids(journal) == ["1.3"]
        assert len(segment_sizes(tmp_path)) == 1

    with_journal(tmp_path, read)
