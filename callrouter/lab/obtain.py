"""Where a real Asterisk and SIPp come from: this machine's own, or Debian packages unpacked into a cache folder.

Knows apt, dpkg and the dynamic loader; needs no root and changes nothing outside the cache. Does not know how Asterisk
is configured or what is tested with it. The mirror is the one that this machine's own apt uses.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

OLDEST = 16
SUITES = ("forky", "sid", "bullseye")  # the first two have Asterisk 22, the last has 16
SUITES_OF_VERSION = {16: ("bullseye",), 22: ("forky", "sid")}
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
PACKAGES = ("asterisk", "asterisk-modules", "sip-tester")
EXTRA_LIBRARIES = (
    "libgsm1",
    "libsrtp2-1",
    "libspeexdsp1",
)  # of the modules we load, as asterisk-modules needs too much
APT_SECONDS = 180

Progress = Callable[[str], None]


class LabUnavailable(RuntimeError):
    """No real Asterisk here; the message is one line: why, and what to do."""


@dataclass(frozen=True)
class PbxSoftware:
    """How to run the programs: the words before their arguments."""

    version: str
    asterisk: tuple[str, ...]
    sipp: tuple[str, ...]
    modules: Path
    documentation: Path

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])


def obtain(
    version: int | None = None, *, cache: Path | None = None, progress: Progress = lambda _line: None
) -> PbxSoftware:
    """Asterisk of this major version (any from 16 when not given) and SIPp: installed, cached, or downloaded now."""
    installed = _installed()
    if installed and version in (None, installed.major):
        return installed
    folder = cache or default_cache()
    reasons = []
    for suite in SUITES_OF_VERSION.get(version, ()) if version else SUITES:
        try:
            return _from_suite(suite, folder / "asterisk", progress)
        except (LabUnavailable, OSError, subprocess.SubprocessError) as reason:
            reasons.append(f"{suite}: {reason}")
    why = "; ".join(reasons) or f"no suite is known to have Asterisk {version}"
    raise LabUnavailable(f"no Asterisk here ({why}): install the packages asterisk and sip-tester, or use --simulated")


def default_cache() -> Path:
    """$CALLROUTER_CACHE, else .cache of the clone, else the user's cache folder."""
    if given := os.environ.get("CALLROUTER_CACHE"):
        return Path(given).absolute()
    clone = Path(__file__).parents[2]
    if (clone / "pyproject.toml").exists() and os.access(clone, os.W_OK):
        return clone / ".cache"
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "callrouter"


def _installed() -> PbxSoftware | None:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    asterisk, sipp = shutil.which("asterisk", path=path), shutil.which("sipp", path=path)
    modules = next(
        iter([*Path("/usr/lib").glob("*/asterisk/modules"), *Path("/usr/lib/asterisk").glob("modules")]), None
    )
    documentation = [base / "documentation" for base in map(Path, ("/usr/share/asterisk", "/var/lib/asterisk"))]
    found = next((folder for folder in documentation if folder.exists()), None)
    if not (asterisk and sipp and modules and found):
        return None
    with contextlib.suppress(LabUnavailable, OSError, subprocess.SubprocessError):
        return PbxSoftware(_version((asterisk,)), (asterisk,), (sipp,), modules, found)
    return None


def _version(asterisk: tuple[str, ...]) -> str:
    said = _run([*asterisk, "-V"])
    match = re.search(r"(\d+)\.\d[\w.~]*", said)
    if not match or int(match[1]) < OLDEST:
        raise LabUnavailable(f"Asterisk {OLDEST} or newer is needed, found {said.strip() or 'none'}")
    return match[0]


def _from_suite(suite: str, folder: Path, progress: Progress) -> PbxSoftware:
    """The unpacked suite from the cache, filled first if need be; another process that fills it now is waited for."""
    root = folder / suite
    folder.mkdir(parents=True, exist_ok=True)
    if not root.exists():
        with _locked(folder / f"{suite}.lock"):
            if not root.exists():
                _fill(suite, root, progress)
    return _unpacked(root)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _unpacked(root: Path) -> PbxSoftware:
    """The programs of an unpacked suite, run by that suite's own loader and libraries. The folder may be moved."""
    libraries = next(root.glob("usr/lib/*-linux-gnu*"), None)
    # Not usr/lib64: where that is an absolute link it would leave the folder.
    loader = next(libraries.glob("ld-linux*.so.*"), None) if libraries else None
    modules = next(iter([*root.glob("usr/lib/*/asterisk/modules"), *root.glob("usr/lib/asterisk/modules")]), None)
    if not (libraries and loader and modules):
        raise LabUnavailable(f"{root} is damaged: delete it and repeat")
    by_loader = (str(loader), "--library-path", f"{libraries}:{root / 'usr/lib'}")
    asterisk = (*by_loader, str(root / "usr/sbin/asterisk"))
    documentation = root / "usr/share/asterisk/documentation"
    return PbxSoftware(_version(asterisk), asterisk, (*by_loader, str(root / "usr/bin/sipp")), modules, documentation)


def _fill(suite: str, root: Path, progress: Progress) -> None:
    for tool in ("apt-get", "apt-cache", "dpkg-deb", "tar"):
        if not shutil.which(tool):
            raise LabUnavailable(f"no {tool} on this system")
    if not KEYRING.exists():
        raise LabUnavailable("no Debian archive keyring on this system")
    with tempfile.TemporaryDirectory(prefix=f"{suite}-", dir=root.parent) as work:
        apt = _PrivateApt(Path(work), suite)
        progress(f"Asterisk: reading the package index of Debian {suite} …")
        apt.update()
        names = apt.closure()
        progress(f"Asterisk: downloading {len(names)} packages of Debian {suite} …")
        archives = apt.download(names)
        progress("Asterisk: unpacking …")
        unpacked = Path(work) / "root"
        _unpack(archives, unpacked)
        progress(f"Asterisk {_unpacked(unpacked).version} is ready")
        unpacked.rename(root)


class _PrivateApt:
    """apt with a state of its own, so that neither the host's sources nor its libc are touched."""

    def __init__(self, folder: Path, suite: str) -> None:
        self._folder = folder
        for name in ("state/lists/partial", "cache/archives/partial", "debs"):
            (folder / name).mkdir(parents=True)
        (folder / "status").touch()
        (folder / "sources.list").write_text("\n".join(_sources(suite)) + "\n")
        options = {
            "Dir::State": folder / "state",
            "Dir::State::status": folder / "status",
            "Dir::Cache": folder / "cache",
            "Dir::Etc::SourceList": folder / "sources.list",
            "Dir::Etc::SourceParts": "/dev/null",
            "Acquire::Check-Valid-Until": "false",  # mirrors of moving suites lag; signatures stay checked
            "Acquire::Languages": "none",
            "Acquire::Retries": "1",
            "Acquire::http::Timeout": "15",
            "APT::Sandbox::User": "",  # as root apt would drop to a user who may not enter our folder
        }
        self._options = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]

    def update(self) -> None:
        """Read the suite's index; apt-get ends well even when it could not, unless told otherwise."""
        _run(["apt-get", *self._options, "-o", "APT::Update::Error-Mode=any", "-q", "update"])

    def closure(self) -> list[str]:
        """Our packages and the shared libraries they need, transitively."""
        relations = ["recommends", "suggests", "conflicts", "breaks", "replaces", "enhances"]
        flags = [f"--no-{relation}" for relation in relations]
        listing = _run(["apt-cache", *self._options, "depends", "--recurse", *flags, *PACKAGES])
        depends = _dependencies(listing)
        # Not the modules' own: that would be every database and sound system there is.
        waiting, chosen = ["asterisk", "sip-tester", *EXTRA_LIBRARIES], set(PACKAGES)
        while waiting:
            name = waiting.pop()
            chosen.add(name)
            waiting += [other for other in depends.get(name, ()) if _is_library(other) and other not in chosen]
        return sorted(chosen)

    def download(self, names: list[str]) -> list[Path]:
        """Fetch the packages, their signatures and hashes checked by apt."""
        _run(["apt-get", *self._options, "-q", "download", *names], cwd=self._folder / "debs")
        return sorted((self._folder / "debs").glob("*.deb"))


def _sources(suite: str) -> list[str]:
    """The lines of a sources.list for one suite, at the mirror of this machine's own apt."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    mirrors = _run(command).split()
    debian = [uri for uri in mirrors if re.search(r"/debian/?$", uri)]
    if not debian:
        raise LabUnavailable("this machine's apt knows no Debian mirror")
    security = [uri for uri in mirrors if re.search(r"/debian-security/?$", uri)]
    signed = f"deb [signed-by={KEYRING}]"
    lines = [f"{signed} {debian[0]} {suite} main"]
    if suite == "bullseye":
        lines.append(
            f"{signed} {(security or [re.sub('/debian/?$', '/debian-security/', debian[0])])[0]} {suite}-security main"
        )
    return lines


def _dependencies(listing: str) -> dict[str, list[str]]:
    """`apt-cache depends` read: package → what it needs, of alternatives the first."""
    found: dict[str, list[str]] = {}
    needs: list[str] = []
    alternative_taken = False
    for line in listing.splitlines():
        if not line.startswith(" "):
            needs = found.setdefault(line.strip(), [])
            alternative_taken = False
        elif match := re.match(r" ([ |])(?:Pre)?Depends: (\S+)", line):
            if not alternative_taken:
                needs.append(match[2])
            alternative_taken = match[1] == "|"
    return found


def _is_library(package: str) -> bool:
    return package.startswith("lib") or package == "zlib1g"


def _unpack(archives: list[Path], root: Path) -> None:
    for name in ("bin", "sbin", "lib", "lib64"):  # a merged /usr, as the suites expect
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for archive in archives:
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(archive)], stdout=subprocess.PIPE) as reader:
            subprocess.run(
                ["tar", "-x", "--keep-directory-symlink", "--no-same-owner", "-C", str(root)],
                stdin=reader.stdout, check=True, capture_output=True,
            )  # fmt: skip
        if reader.returncode:
            raise LabUnavailable(f"{archive.name} cannot be unpacked")


def _run(command: list[str], cwd: Path | None = None) -> str:
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, errors="replace", check=False, timeout=APT_SECONDS,
        env=environment, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode:
        complaint = next((line for line in done.stderr.splitlines() if line.strip()), f"exit code {done.returncode}")
        raise LabUnavailable(f"{Path(command[0]).name} failed: {complaint.strip()[:200]}")
    return done.stdout
