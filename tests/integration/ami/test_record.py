"""What is recorded from a live connection reads as what was heard."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path

from callrouter.ami.anonymise import Anonymiser
from callrouter.ami.capture import read_capture
from callrouter.ami.connection import AmiSettings
from callrouter.ami.record import record
from callrouter.clock import SystemClock
from tests.integration.ami.fake_asterisk import fake_asterisk, until

CALL = "Event: Newchannel\r\nCallerIDNum: 79161234567\r\nCallerIDName: Иван\r\nUniqueid: {}\r\n\r\n"


def recorded(out: Path, *, anonymise: bool) -> None:
    async def scenario() -> None:
        async with fake_asterisk() as fake:
            enough = asyncio.Event()
            settings = AmiSettings(name="pbx1", port=fake.port, username="u", secret="secret", first_wait=0.01)
            nameless = Anonymiser(b"a") if anonymise else None
            task = asyncio.ensure_future(record(settings, out, SystemClock(), enough, nameless))
            for uniqueid in ("pbx1-1763757931.1", "pbx1-1763757931.2"):
                await until(lambda: fake.received("Ping"))
                connections = fake.connections
                fake.send(CALL.format(uniqueid).encode() + b"Event: Hangup\r\nUniq")
                await asyncio.sleep(0)
                fake.actions.clear()
                await until(lambda: fake._writers[-1].transport.get_write_buffer_size() == 0)
                fake._writers[-1].close()
                await until(lambda: fake.connections > connections)  # noqa: B023 - run at once
            enough.set()
            assert await task > 0

    asyncio.run(scenario())


def test_a_recording_survives_lost_connections(tmp_path: Path) -> None:
    recorded(tmp_path / "a", anonymise=False)
    calls = [event for event in read_capture(tmp_path / "a") if event["Event"] == "Newchannel"]
    assert [call["Uniqueid"] for call in calls] == ["pbx1-1763757931.1", "pbx1-1763757931.2"]
    assert calls[0]["CallerIDName"] == "Иван"
    assert "Response" not in str(list(read_capture(tmp_path / "a")))


def test_an_anonymised_recording_names_nobody(tmp_path: Path) -> None:
    recorded(tmp_path / "a", anonymise=True)
    assert "1234567" not in (tmp_path / "a").read_text()
    calls = [event for event in read_capture(tmp_path / "a") if event["Event"] == "Newchannel"]
    assert len(calls) == 2
    assert calls[0]["CallerIDNum"] == calls[1]["CallerIDNum"] != "79161234567"


def test_packed_captures_and_line_feeds_read_the_same(tmp_path: Path) -> None:
    text = "".join(CALL.format(n) for n in range(1000)).encode()
    (tmp_path / "crlf").write_bytes(text)
    (tmp_path / "lf").write_bytes(text.replace(b"\r\n", b"\n").rstrip(b"\n") + b"\n")
    (tmp_path / "packed.gz").write_bytes(gzip.compress(text))
    first, second, third = (list(read_capture(tmp_path / name)) for name in ("crlf", "lf", "packed.gz"))
    assert first == second == third
    assert len(first) == 1000
