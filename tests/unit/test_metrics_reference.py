"""The table of metrics in the documentation is the code's own."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client import REGISTRY

from callrouter.commands import processes, web


def test_each_metric_stands_in_the_reference_and_no_other() -> None:
    assert processes.router is not web.web, "imported, so every process's metrics are registered"
    found = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in REGISTRY.collect()
        if family.name.startswith("callrouter_")
    }
    page = Path("docs/reference/metrics.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `(callrouter_\w+)` \|", page, re.MULTILINE))
    assert sorted(found ^ told) == []
