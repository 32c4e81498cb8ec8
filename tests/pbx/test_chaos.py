"""A short chaos, as the command runs it: the router killed, the lease store frozen, AMI half-open, the disk full."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_no_call_is_lost_or_told_wrongly_while_parts_fail(tmp_path: Path) -> None:
    faults = "router-killed,valkey-frozen,ami-silent,disk-full"
    command = [sys.executable, "-m", "callrouter", "chaos", "--minutes", "0.5", "--rate", "4", "--seed", "3"]
    done = subprocess.run(
        [*command, "--faults", faults, "--folder", str(tmp_path)], capture_output=True, text=True,
        timeout=240, check=False,
    )  # fmt: skip
    result = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 0, result["complaints"]
    assert {line["fault"] for line in result["lines"]} == {*faults.split(","), "calm"}
    assert result["appeals"] == result["calls"] == result["right"] > 100
    assert (result["missing"], result["extra"]) == (0, 0)
