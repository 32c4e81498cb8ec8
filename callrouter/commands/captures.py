"""`callrouter replay` and `record`: captures of what Asterisk sends, written from a live PBX and told as calls."""

from __future__ import annotations

import asyncio
import secrets
import signal
import sys
from collections.abc import Sequence
from itertools import chain, islice
from pathlib import Path

import click

from callrouter import log
from callrouter.ami.anonymise import Anonymiser
from callrouter.ami.capture import read_capture
from callrouter.ami.connection import AmiSettings
from callrouter.ami.record import record as record_capture
from callrouter.ami.wire import Event, EventReader
from callrouter.calls.profile import PbxProfile
from callrouter.calls.replay import json_line, records
from callrouter.calls.times import system_of
from callrouter.cel.files import DAMAGED, rows_of
from callrouter.cel.records import records as cel_records
from callrouter.cel.rows import ForeignCel
from callrouter.clock import SystemClock
from callrouter.commands.options import config_option, loaded, print_json
from callrouter.config import PbxConfig, address
from callrouter.regression import files_of, keep

SAID_FIRST = 200
"""Events among which a channel's uniqueid will tell the PBX's name."""


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--cel", is_flag=True, help="FILES are CEL, as asterisk-conf/ has Asterisk write it.")
@config_option
def replay(files: tuple[Path, ...], config_file: Path | None, *, cel: bool) -> None:
    """Tell the calls of AMI captures: one JSON line per call, fields as in docs/concepts/rules.md §1.

    FILES are raw text as Asterisk sends it (see `callrouter record`), also gzipped. The [[pbx]] section named like the
    PBX in the capture, else the first, says what its contexts and trunks are. The same capture gives the same bytes.

    With --cel the PBX's own record is told instead, several files of one PBX as one: give them oldest first. What CEL
    cannot know stands in docs/reference/cel.md.
    """
    profiles = loaded(config_file).config.pbx
    if cel:
        _replay_cel(files, profiles)
        return
    try:
        empty = [file for file in files if not _replayed(file, profiles)]
    except DAMAGED as error:
        raise click.ClickException(f"a packed capture is damaged or was cut off: {error}") from None
    if empty:
        names = ", ".join(map(str, empty))
        raise click.ClickException(f"no AMI event in {names}; a capture is the raw text of the manager interface")


def _replayed(file: Path, profiles: Sequence[PbxProfile]) -> bool:
    """Print the calls of one capture; False if it has no event at all."""
    reader = EventReader()
    events = list(read_capture(file, reader))
    for each in records(events, _profile_of(events, profiles)):
        sys.stdout.buffer.write(json_line(each))
    sys.stdout.buffer.flush()
    for kind in ("oversized", "undecodable", "malformed"):
        if count := getattr(reader, kind):
            click.echo(f"{file}: {kind} messages: {count}", err=True)
    return bool(events)


def _replay_cel(files: tuple[Path, ...], profiles: Sequence[PbxProfile]) -> None:
    rows = chain.from_iterable(map(rows_of, files))
    try:
        first = list(islice(rows, SAID_FIRST))
        profile = _named({system_of(row.uniqueid) for row in first}, profiles)
        for each in cel_records(chain(first, rows), profile):
            sys.stdout.buffer.write(json_line(each))
    except ForeignCel as error:
        raise click.ClickException(str(error)) from None
    sys.stdout.buffer.flush()
    if not first:
        names = ", ".join(map(str, files))
        raise click.ClickException(f"no event in {names}; is cel.conf's enable = yes, and cel_custom.so loaded?")


def _profile_of(events: list[Event], profiles: Sequence[PbxProfile]) -> PbxProfile:
    return _named({system_of(event["Uniqueid"]) for event in events[:SAID_FIRST] if "Uniqueid" in event}, profiles)


def _named(names: set[str], profiles: Sequence[PbxProfile]) -> PbxProfile:
    named = [profile for profile in profiles if profile.name in names]
    return next(iter([*named, *profiles]), PbxProfile(name="pbx"))


@click.command()
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="The capture to write.")
@click.option("--anonymise", is_flag=True, help="Replace numbers and names, each always by the same other one.")
@click.option(
    "--regression",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FOLDER/NAME",
    help="Instead of --out: a test, NAME.ami.gz and NAME.json, without numbers and names.",
)
@click.option("--pbx", "name", help="Which [[pbx]]; needed only if there are several.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="Stop by itself; else Ctrl-C stops.")
@config_option
def record(
    out: Path | None, regression: Path | None, name: str | None, seconds: float | None, config_file: Path | None, *,
    anonymise: bool,
) -> None:  # fmt: skip
    """Write what a live PBX sends to a capture, for `callrouter replay` and for tests.

    Uses the AMI user of the configuration; with its event filter the capture has what callrouter sees.

    With --regression an odd call becomes a test by this one command: start it, place the call again, press Ctrl-C. The
    capture is cut to what callrouter reads, and NAME.json has what it told of the calls: correct there what was told
    wrongly, and send both files, or put them into tests/captures/customers/.
    """
    config = loaded(config_file).config
    log.set_up(config.log.level, config.log.format)
    pbx = _chosen(config.pbx, name)
    if (out is None) == (regression is None):
        raise click.UsageError("give --out FILE for a capture, or --regression FOLDER/NAME for a test")
    targets = [out] if out else list(files_of(regression or Path()))
    for target in targets:
        if target.exists():
            raise click.ClickException(f"{target} exists already; give another name")
    nameless = Anonymiser(secrets.token_bytes(32)) if anonymise or regression else None
    capture = out or targets[0].with_suffix(".draft")
    written = _recorded(pbx, capture, nameless, seconds)
    if regression is None or nameless is None:
        print_json({"out": str(capture), "bytes": written})
        return
    try:
        made = keep(capture, pbx, regression, nameless)
    finally:
        capture.unlink(missing_ok=True)
    click.echo(f"where {targets[1]} tells a call otherwise than it was, correct it", err=True)
    print_json({"capture": str(targets[0]), "expected": str(targets[1]), "calls": list(made.calls)})


def _recorded(pbx: PbxConfig, out: Path, nameless: Anonymiser | None, seconds: float | None) -> int:
    """Write the capture until Ctrl-C, or for so long; the bytes written."""
    host, port = address(pbx.ami)
    settings = AmiSettings(name=pbx.name, host=host, port=port, username=pbx.ami_user, secret=pbx.ami_secret)

    async def run() -> int:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(each, stop.set)
        if seconds is not None:
            loop.call_later(seconds, stop.set)
        click.echo(f"recording {pbx.name} ({pbx.ami}) to {out}; Ctrl-C stops", err=True)
        return await record_capture(settings, out, SystemClock(), stop, nameless)

    try:
        written = asyncio.run(run())
    except OSError as error:
        raise click.ClickException(f"{out} cannot be written: {error.strerror}") from None
    if _is_blank(out):
        out.unlink(missing_ok=True)
        raise click.ClickException(f"nothing was recorded: {pbx.ami} sent nothing (see the messages above)")
    return written


def _is_blank(capture: Path) -> bool:
    """Nothing but the blank lines that mark lost connections."""
    with capture.open("rb") as file:
        return not any(line.strip() for line in file)


def _chosen(profiles: tuple[PbxConfig, ...], name: str | None) -> PbxConfig:
    found = [pbx for pbx in profiles if name in (None, pbx.name)]
    if len(found) != 1:
        names = ", ".join(pbx.name for pbx in profiles) or "none is configured"
        raise click.ClickException(f"say which PBX with --pbx; there are: {names}")
    return found[0]
