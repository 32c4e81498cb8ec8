"""Looking at calls with the commands, as an operator does beside a running PBX: live, and as a test that is kept."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from pathlib import Path

from click.testing import CliRunner

from callrouter.commands.calls import calls
from callrouter.lab.plan import CallPlan, Outcome
from callrouter.regression import differences, files_of
from tests.pbx.poll import until
from tests.pbx.scene import Play, Scene

CALLER = "79165583001"
PLAN = CallPlan(outcome=Outcome.DIRECT, caller=CALLER, did="74952223301", talk_s=6.0)


async def command(scene: Scene, *words: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "callrouter", *words, f"--config={scene.stack.config}",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def told(scene: Scene, *words: str) -> str:
    """In this process, for a call does not wait for another interpreter to start."""
    done = await asyncio.to_thread(CliRunner().invoke, calls, [*words, f"--config={scene.stack.config}"])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_live_call_is_shown_with_its_steps_and_made_a_test_by_one_command(play: Play, tmp_path: Path) -> None:
    name = tmp_path / "transferred"

    async def scenario(scene: Scene) -> None:
        recording = await command(scene, "record", "--regression", str(name))
        assert recording.stderr is not None
        await recording.stderr.readuntil(b"Ctrl-C stops")
        draft = name.with_name("transferred.ami.draft")
        await until(lambda: draft.exists() and b"Authentication accepted" in draft.read_bytes(), 30)
        call = asyncio.ensure_future(scene.pbx.place(PLAN))

        async def talks() -> bool:
            status, live = await scene.stack.fetch(f"{scene.stack.ops('router')}/calls")
            return status == 200 and any(one["answered_at"] for one in json.loads(live)["calls"])

        await until(talks, 30)
        listed, shown = await told(scene, "--json"), await told(scene, "--once")
        seen = json.loads(listed)["calls"]
        assert re.search(r"pbx1: \d calls? in progress", shown)
        assert "talks with" in shown
        assert CALLER not in shown + listed
        assert seen[0]["caller"] == f"{CALLER[:4]}…{CALLER[-2:]}"
        assert seen[0]["steps"][0]["kind"] == "started"
        truth = await call
        await scene.appeals(truth, seconds=30)
        recording.send_signal(signal.SIGINT)
        answer, complaint = await recording.communicate()
        assert recording.returncode == 0, complaint.decode()
        kept = json.loads(answer)
        (record,) = kept["calls"]
        assert (record["status"], record["employee"], record["group"]) == (truth.status, truth.employee, truth.group)
        assert "correct it" in complaint.decode()

    play(scenario)
    packed, expected = files_of(name)
    assert sorted(path.name for path in tmp_path.iterdir()) == [packed.name, expected.name]
    assert differences(name) == []
    text = expected.read_text()
    assert CALLER[-6:] not in text
    assert "secret" not in text
    expected.write_text(text.replace('"answered"', '"lost"'))
    assert [line for line in differences(name) if "status: 'answered' instead of 'lost'" in line]
