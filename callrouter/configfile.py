"""Reads the configuration: one TOML file, every key also by environment; each complaint names its line and the mend.

Environment names: `CALLROUTER_<SECTION>_<KEY>`, as CALLROUTER_REDIS_URL; for a PBX `CALLROUTER_PBX_<NAME>_<KEY>`, as
CALLROUTER_PBX_PBX1_AMI_SECRET. A list is written with commas. Connects to no server.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import msgspec

from callrouter.config import Config, PbxConfig

PREFIX = "CALLROUTER_"
NOT_CONFIGURATION = frozenset({"CALLROUTER_CACHE", "CALLROUTER_CONFIG"})


class ConfigError(Exception):
    """The configuration cannot be used; the text has one line per complaint, with its place and the mend."""


class Source(msgspec.Struct, frozen=True):
    """Where each value came from, so that an unreachable server can be told with the line that names it."""

    file: str
    lines: dict[str, int]
    from_env: dict[str, str]

    def where(self, key: str) -> str:
        """`callrouter.toml:12 (redis.url)` or `$CALLROUTER_REDIS_URL`; `key` as in `pbx.0.ami`."""
        if key in self.from_env:
            return f"${self.from_env[key]}"
        if key in self.lines:
            return f"{self.file}:{self.lines[key]} ({key})"
        return f"{key} (not set: the default)"


class Loaded(msgspec.Struct, frozen=True):
    config: Config
    source: Source


def load(file: Path | None, environ: Mapping[str, str]) -> Loaded:
    """The configuration of `file` (None: defaults alone) under `environ`. Raises ConfigError with all complaints."""
    text, raw = _read(file)
    name = str(file) if file else "(no file)"
    lines = _lines(text)
    complaints = list(_unknown_keys(raw, name, lines))
    from_env: dict[str, str] = {}
    for variable in sorted(k for k in environ if k.startswith(PREFIX) and k not in NOT_CONFIGURATION):
        complaint = _apply(raw, variable, environ[variable], from_env)
        if complaint:
            complaints.append(complaint)
    source = Source(name, lines, from_env)
    if not complaints:
        complaints += _secret_files(raw, source)
    if not complaints:
        try:
            return Loaded(msgspec.convert(raw, Config), source)
        except msgspec.ValidationError:
            complaints += _bad_values(raw, source)
    raise ConfigError("\n".join(complaints))


def shown(config: Config) -> dict[str, Any]:
    """The configuration as plain data, secrets masked."""
    masked: dict[str, Any] = _mask(msgspec.to_builtins(config))
    return masked


def _read(file: Path | None) -> tuple[str, dict[str, Any]]:
    if file is None:
        return "", {}
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror}); give the file with --config FILE") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: is not UTF-8 text; TOML files must be") from None
    try:
        return text, tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: is not valid TOML: {error}") from None


_HEADER = re.compile(r"^\s*(\[\[?)\s*([\w.\"-]+)\s*\]\]?")
_KEY = re.compile(r"^\s*([\w-]+|\"[^\"]+\")\s*=")


def _lines(text: str) -> dict[str, int]:
    """Line numbers of `section.key` (and `section`); TOML readers do not keep them."""
    lines: dict[str, int] = {}
    section, counts = "", dict[str, int]()
    for at, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            section = header[2]
            if header[1] == "[[":
                counts[section] = counts.get(section, -1) + 1
                section = f"{section}.{counts[section]}"
            elif (head := section.partition("."))[0] in counts:
                section = f"{head[0]}.{counts[head[0]]}.{head[2]}"
            lines.setdefault(section, at)
        elif key := _KEY.match(line):
            lines.setdefault(f"{section}.{key[1]}".lstrip("."), at)
    return lines


def _fields(struct: type[msgspec.Struct]) -> dict[str, Any]:
    return {field.name: field.type for field in msgspec.structs.fields(struct)}


def _sections(raw: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
    """(path, its keys and values, the keys known there) of each section of the file that we know."""
    for name, kind in _fields(Config).items():
        section = raw.get(name)
        if name == "pbx" and isinstance(section, list):
            for index, pbx in enumerate(section):
                if isinstance(pbx, dict):
                    yield f"pbx.{index}", pbx, list(_fields(PbxConfig))
        elif name != "pbx" and isinstance(section, dict):
            yield name, section, list(_fields(kind))


def _unknown_keys(raw: dict[str, Any], file: str, lines: dict[str, int]) -> Iterator[str]:
    for prefix, section, known in [("", raw, list(_fields(Config))), *_sections(raw)]:
        for key in section:
            if key not in known:
                close = difflib.get_close_matches(key, known, n=1)
                mend = f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(known)}"
                path = f"{prefix}.{key}".lstrip(".")
                line = lines.get(path) or lines.get(f"{path}.0", 1)
                yield f"{file}:{line}: unknown key {path!r}; {mend}"


def _apply(raw: dict[str, Any], variable: str, value: str, from_env: dict[str, str]) -> str | None:
    """Put an environment variable into `raw`; the complaint if it names no key or its value does not fit."""
    found = _target(raw, variable)
    if found is None:
        return f"${variable}: names no configuration key; `callrouter config show` lists them"
    holder, path, kind = found
    plain: Any = [part.strip() for part in value.split(",") if part.strip()] if "tuple" in str(kind) else value
    try:
        holder[path.rpartition(".")[2]] = msgspec.to_builtins(msgspec.convert(plain, kind, strict=False))
    except msgspec.ValidationError as error:
        return f"${variable}: {error}"
    from_env[path] = variable
    return None


def _target(raw: dict[str, Any], variable: str) -> tuple[dict[str, Any], str, Any] | None:
    rest = variable.removeprefix(PREFIX).lower()
    for name, kind in _fields(Config).items():
        if name != "pbx" and rest.startswith(name + "_"):
            key = rest.removeprefix(name + "_")
            section = raw.setdefault(name, {})
            if key in _fields(kind) and isinstance(section, dict):
                return section, f"{name}.{key}", _fields(kind)[key]
    sections = raw.get("pbx")
    for index, pbx in enumerate(sections if isinstance(sections, list) else ()):
        if not isinstance(pbx, dict):
            continue
        start = "pbx_" + re.sub(r"\W", "_", str(pbx.get("name", ""))).lower() + "_"
        key = rest.removeprefix(start)
        if rest.startswith(start) and key in _fields(PbxConfig):
            return pbx, f"pbx.{index}.{key}", _fields(PbxConfig)[key]
    return None


def _secret_files(raw: dict[str, Any], source: Source) -> list[str]:
    """Reads each `…_file` into the key it stands for. Complaints for files that cannot be read."""
    complaints = []
    for name, section, _ in _sections(raw):
        for key in [k for k in section if k.endswith("_file") and section[k]]:
            try:
                secret = Path(str(section[key])).read_text(encoding="utf-8").strip()
                if key == "password_file":
                    url = section.get("url", getattr(getattr(Config(), name), "url", ""))
                    section["url"] = _with_password(str(url), secret)
                else:
                    section[key.removesuffix("_file")] = secret
            except (OSError, UnicodeDecodeError) as error:
                complaints.append(f"{source.where(f'{name}.{key}')}: {section[key]} cannot be read: {error}")
            except ValueError as error:
                complaints.append(f"{source.where(f'{name}.url')}: not a URL: {error}")
    return complaints


def _with_password(url: str, password: str) -> str:
    parts = urlsplit(url)
    user = parts.username or ""
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}"))


def _bad_values(raw: dict[str, Any], source: Source) -> list[str]:
    """One complaint per section that does not convert; sections are tried apart, so that all are told at once."""
    complaints = []
    for name, kind in _fields(Config).items():
        if name not in raw:
            continue
        entries = enumerate(raw[name]) if name == "pbx" and isinstance(raw[name], list) else [(None, raw[name])]
        for index, entry in entries:
            prefix = name if index is None else f"{name}.{index}"
            try:
                msgspec.convert(entry, kind if index is None else PbxConfig)
            except msgspec.ValidationError as error:
                complaints.append(_told(str(error), prefix, source, entry))
    if not complaints:
        try:
            msgspec.convert(raw, Config)
        except msgspec.ValidationError as error:
            complaints.append(f"{source.file}: {str(error).partition(' - at ')[0]}")
    return complaints


def _told(error: str, prefix: str, source: Source, entry: object) -> str:
    message, _, path = error.partition(" - at `$")
    keys = [key for key in re.split(r"[.\[\]`]+", path) if key]
    key = keys[0] if keys else _key_in(message, entry)
    place = f"{prefix}.{key}" if key else prefix
    return f"{source.where(place)}: {message[:1].lower()}{message[1:]}"


def _key_in(message: str, entry: object) -> str:
    """The key a check's message speaks of: named in it, or holding the value it quotes."""
    if not isinstance(entry, dict):
        return ""
    for key, value in entry.items():
        if re.search(rf"\b{key}\b", message) or repr(value) in message:
            return str(key)
    return next((key for key in entry if "url" in key and "URL" in message), "")


_MASK = "********"


def _mask(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {k: _mask(v, k) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_mask(v) for v in value]
    if key.endswith("secret") and value:
        return _MASK
    if key == "url" and isinstance(value, str):
        parts = urlsplit(value)
        shown = value if parts.password is None else value.replace(f":{parts.password}@", f":{_MASK}@")
        return re.sub(r"(?<=[?&]password=)[^&#]*", _MASK, shown)
    return value
