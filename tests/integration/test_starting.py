"""What a process says when it cannot start, or starts with its servers away: the line, the mend, never a traceback."""

from __future__ import annotations

import asyncio
import re
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from callrouter.lab.ports import free_port
from callrouter.lab.stack import Stack
from tests.waiting import until

Edit = Callable[[str], str]


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    """A configuration none of whose servers is there."""
    gone = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    stack = Stack(tmp_path / "stack", postgres=f"postgresql://nobody@{gone[0]}/nothing", redis=f"redis://{gone[1]}/0")
    stack.configure({"name": "pbx1", "ami": f"127.0.0.1:{free_port()}"})
    return stack


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody else listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def said(stack: Stack, *command: str, edit: Edit = str, before: Callable[[], None] | None = None) -> list[str]:
    """The complaint of a command that must fail, line by line, without what it logged."""
    stack.config.write_text(edit(stack.config.read_text()))
    done = subprocess.run(
        [sys.executable, "-m", "callrouter", *command, "--config", str(stack.config)],
        capture_output=True, text=True, timeout=20, check=False, preexec_fn=before,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "panicked" not in done.stderr
    _, _, complaint = done.stderr.rpartition("Error: ")
    return complaint.strip().splitlines()


def put(key: str, value: str) -> Edit:
    return lambda text: re.sub(rf"(?m)^{key} = .*$", f"{key} = {value}", text, count=1)


BAD = {
    "a misspelt key": (lambda text: text.replace("agi_listen", "agi_lisen"), "router", "did you mean 'agi_listen'?"),
    "an unknown section": (lambda text: text + "\n[rooter]\nx = 1\n", "router", "did you mean 'router'?"),
    "a value out of range": (lambda text: text.replace("[router]", "[router]\ndeadline_ms = 5000"), "router", "1…1000"),
    "an address without a port": (put("agi_listen", '"localhost"'), "router", "write host:port"),
    "a URL with a bad port": (put("url", '"postgresql://u@127.0.0.1:port/x"'), "worker", "postgresql://user@host:5432"),
    "a file that is no TOML": (lambda text: text + "\n[[[\n", "web", "not valid TOML"),
    "two PBXs of one name": (lambda text: text + '\n[[pbx]]\nname = "pbx1"\n', "router", "pbx1"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_configuration_is_told_by_line_and_mend(stack: Stack, what: str) -> None:
    edit, process, mend = BAD[what]
    first, *complaints = said(stack, process, edit=edit)
    assert first == "the configuration cannot be used"
    assert complaints
    assert str(stack.config) in complaints[0]
    assert mend in complaints[0]


@pytest.mark.parametrize(
    ("process", "key", "section"),
    [
        ("router", "agi_listen", "router"), ("router", "http_listen", "router"), ("worker", "http_listen", "worker"),
        ("web", "listen", "web"),
    ],
)  # fmt: skip
def test_a_port_in_use_is_told_by_the_line_that_asks_for_it(
    stack: Stack, taken: int, process: str, key: str, section: str
) -> None:
    def edit(text: str) -> str:
        head, name, rest = text.partition(f"[{section}]")
        return head + name + put(key, f'"127.0.0.1:{taken}"')(rest)

    (complaint,) = said(stack, process, edit=edit)
    assert f"callrouter.toml:{line_of(stack, section, key)} ({section}.{key})" in complaint
    assert complaint.endswith("Address already in use; is it running already? Stop the other, or give another port")


def line_of(stack: Stack, section: str, key: str) -> int:
    lines = stack.config.read_text().splitlines()
    start = lines.index(f"[{section}]")
    return next(at for at, line in enumerate(lines, 1) if at > start and line.startswith(f"{key} "))


@pytest.mark.parametrize("folder", ["/proc/no/such", "/dev/null", "/dev/null/journal"])
def test_a_journal_that_cannot_be_kept_is_told(stack: Stack, folder: str) -> None:
    (complaint,) = said(stack, "router", edit=put("journal", f'"{folder}"'))
    assert "(router.journal): no journal can be kept in" in complaint
    assert complaint.endswith("make it writable, with room")


def test_a_disk_without_room_for_the_journal_is_told(stack: Stack) -> None:
    (complaint,) = said(stack, "router", before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)))
    assert "(router.journal): no journal can be kept in" in complaint


def test_a_second_router_on_the_same_journal_is_refused_in_one_line(stack: Stack) -> None:
    async def scenario() -> None:
        starting = asyncio.ensure_future(stack.start("router"))  # it is not ready without Postgres, but it runs
        await until(lambda: (stack.folder / "journal/lock").exists() and "router is up" in stack.log("router"))
        try:
            (complaint,) = await asyncio.to_thread(said, stack, "router")
            assert f"is in use by process {stack.pid('router')}: stop that one" in complaint
        finally:
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            await stack.stop("router")

    asyncio.run(scenario())


@pytest.mark.parametrize("process", ["router", "worker", "web"])
def test_a_process_starts_without_its_servers_and_says_what_is_away(stack: Stack, process: str) -> None:
    async def scenario() -> None:
        starting = asyncio.ensure_future(stack.start(process))

        async def answers() -> bool:
            return (await stack.fetch(f"{stack.ops(process)}/health"))[0] == 200

        await until(answers)
        status, _ = await stack.fetch(f"{stack.ops(process)}/ready")
        assert status == 503
        await until(lambda: "DIRECTORY-UNKNOWN" in stack.log(process))
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await stack.stop(process, by=signal.SIGTERM)
        assert "Traceback" not in stack.log(process)

    asyncio.run(scenario())


def test_the_check_names_each_server_that_is_away(stack: Stack) -> None:
    first, *complaints = said(stack, "config", "check")
    assert first == "the configuration is well written, but"
    keys = ["postgres.url", "redis.url", "pbx.0.ami"]
    assert [re.search(r"callrouter\.toml:\d+ \(([\w.]+)\)", line)[1] for line in complaints] == keys  # type: ignore[index]
    assert all(line.endswith("is it running, and is the address right?") for line in complaints)
