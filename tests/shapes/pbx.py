"""An Asterisk for the shapes: the lab's, with more dialplan, employees and queues. Its phones do as a script says."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import msgspec

from callrouter.calls.profile import PbxProfile
from callrouter.lab import company
from callrouter.lab.asterisk import AsteriskInstance
from callrouter.lab.obtain import PbxSoftware
from callrouter.lab.sip import Dialog, UserAgent

CONF = Path(__file__).parent / "conf"
PHONES = range(1, 7)
SOUNDS = (
    "pbx-transfer",
    "pbx-invalid",
    "pbx-parkingfailed",
    "beep",
    "beeperr",
    "vm-intro",
    "vm-theperson",
    "vm-isunavail",
)
PATIENCE = 15.0


def phone(lane: int, n: int) -> str:
    """The extension of a lane's n-th employee."""
    return f"1{lane:02}{n}"


def profile(name: str) -> PbxProfile:
    """How a `[[pbx]]` section describes it."""
    return msgspec.structs.replace(company.profile(name), peers=("PJSIP/peer",))


class Switchboard:
    """All phones, inside and outside, on one socket. Whatever rings waits to be taken by a script."""

    def __init__(self) -> None:
        self.agent = UserAgent(self._on_invite)
        self._ringing: dict[str, asyncio.Queue[Dialog]] = defaultdict(asyncio.Queue)
        self.rang_at: dict[str, float] = {}
        """When each leg began to ring, by its Call-ID."""

    async def open(self, pbx_port: int) -> int:
        self.agent.peer = ("127.0.0.1", pbx_port)
        await self.agent.open()
        return self.agent.address[1]

    def close(self) -> None:
        self.agent.close()

    async def rings(self, number: str, seconds: float = PATIENCE) -> Dialog:
        """The next call at this phone."""
        try:
            return await asyncio.wait_for(self._ringing[number].get(), seconds)
        except TimeoutError:
            raise AssertionError(f"{number} did not ring within {seconds} s") from None

    def forget(self, *numbers: str) -> None:
        """Whatever rang at these phones for an earlier script."""
        for number in numbers:
            self._ringing.pop(number, None)

    def _on_invite(self, leg: Dialog) -> None:
        leg.ring()
        self.rang_at[leg.call_id] = time.time()
        self._ringing[leg.user].put_nowait(leg)


class ShapesPbx(AsteriskInstance):
    """`async with ShapesPbx(obtain(22), folder) as pbx`. `peer_port`: where another of them listens for SIP."""

    def __init__(self, software: PbxSoftware, folder: Path, *, name: str, lanes: Sequence[int]) -> None:
        super().__init__(software, folder, name=name)
        self.phones = Switchboard()
        self.peer_port = 9
        self._lanes = lanes

    async def start(self) -> None:
        self.phones_port = await self.phones.open(self.sip_port)
        self.additions = {path.name: path.read_text(encoding="utf-8") for path in CONF.glob("*.*")}
        generated = {
            "pjsip.conf": [_peer(self.peer_port), *(self._endpoint(lane, n) for lane in self._lanes for n in PHONES)],
            "queues.conf": [_queues(lane) for lane in self._lanes],
            "res_parking.conf": [_parking_lot(lane) for lane in self._lanes],
            "voicemail.conf": [_mailboxes(self._lanes)],
            "extensions.conf": [self.additions["extensions.conf"], "[from-internal](+)", *map(_parking, self._lanes)],
        }
        self.additions |= {name: "\n".join(parts) for name, parts in generated.items()}
        sounds = self.folder / "data/sounds/en"
        sounds.mkdir(parents=True, exist_ok=True)
        for name in SOUNDS:
            (sounds / f"{name}.ulaw").write_bytes(b"\xff" * 800)
        await super().start()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.kill()
        self.phones.close()

    async def act(self, **action: str) -> None:
        """Do one AMI action, as a control panel would."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.ami_port)
        login = {"Action": "Login", "Username": self.observer_user, "Secret": self.observer_secret, "Events": "off"}
        for block in (login, action):
            writer.write("".join(f"{key}: {value}\r\n" for key, value in block.items()).encode() + b"\r\n")
        async with asyncio.timeout(PATIENCE):
            for _ in range(2):
                answer = await reader.readuntil(b"\r\n\r\n")
                while b"Response: " not in answer:
                    answer = await reader.readuntil(b"\r\n\r\n")
                assert b"Response: Success" in answer, answer
        writer.close()

    async def channel_of(self, caller: str) -> str:
        """The name of the channel by which this outside number called."""
        listed = (await self.rx("core show channels concise")).splitlines()
        rows = [line.split("!") for line in listed if line.startswith("PJSIP/carrier")]
        return next(row[0] for row in rows if row[7] == caller)

    def _endpoint(self, lane: int, n: int) -> str:
        number = phone(lane, n)
        return (
            f'[{number}](employee)\naors = {number}\ncallerid = "Employee {number}" <{number}>\n'
            f"named_call_group = lane{lane}\nnamed_pickup_group = lane{lane}\n"
            f"[{number}]\ntype = aor\ncontact = sip:{number}@127.0.0.1:{self.phones_port}\n"
        )


def _peer(port: int) -> str:
    """The trunk to another PBX of the company. It is known by its user name, for all are at one address here."""
    return (
        "[peer](employee)\naors = peer\ncontext = from-peer\nfrom_user = peer\nsend_pai = yes\ntrust_id_inbound = yes\n"
        f"[peer]\ntype = aor\ncontact = sip:127.0.0.1:{port}\n"
    )


QUEUES = {
    "sales": ("strategy = linear", (1, 2)),
    "support": ("strategy = linear", (3,)),
    "all": ("strategy = ringall", (1, 2, 3)),
    "locals": ("strategy = linear", ()),
    "confirmed": ("strategy = linear", ()),
    "dynamic": ("strategy = linear", ()),
    "nobody": ("strategy = linear", ()),
}

BEHIND_LOCAL = {"locals": "from-queue-shapes", "confirmed": "confirmed"}


def _queues(lane: int) -> str:
    lines = []
    for name, (strategy, members) in QUEUES.items():
        lines += [f"[{name}{lane:02}]", strategy, "timeout = 3", "retry = 1", "ringinuse = no", "context = keys"]
        lines += [f"joinempty = {'yes' if name == 'nobody' else 'unavailable,invalid'}", "leavewhenempty = no"]
        lines += [f"member => PJSIP/{phone(lane, n)}" for n in members]
        if name in BEHIND_LOCAL:
            number = phone(lane, 1)
            lines.append(f"member => Local/{number}@{BEHIND_LOCAL[name]}/n,0,,PJSIP/{number}")
    return "\n".join(lines)


def _parking_lot(lane: int) -> str:
    lot = f"[lot{lane:02}]\nparkpos => 9{lane:02}-9{lane:02}\n"
    return lot + "context = parkedcalls\nparkingtime = 3\ncomebacktoorigin = yes"


def _parking(lane: int) -> str:
    """Asterisk reads the lot's name as it stands here when somebody is transferred to the extension: no variables."""
    return f"exten => 70{lane:02},1,Park(lot{lane:02})"


def _mailboxes(lanes: Sequence[int]) -> str:
    return "\n".join(
        ["[general]", "format = wav", "[default]", *(f"{phone(lane, 1)} => 0000,Employee" for lane in lanes)]
    )
