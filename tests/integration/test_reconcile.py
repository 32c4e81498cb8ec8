"""The PBX's own record against the appeals in Postgres: missing, seen in part, extra; rotated files; killed PBXs."""

from __future__ import annotations

import asyncio
import gzip
import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from click.testing import CliRunner, Result

from callrouter.appeals.model import CallAppeal, PageAppeal
from callrouter.appeals.orders import miss_stale
from callrouter.appeals.reconcile import Outcome, Reconciliation
from callrouter.callbacks.line import Attempt, linkedid_of
from callrouter.calls.record import CallRecord
from callrouter.calls.times import moment
from callrouter.cel.rows import ForeignCel
from callrouter.cel.stretch import CelUnreadable
from callrouter.commands.reconcile import reconcile as reconcile_command
from callrouter.db.connect import Pool
from callrouter.journal.erasure import erase_client
from tests.call_samples import a_resolution
from tests.cel_agreement import EXTENSIONS, PROFILE, differences
from tests.integration.publishing import publish, shop
from tests.unit.calls.captures import FOLDER
from tests.unit.cel.test_both import by_ami

CSV = FOLDER / "22-cel" / "both" / "calls.csv.gz"
HOUR = timedelta(hours=1)
SETTLING = 0.001
"""These calls are short."""


@pytest.fixture
def cel(tmp_path: Path) -> Path:
    """The file as Asterisk wrote it."""
    path = tmp_path / "cel" / "callrouter.csv"
    path.parent.mkdir()
    path.write_bytes(gzip.decompress(CSV.read_bytes()))
    return path


def calls() -> list[CallRecord]:
    """As AMI told them."""
    return [record for record in by_ami(22).values() if record.direction != "internal"]


def appeals(records: list[CallRecord]) -> list[CallAppeal]:
    return [CallAppeal(call=record, resolution=a_resolution(7, 70)) for record in records]


async def reconcile(pool: Pool, cel: Path, **settings: Any) -> Outcome:
    ended = [record.ended_at for record in calls()]
    times = {"since": min(ended) - HOUR, "until": max(ended) + HOUR} | settings
    async with pool.acquire() as connection:
        return await Reconciliation(connection, PROFILE, **times).run(cel)


def counts(outcome: Outcome) -> tuple[int, ...]:
    """Of PBX calls, appeals, missing, incomplete, extra, repaired."""
    return (outcome.pbx_calls, outcome.appeals, outcome.missing, outcome.incomplete, outcome.extra, outcome.repaired)


def test_appeals_that_agree_are_left_alone(database: str, tmp_path: Path, cel: Path) -> None:
    async def run() -> None:
        async with shop(database) as pool:
            await publish(pool, tmp_path, appeals(calls()))
            outcome = await reconcile(pool, cel)
            n = len(calls())
            assert counts(outcome) == (n, n, 0, 0, 0, 0)
            assert outcome.agrees

    asyncio.run(run())


def test_missing_calls_are_written_as_ami_would_have_told_them(database: str, tmp_path: Path, cel: Path) -> None:
    async def run() -> None:
        async with shop(database) as pool:
            await publish(pool, tmp_path, appeals(calls()[3:]))
            n = len(calls())
            dry = await reconcile(pool, cel, dry_run=True)
            assert counts(dry) == (n, n - 3, 3, 0, 0, 0)
            assert set(dry.missing_calls) == {record.linkedid for record in calls()[:3]}
            assert not dry.agrees
            assert await pool.fetchval("SELECT count(*) FROM appeals") == n - 3
            assert counts(await reconcile(pool, cel)) == (n, n - 3, 3, 0, 0, 3)
            assert counts(await reconcile(pool, cel)) == (n, n, 0, 0, 0, 0)
            for record in calls()[:3]:
                row = await pool.fetchrow("SELECT * FROM appeals WHERE linkedid = $1", record.linkedid)
                assert row is not None
                assert row["complete"]
                assert row["attribution_pending"], "a running router settles it from the lease history"
                written = {name: row[name] for name in ("status", "lost_reason", "customer", "called")}
                assert written == {name: getattr(record, name) for name in written}
                assert abs(row["started_at"] - record.started_at) < timedelta(seconds=0.5)

    asyncio.run(run())


def test_a_call_seen_in_part_gets_the_rest_and_keeps_what_only_ami_knew(
    database: str, tmp_path: Path, cel: Path
) -> None:
    whole = next(record for record in calls() if record.employee in EXTENSIONS)
    part = msgspec.structs.replace(
        whole, complete=False, talk_s=0.1, recording="/r.wav", agi_ms=3.0, started_at=whole.started_at + HOUR / 3600,
    )  # fmt: skip

    async def run() -> None:
        async with shop(database) as pool:
            others = [record for record in calls() if record is not whole]
            await publish(pool, tmp_path, [*appeals(others), CallAppeal(call=part, resolution=a_resolution(7, 70))])
            n = len(calls())
            assert counts(await reconcile(pool, cel)) == (n, n, 0, 1, 0, 1)
            (row,) = await pool.fetch("SELECT * FROM appeals WHERE linkedid = $1", whole.linkedid)
            kept = (row["recording"], row["agi_ms"], row["employee"], row["method"], row["attribution_pending"])
            assert kept == ("/r.wav", 3.0, whole.employee, a_resolution(7, 70).attribution.method, False)
            assert row["complete"]
            assert abs(row["talk_s"] - whole.talk_s) < 0.5
            assert counts(await reconcile(pool, cel)) == (n, n, 0, 0, 0, 0)

    asyncio.run(run())


def test_appeals_of_calls_that_the_pbx_does_not_know_are_told_and_left(
    database: str, tmp_path: Path, cel: Path
) -> None:
    one, other = calls()[0], calls()[1]
    invented = msgspec.structs.replace(one, linkedid="pbx1-1.1")
    elsewhere = msgspec.structs.replace(other, pbx="pbx2")

    async def run() -> None:
        async with shop(database) as pool:
            await publish(pool, tmp_path, appeals([*calls(), invented, elsewhere]))
            outcome = await reconcile(pool, cel)
            assert (outcome.extra, outcome.extra_calls, outcome.agrees) == (1, ["pbx1-1.1"], False)
            assert await pool.fetchval("SELECT count(*) FROM appeals WHERE linkedid = 'pbx1-1.1'") == 1

    asyncio.run(run())


def test_what_the_file_does_not_cover_is_not_judged(database: str, tmp_path: Path, cel: Path) -> None:
    """It begins in the middle of a call, after others."""
    lines = cel.read_bytes().splitlines(keepends=True)
    cel.write_bytes(b"".join(lines[len(lines) // 2 :]))

    async def run() -> None:
        async with shop(database) as pool:
            await publish(pool, tmp_path, appeals(calls()))
            outcome = await reconcile(pool, cel)
            assert (outcome.missing, outcome.extra) == (0, 0)
            assert 5 < outcome.pbx_calls <= outcome.appeals < len(calls())

    asyncio.run(run())


def test_a_file_proven_bit_by_bit_as_it_grows_is_proven_whole(database: str, tmp_path: Path, cel: Path) -> None:
    """Among them a call to a phone that is busy with another: both are told together, when the longer one is over."""
    lines = cel.read_bytes().splitlines(keepends=True)
    busy, talk = (next(record for record in calls() if wanted(record)) for wanted in (is_busy, is_talk_of_241))
    assert talk.answered_at
    shift = (busy.started_at - talk.answered_at).total_seconds() - 0.05
    moved = sorted((moment_of(line) - shift * (busy.linkedid.encode() in line), line) for line in lines)
    rows = [(at, line.replace(line.split(b'"')[3], b"%.6f" % at)) for at, line in moved]
    times = [rows[0][0] - 3600, *(rows[at][0] for at in range(7, len(rows), 7)), rows[-1][0] + 60]

    async def run() -> None:
        async with shop(database) as pool:
            for since, now in pairwise(times):
                await asyncio.to_thread(cel.write_bytes, b"".join(line for at, line in rows if at <= now))
                stretch = {"since": since - SETTLING, "until": now - SETTLING}
                await reconcile(pool, cel, **{name: moment(at) for name, at in stretch.items()})
            found = await pool.fetch("SELECT linkedid FROM appeals")
            assert sorted(row["linkedid"] for row in found) == sorted(record.linkedid for record in calls())

    asyncio.run(run())


def is_busy(record: CallRecord) -> bool:
    return record.lost_reason == "busy" and record.direction == "inbound"


def is_talk_of_241(record: CallRecord) -> bool:
    return record.employee == "241"


def moment_of(line: bytes) -> float:
    return float(line.split(b'"')[3])


@pytest.mark.parametrize("rotation", ["rename", "copytruncate", "copied, not yet truncated", "partial"])
def test_rotation_neither_loses_nor_doubles_a_call(database: str, tmp_path: Path, cel: Path, rotation: str) -> None:
    whole = cel.read_bytes()
    third, two_thirds = len(whole) // 3, 2 * len(whole) // 3  # in the middle of a line: rows are in order all the same
    third, two_thirds = (whole.index(b"\n", at) + 1 for at in (third, two_thirds))
    cel.with_name("callrouter.csv.2.gz").write_bytes(gzip.compress(whole[:third]))
    if rotation == "copied, not yet truncated":
        cel.with_name("callrouter.csv.2.gz").unlink()
        cel.with_name("callrouter.csv.1").write_bytes(whole[:-400])
    else:
        cel.with_name("callrouter.csv.1").write_bytes(whole[third:two_thirds])
        cel.write_bytes(whole[two_thirds:] + (b'"CHAN_START","179531' if rotation == "partial" else b""))
    cel.with_name("callrouter.csv.save").write_bytes(b"an admin's notes")

    async def run() -> None:
        async with shop(database) as pool:
            n = len(calls())
            assert counts(await reconcile(pool, cel)) == (n, 0, n, 0, 0, n)
            found = {row["linkedid"] for row in await pool.fetch("SELECT linkedid FROM appeals")}
            assert found == {record.linkedid for record in calls()}

    asyncio.run(run())


def test_calls_of_a_killed_pbx_end_as_lost_from_sight_when_it_is_back(database: str, tmp_path: Path, cel: Path) -> None:
    """No row tells their end, and nobody has called since: that this Asterisk was started later does."""
    lines = cel.read_bytes().splitlines(keepends=True)
    until_talk = next(n for n, line in enumerate(lines) if line.startswith(b'"BRIDGE_ENTER"')) + 2
    cel.write_bytes(b"".join(lines[:until_talk]))
    began = min(record.started_at for record in calls())

    async def run() -> None:
        async with shop(database) as pool:
            assert counts(await reconcile(pool, cel))[:3] == (0, 0, 0), "it may go on"
            back = await reconcile(pool, cel, up_since=began + HOUR)
            assert counts(back) == (1, 0, 1, 0, 0, 1)
            row = await pool.fetchrow("SELECT complete, status, ended_at FROM appeals")
            assert row is not None
            assert (row["complete"], row["status"]) == (False, "answered")
            assert row["ended_at"] - began < timedelta(minutes=1)

    asyncio.run(run())


ORDER = UUID(int=7)
OUT = next(record for record in calls() if record.direction == "outbound")


def carried_out(cel: Path) -> CallRecord:
    """An outbound call of the file, as if it had carried out the first order: by the id of its first channel."""
    linkedid = linkedid_of("pbx1", Attempt(1, 1), OUT.started_at)
    cel.write_bytes(cel.read_bytes().replace(f'"{OUT.linkedid}"'.encode(), f'"{linkedid}"'.encode()))
    return msgspec.structs.replace(OUT, linkedid=linkedid)


def without(cel: Path, linkedid: str) -> None:
    lines = cel.read_bytes().splitlines(keepends=True)
    cel.write_bytes(b"".join(line for line in lines if linkedid.encode() not in line))


async def ordered(pool: Pool, folder: Path, *, days_before: int = 10) -> None:
    """An order that OUT's client gave, claimed by a router when the call began."""
    at = OUT.started_at - timedelta(days=days_before)
    times: dict[str, object] = {"due_at": at.isoformat(), "latest_at": (at + 24 * HOUR).isoformat()}
    order = PageAppeal(id=ORDER, kind="callback", account=7, site=70, at=at, phone=OUT.customer, details=times)
    await publish(pool, folder, [order])  # type: ignore[list-item]
    await pool.execute("UPDATE callback_orders SET state = 'dialling', attempts = 1, dialled_at = $1", OUT.started_at)


def test_calls_that_carry_out_orders_are_proven_as_the_appeals_of_their_orders(
    database: str, tmp_path: Path, cel: Path
) -> None:
    """Whose ids and times are those of the orders, days before."""
    call = carried_out(cel)
    others = appeals([record for record in calls() if record is not OUT])
    part = msgspec.structs.replace(call, complete=False, talk_s=0.1, recording="/r.wav")

    async def run() -> None:
        n = len(calls())
        async with shop(database) as pool:
            await ordered(pool, tmp_path)
            await publish(pool, tmp_path, others)
            assert counts(await reconcile(pool, cel, dry_run=True)) == (n, n - 1, 1, 0, 0, 0), "no router saw it"
            assert counts(await reconcile(pool, cel)) == (n, n - 1, 1, 0, 0, 1)
            assert counts(await reconcile(pool, cel)) == (n, n, 0, 0, 0, 0)
            (row,) = await pool.fetch("SELECT * FROM appeals WHERE customer = $1 AND linkedid = $2",
                                      OUT.customer, call.linkedid)  # fmt: skip
            assert (row["id"], row["kind"], row["status"], row["complete"]) == (ORDER, "callback", OUT.status, True)
            await pool.execute("UPDATE appeals SET complete = false, recording = '/r.wav' WHERE id = $1", ORDER)
            assert counts(await reconcile(pool, cel)) == (n, n, 0, 1, 0, 1)
            assert counts(await reconcile(pool, cel)) == (n, n, 0, 0, 0, 0)
            (row,) = await pool.fetch("SELECT * FROM appeals WHERE kind = 'callback'")
            assert (row["id"], row["complete"], row["recording"], row["revision"]) == (ORDER, True, "/r.wav", 10)
            assert await pool.fetchval("SELECT count(*) FROM appeals") == n
            # A router that was late with its own telling changes nothing, nor does one that saw only a part.
            await publish(pool, tmp_path, [CallAppeal(call=part)])
            assert counts(await reconcile(pool, cel)) == (n, n, 0, 0, 0, 0)
            # Nor does it bring back a client who was erased since.
            async with pool.acquire() as connection, connection.transaction():
                assert await erase_client(connection, 7, row["client_id"])
            assert counts(await reconcile(pool, cel)) == (n, n, 0, 0, 0, 0)
            await publish(pool, tmp_path, [CallAppeal(call=msgspec.structs.replace(call, recording="/again.wav"))])
            assert await pool.fetchval("SELECT count(*) FROM appeals") == n
            assert await pool.fetchval("SELECT count(*) FROM appeals WHERE $1 IN (customer, called)", OUT.customer) == 0
            order = await pool.fetchrow("SELECT phone, state FROM callback_orders")
            assert order is not None
            assert tuple(order) == (None, "called")
            without(cel, call.linkedid)
            gone = await reconcile(pool, cel)
            assert (gone.extra, gone.extra_calls, gone.missing) == (1, [call.linkedid], 0)

    asyncio.run(run())


def test_an_order_given_up_as_unseen_is_told_from_the_pbx_after_all(database: str, tmp_path: Path, cel: Path) -> None:
    call = carried_out(cel)

    async def run() -> None:
        async with shop(database) as pool:
            await publish(pool, tmp_path, appeals([record for record in calls() if record is not OUT]))
            await ordered(pool, tmp_path, days_before=0)
            async with pool.acquire() as connection:
                await connection.execute(
                    "UPDATE callback_orders SET claimed_until = now() - interval '1 day', latest_at = ordered_at, "
                    "due_at = ordered_at"
                )
                assert await miss_stale(connection, timedelta(0)) == ["unseen"]
            n = len(calls())
            assert counts(await reconcile(pool, cel)) == (n, n - 1, 1, 0, 0, 1)
            row = await pool.fetchrow("SELECT * FROM appeals WHERE id = $1", ORDER)
            assert row is not None
            assert (row["linkedid"], row["status"], row["details"]["outcome"]) == (call.linkedid, OUT.status, "called")
            order = await pool.fetchrow("SELECT state, outcome FROM callback_orders")
            assert order is not None
            assert tuple(order) == ("called", OUT.lost_reason or "answered")

    asyncio.run(run())


@pytest.mark.parametrize("wrong", ["absent", "foreign"])
def test_files_that_cannot_prove_anything_are_told(database: str, tmp_path: Path, wrong: str) -> None:
    path = tmp_path / "callrouter.csv"
    if wrong == "foreign":
        path.write_text("src,dst,start\n1,2,3\n")

    async def run() -> None:
        async with shop(database) as pool:
            with pytest.raises(ForeignCel if wrong == "foreign" else CelUnreadable) as told:
                await reconcile(pool, path, until=datetime.now(UTC))
            assert ("line 1" if wrong == "foreign" else "include cel_callrouter.conf") in str(told.value)

    asyncio.run(run())


def test_what_is_written_is_what_cel_tells(database: str, tmp_path: Path, cel: Path) -> None:
    """All calls missing: the journal is then as good as if AMI had told them."""

    async def run() -> None:
        async with shop(database) as pool:
            await reconcile(pool, cel)
            for record in calls():
                row = await pool.fetchrow("SELECT * FROM appeals WHERE linkedid = $1", record.linkedid)
                assert row is not None
                columns = {name: row[name] for name in CallRecord.__struct_fields__ if name != "group"}
                told = msgspec.convert({**columns, "group": row["final_group"]}, CallRecord)
                assert differences(record, told) == []

    asyncio.run(run())


def test_the_command_tells_in_json_and_by_its_exit_status(database: str, tmp_path: Path, cel: Path) -> None:
    section = {key: value for key, value in msgspec.to_builtins(PROFILE).items() if value != {}}
    config = tmp_path / "callrouter.toml"

    def write(**more: str) -> None:
        lines = [f"{key} = {json.dumps(value)}" for key, value in (section | more).items()]
        config.write_text(f'[postgres]\nurl = "{database}"\n[[pbx]]\n' + "\n".join(lines))

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(reconcile_command, [*arguments, "--config", str(config)])

    write()
    told = run()
    assert (told.exit_code, "`cel` is not set in any [[pbx]]" in told.stderr) == (1, True)
    write(cel=str(cel))
    since = f"--since={min(record.started_at for record in calls()) - HOUR}"
    dry = run(since, "--dry-run")
    assert (dry.exit_code, json.loads(dry.stdout)["missing"]) == (1, len(calls()))
    done = run(since)
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    n = len(calls())
    assert [answer[key] for key in ("pbx_calls", "appeals", "missing", "extra", "repaired")] == [n, 0, n, 0, n]
    assert answer["agree"]
    assert run("--since=2999-01-01").exit_code == 1
    cel.write_text("src;dst\n")
    refused = run(since)
    assert (refused.exit_code, "line 1" in refused.stderr) == (1, True)
