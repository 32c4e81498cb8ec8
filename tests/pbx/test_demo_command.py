"""`callrouter demo` as a person runs it: the last line of stdout is the contract's JSON, and everything is right."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

KEYS = {
    "calls", "appeals", "attributed", "attributed_right", "missing", "extra", "resolve_ms_p50", "resolve_ms_p99", "pbx",
    "seconds",
}  # fmt: skip
DEMO = [sys.executable, "-m", "callrouter", "demo"]


@pytest.mark.parametrize(
    ("options", "pbx"),
    [([], "asterisk "), (["--cluster", "--attach", "ari"], "asterisk "), (["--simulated"], "simulated")],
    ids=["agi", "cluster-ari", "simulated"],
)
def test_the_demo_ends_with_every_call_told_and_credited_rightly(options: list[str], pbx: str) -> None:
    command = [*DEMO, "--calls", "20", "--exit", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told.keys() == KEYS
    assert {name: told[name] for name in ("calls", "appeals", "attributed", "attributed_right")} == {
        "calls": 20, "appeals": 20, "attributed": 20, "attributed_right": 20,
    }  # fmt: skip
    assert (told["missing"], told["extra"]) == (0, 0)
    assert told["pbx"].startswith(pbx)
    assert told["resolve_ms_p99"] < 150


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_demo_stays_up_until_it_is_told_to_stop_and_leaves_nothing(tmp_path: Path, sign: signal.Signals) -> None:
    command = [*DEMO, "--calls", "1", "--simulated", "--folder", str(tmp_path / "demo")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as demo:
        try:
            assert demo.stdout is not None
            assert json.loads(demo.stdout.readline())["missing"] == 0
            assert demo.poll() is None
            demo.send_signal(sign)
            assert demo.wait(20) == 0
        finally:
            demo.kill()
    deadline = time.monotonic() + 5
    while left := processes_in(tmp_path):
        assert time.monotonic() < deadline, left


def test_ctrl_c_while_the_servers_start_leaves_nothing(tmp_path: Path) -> None:
    command = [*DEMO, "--simulated", "--folder", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as demo:
        try:
            deadline = time.monotonic() + 30
            while not (tmp_path / "postgres" / "data").exists():
                assert time.monotonic() < deadline
            demo.send_signal(signal.SIGINT)
            assert demo.wait(20) == 1
        finally:
            demo.kill()
    assert not processes_in(tmp_path)


def test_a_folder_may_be_used_again_and_only_the_new_calls_are_judged(tmp_path: Path) -> None:
    command = [*DEMO, "--simulated", "--calls", "2", "--exit", "--folder", str(tmp_path)]
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout.splitlines()[-1])
        assert (told["appeals"], told["attributed_right"], told["missing"], told["extra"]) == (2, 2, 0, 0)


@pytest.mark.parametrize("options", [["--attach", "ari"], ["--asterisk", "22"]])
def test_options_that_the_simulated_pbx_cannot_obey_are_refused(options: list[str]) -> None:
    done = subprocess.run([*DEMO, "--simulated", *options], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "simulated" in done.stderr


def processes_in(folder: Path) -> list[str]:
    """Command lines of processes that work in, or were started for, this folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            where = str((process / "cwd").resolve())
        except OSError:
            continue
        if str(folder) in command or where.startswith(str(folder)):
            found.append(command)
    return found
