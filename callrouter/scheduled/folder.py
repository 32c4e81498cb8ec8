"""Reports as files: in the operator's folder, one folder for each account. Knows the disk.

A file is there only when it is whole, under a name that its due time says: written twice, it is the same one.
"""

from __future__ import annotations

import re
import tempfile
from datetime import datetime
from pathlib import Path

from callrouter.scheduled.model import File, Schedule

LONGEST_NAME = 60


def put(folder: Path, schedule: Schedule, due_at: datetime, file: File) -> Path:
    """Where it is. Raises OSError."""
    own = folder / f"account-{schedule.account}"
    own.mkdir(mode=0o750, exist_ok=True)
    target = own / file_name(schedule, due_at, Path(file.name).suffix)
    with tempfile.NamedTemporaryFile(dir=own, prefix=".", delete=False) as unfinished:
        try:
            unfinished.write(file.content)
            unfinished.flush()
            Path(unfinished.name).chmod(0o640)
            Path(unfinished.name).replace(target)
        finally:
            Path(unfinished.name).unlink(missing_ok=True)
    return target


def file_name(schedule: Schedule, due_at: datetime, suffix: str) -> str:
    """Of letters, digits and signs that every disk takes; the number keeps like names apart."""
    name = re.sub(r"[^\w-]+", "-", schedule.name).strip("-")[:LONGEST_NAME] or "report"
    return f"{name}-{schedule.id}-{due_at:%Y-%m-%d-%H%M}{suffix}"
