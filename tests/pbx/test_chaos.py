"""A short chaos, as the command runs it: the router killed, AMI half-open, the journal's disk full."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

MACHINE_HAD_TIME_S = 2.0


def test_no_call_is_lost_or_told_wrongly_while_parts_fail(tmp_path: Path) -> None:
    faults = "router-killed,ami-silent,disk-full"
    command = [sys.executable, "-m", "callrouter", "chaos", "--minutes", "0.4", "--rate", "4", "--seed", "3"]
    done = subprocess.run(
        [*command, "--faults", faults, "--folder", str(tmp_path)], capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip
    result = json.loads(done.stdout.splitlines()[-1])
    assert {line["fault"] for line in result["lines"]} <= {*faults.split(","), "calm"}
    assert result["appeals"] == result["calls"] > 80
    assert (result["missing"], result["extra"]) == (0, 0), result["complaints"]
    if result["stalled_s"] < MACHINE_HAD_TIME_S:  # else employees answered when they could, and not as was planned
        assert done.returncode == 0, result["complaints"]
