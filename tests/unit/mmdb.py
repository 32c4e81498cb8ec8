"""A small database in MaxMind's format (version 2 of its specification), for tests."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Node = list[Any]


class Wide(int):
    """Wider than the usual two bytes."""

    bytes: int

    def __new__(cls, value: int, size: int) -> Wide:
        wide = super().__new__(cls, value)
        wide.bytes = size
        return wide


def written_database(path: Path, places: Mapping[str, tuple[str, str, str]]) -> Path:
    """Networks of IPv4 with country, region and town, in Russian; all in Moscow's region, by their codes."""
    root: Node = [None, None]
    data, offsets = b"", []
    for text, (country, region, town) in places.items():
        offsets.append(len(data))
        codes: tuple[dict[str, str], ...] = ({"iso_code": "RU"}, {"iso_code": "MOS"}, {})
        parts = [{"names": {"ru": name}} | code for name, code in zip((country, region, town), codes, strict=True)]
        data += _encoded({"country": parts[0], "subdivisions": [parts[1]], "city": parts[2]})
        _insert(root, ipaddress.IPv4Network(text), offsets[-1])
    nodes = _flattened(root)
    tree = b"".join(_record(side, nodes, len(nodes)) for node in nodes for side in node)
    metadata = {
        "node_count": Wide(len(nodes), 4), "record_size": 24, "ip_version": 4, "database_type": "Test-City",
        "languages": ["ru"], "binary_format_major_version": 2, "binary_format_minor_version": 0,
        "build_epoch": Wide(1, 8), "description": {"en": "test"},
    }  # fmt: skip
    path.write_bytes(tree + bytes(16) + data + b"\xab\xcd\xefMaxMind.com" + _encoded(metadata))
    return path


def _insert(root: Node, network: ipaddress.IPv4Network, offset: int) -> None:
    bits = f"{int(network.network_address):032b}"[: network.prefixlen]
    node = root
    for bit in bits[:-1]:
        if node[int(bit)] is None:
            node[int(bit)] = [None, None]
        node = node[int(bit)]
    node[int(bits[-1])] = offset


def _flattened(root: Node) -> list[Node]:
    nodes = [root]
    for node in nodes:
        nodes += [side for side in node if isinstance(side, list)]
    return nodes


def _record(side: object, nodes: list[Node], count: int) -> bytes:
    if side is None:
        return count.to_bytes(3)
    if isinstance(side, int):
        return (count + 16 + side).to_bytes(3)
    return next(place for place, node in enumerate(nodes) if node is side).to_bytes(3)


def _encoded(value: object) -> bytes:
    if isinstance(value, str):
        text = value.encode()
        return _head(2, len(text)) + text
    if isinstance(value, Wide):
        return bytes([8, 2]) + value.to_bytes(8) if value.bytes == 8 else _head(6, 4) + value.to_bytes(4)
    if isinstance(value, int):
        return _head(5, 2) + value.to_bytes(2)
    if isinstance(value, dict):
        return _head(7, len(value)) + b"".join(_encoded(key) + _encoded(item) for key, item in value.items())
    assert isinstance(value, list)
    return bytes([len(value), 4]) + b"".join(map(_encoded, value))  # an extended type: its number less 7


def _head(kind: int, size: int) -> bytes:
    return bytes([kind << 5 | size]) if size < 29 else bytes([kind << 5 | 29, size - 29])
