"""One real Asterisk in one folder: configured, started, asked, stopped or killed. Knows files, ports and processes.

It includes the very files of asterisk-conf/ that an admin would. Does not know the calls that are placed over it.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import signal
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from callrouter.lab import company
from callrouter.lab.obtain import PbxSoftware
from callrouter.lab.ports import free_port

Attach = Literal["agi", "ari", "watch"]
DOORS: dict[Attach, str] = {"agi": "callrouter", "ari": "callrouter-ari", "watch": ""}
START_SECONDS = 30.0
STOP_SECONDS = 5.0
TEMPLATES = Path(__file__).parent / "conf"
SHIPPED = Path(__file__).parents[2] / "asterisk-conf"
MANAGER_22 = 22
DIRECTORIES = {
    "astetcdir": "etc", "astvarlibdir": "lib", "astdbdir": "db", "astkeydir": "lib", "astdatadir": "data",
    "astagidir": "lib/agi-bin", "astspooldir": "spool", "astrundir": "run", "astlogdir": "log", "astsbindir": "run",
}  # fmt: skip
EMPTY_FILES = (
    "acl",
    "udptl",
    "pjproject",
    "ccss",
    "queuerules",
    "websocket_client",
    "features",
    "indications",
    "sorcery",
)


class AsteriskFailed(RuntimeError):
    """Asterisk did not start; the message has the end of its log."""


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """How the dialplan asks callrouter: the door it takes, and where callrouter listens."""

    mode: Attach = "watch"
    agi: str = "agi://127.0.0.1:4573/resolve"
    agi_2: str = ""
    ari_app: str = "callrouter"
    seconds: float = 1.5
    ami_filters: bool = True
    """False gives the `callrouter` user every event class unfiltered."""

    def variables(self) -> dict[str, str]:
        """The global variables of the dialplan that say all this."""
        return {
            "CALLROUTER_AGI": self.agi,
            "CALLROUTER_AGI_2": self.agi_2,
            "CALLROUTER_ARI_APP": self.ari_app,
            "CALLROUTER_SECONDS": str(self.seconds),
            "CALLROUTER_CALLBACK_OUT": "callback-out",
            "DOOR": DOORS[self.mode],
        }


class AsteriskInstance:
    """An Asterisk for tests. AMI, ARI and SIP listen on free ports of 127.0.0.1; ids start with `name`."""

    def __init__(
        self,
        software: PbxSoftware,
        folder: Path,
        *,
        name: str = "pbx1",
        attachment: Attachment | None = None,
        additions: Mapping[str, str] | None = None,
    ) -> None:
        self.software = software
        self.folder = folder.absolute()
        self.name = name
        self.additions = additions or {}
        """Text for the end of these configuration files; `modules.list` names further modules."""
        self.attachment = attachment or Attachment()
        self.phones_port = 9
        self.ami_user, self.ami_secret = "callrouter", secrets.token_hex(8)
        self.callback_user, self.callback_secret = "callrouter-callback", secrets.token_hex(8)
        self.observer_user, self.observer_secret = "observer", secrets.token_hex(8)
        self.ari_user, self.ari_password = "callrouter", secrets.token_hex(8)
        self.ami_port, self.http_port, self.sip_port = free_port(), free_port(), free_port(socket.SOCK_DGRAM)
        self._process: asyncio.subprocess.Process | None = None

    @property
    def ari_url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}/ari"

    @property
    def cel_file(self) -> Path:
        return self.folder / "log" / "cel-custom" / "callrouter.csv"

    @property
    def pid(self) -> int:
        """Of the running process."""
        return self._process.pid if self._process else 0

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Write the configuration and start; returns when Asterisk is fully booted (about half a second)."""
        await asyncio.to_thread(self._configure)
        await self._launch()

    async def _launch(self) -> None:
        with (self.folder / "log" / "console").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.software.asterisk, "-f", "-C", str(self.folder / "etc" / "asterisk.conf"),
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=self.folder,
            )  # fmt: skip
        deadline = asyncio.get_running_loop().time() + START_SECONDS
        while not await self._is_booted():
            if not self.running or asyncio.get_running_loop().time() > deadline:
                await self.kill()
                raise AsteriskFailed(f"Asterisk does not start: {self._last_words()}")
            await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """End it in order: calls are hung up, their records written."""
        if self._process and self.running:
            self._process.terminate()
        await self._wait_or_kill()

    async def end(self) -> None:
        """The same, by its console; whatever else is here stays as it is, for `restart`."""
        with contextlib.suppress(AsteriskFailed):  # it may be gone before it has answered
            await self.rx("core stop now")
        await self._wait_or_kill()

    async def kill(self) -> None:
        """End it as a power cut would."""
        if self._process and self.running:
            self._process.kill()
        await self._wait_or_kill()

    async def restart(self) -> None:
        """Start again after `stop` or `kill`, with the same ports, secrets and database; not within the same second.

        An Asterisk names its calls by the second and counts them from 0: two that lived in one second would give the
        same names. With all its modules it takes longer than that to start; this one does not.
        """
        await asyncio.sleep(1 - time.time() % 1)
        await self._launch()

    async def attach(self, attachment: Attachment) -> None:
        """Change at run time how the dialplan asks; AMI filters stay as they were at the start."""
        before, self.attachment = self.attachment.variables(), attachment
        for name, value in attachment.variables().items() - before.items():
            await self.rx(f'dialplan set global {name} "{value}"')

    def freeze(self) -> None:
        """SIGSTOP: the process stays and does nothing."""
        if self._process:
            self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        if self._process:
            self._process.send_signal(signal.SIGCONT)

    async def rx(self, command: str) -> str:
        """Run a command on Asterisk's console; returns what it prints."""
        status, said = await self._console(command)
        if status:
            raise AsteriskFailed(f"`{command}`: {said.strip()}")
        return said

    async def _is_booted(self) -> bool:
        if not (self.folder / "run" / "asterisk.ctl").exists():
            return False
        status, _said = await self._console("core waitfullybooted")
        return status == 0

    async def _console(self, command: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            *self.software.asterisk, "-C", str(self.folder / "etc" / "asterisk.conf"), "-rx", command,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        try:
            said, _ = await process.communicate()
        finally:
            if process.returncode is None:  # whoever asked has given up
                process.kill()
        return process.returncode or 0, said.decode(errors="replace")

    async def _wait_or_kill(self) -> None:
        if not self._process:
            return
        try:
            await asyncio.wait_for(self._process.wait(), STOP_SECONDS)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        (self.folder / "run" / "asterisk.ctl").unlink(missing_ok=True)

    def _last_words(self) -> str:
        text = (self.folder / "log" / "console").read_text(errors="replace").strip()
        return " | ".join(text.splitlines()[-3:]) or "it said nothing"

    def _configure(self) -> None:
        for name in (
            *DIRECTORIES.values(),
            "log/cel-custom",
            "log/cdr-csv",
            "spool/monitor",
            "data/sounds/en",
            "data/moh",
        ):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.cel_file.touch()  # Asterisk makes it at the first call
        documentation = self.folder / "data" / "documentation"
        if not documentation.exists():
            documentation.symlink_to(self.software.documentation)
        silence = b"\xff" * 8000
        (self.folder / "data/sounds/en/silence1.ulaw").write_bytes(silence)
        (self.folder / "data/moh/silence.ulaw").write_bytes(silence * 5)
        etc = self.folder / "etc"
        for path in SHIPPED.glob("*.conf"):
            shutil.copy(path, etc)
        for name, text in self._files().items():
            (etc / name).write_text(text, encoding="utf-8")

    def _files(self) -> dict[str, str]:
        files = {f"{name}.conf": "" for name in EMPTY_FILES}
        files |= _split((TEMPLATES / "small.conf").read_text(encoding="utf-8"))
        for name in ("extensions.conf", "pjsip.conf", "queues.conf"):
            files[name] = (TEMPLATES / name).read_text(encoding="utf-8")
        files["pjsip.conf"] += "".join(_endpoint(extension, self.phones_port) for extension in company.EMPLOYEES)
        files["queues.conf"] += "".join(map(_queue, company.QUEUES))
        files["asterisk.conf"] = self._asterisk_conf()
        files["modules.conf"] = self._modules_conf()
        files["manager_callrouter.conf"] = self._manager_conf()
        files["manager_callrouter_callback.conf"] = _shipped("manager_callrouter_callback.conf", self.callback_secret)
        files["ari_callrouter.conf"] = _shipped("ari_callrouter.conf", self.ari_password)
        for name, text in self.additions.items():
            files[name] = files.get(name, "") + "\n" + text
        values = self._values()
        return {name: _filled(text, values) for name, text in files.items()}

    def _values(self) -> dict[str, str]:
        return {
            "DOOR_SETTINGS": "".join(f"{name} = {value}\n" for name, value in self.attachment.variables().items()),
            "SIP_PORT": str(self.sip_port), "PHONES_PORT": str(self.phones_port), "AMI_PORT": str(self.ami_port),
            "HTTP_PORT": str(self.http_port), "OBSERVER_SECRET": self.observer_secret,
            "TRUNK_NUMBER": company.TRUNK_NUMBER, "MOH": str(self.folder / "data" / "moh"),
        }  # fmt: skip

    def _asterisk_conf(self) -> str:
        places = {**DIRECTORIES}
        lines = ["[directories]", *(f"{key} => {self.folder / place}" for key, place in places.items())]
        lines += [f"astmoddir => {self.software.modules}", "[options]", f"systemname = {self.name}", "nofork = yes"]
        return "\n".join([*lines, "maxfiles = 8192", "hideconnect = yes", "verbose = 3", ""])

    def _modules_conf(self) -> str:
        wanted = [*(TEMPLATES / "modules.list").read_text().split(), *self.additions.get("modules.list", "").split()]
        present = [f"load = {name}" for name in wanted if (self.software.modules / name).exists()]
        return "\n".join(["[modules]", "autoload = no", *present, ""])

    def _manager_conf(self) -> str:
        name = "manager_callrouter_22.conf" if self.software.major >= MANAGER_22 else "manager_callrouter.conf"
        text = _shipped(name, self.ami_secret).replace("\n;eventfilter", "\neventfilter")  # the lab has ring groups
        if not self.attachment.ami_filters:
            text = "\n".join(line for line in text.splitlines() if not line.startswith(("eventfilter", "read")))
            text += "\nread = all\n"
        return text


def _shipped(name: str, secret: str) -> str:
    return (SHIPPED / name).read_text().replace("change-me", secret)


def _endpoint(extension: str, port: int) -> str:
    name = company.AGENT_NAMES.get(extension, f"Employee {extension}")
    contact = f"contact = sip:{extension}@127.0.0.1:{port}"
    return (
        f'[{extension}](employee)\naors = {extension}\ncallerid = "{name}" <{extension}>\n\n'
        f"[{extension}]\ntype = aor\n{contact}\n\n"
    )


def _queue(name: str) -> str:
    lines = [f"[{name}](calm)"]
    for extension in company.QUEUES[name]:
        local = f"Local/{extension}@from-queue/n" if name == "local" else f"PJSIP/{extension}"
        agent = company.AGENT_NAMES.get(extension, "")
        lines.append(f"member => {local},0,{agent},PJSIP/{extension}")
    return "\n".join([*lines, "", ""])


def _split(text: str) -> dict[str, str]:
    """Several short files in one: each begins with a line `;;; name.conf`."""
    files: dict[str, str] = {}
    for part in text.split(";;; ")[1:]:
        name, _, content = part.partition("\n")
        files[name.strip()] = content
    return files


def _filled(text: str, values: dict[str, str]) -> str:
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text
