"""Whose address a request comes from: behind trusted proxies the one that they tell, cut as the law likes it.

Knows addresses only. What it returns is for counting and for looking up a place; nothing here stores or logs one.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import ip_network
from typing import NamedTuple

LONGEST = 64
"""Characters of an address as a proxy writes it, with a port or a zone."""
BITS = {4: 32, 6: 128}
CUT = {4: 24, 6: 48}
HOUSEHOLD_V6 = 64
"""One customer has a whole /64 of IPv6, often more: counting single addresses there counts nothing."""
MAPPED = 0xFFFF << 32
"""An IPv4 address in IPv6 clothes begins so."""


class Address(NamedTuple):
    version: int
    value: int

    def __str__(self) -> str:
        return socket.inet_ntop(*_packed(self))


class Network(NamedTuple):
    version: int
    head: int
    tail_bits: int

    def has(self, address: Address) -> bool:
        return address.version == self.version and address.value >> self.tail_bits == self.head


def network(text: str) -> Network:
    """An address or a network as configured. Raises ValueError."""
    found = ip_network(text)
    tail_bits = BITS[found.version] - found.prefixlen
    return Network(found.version, int(found.network_address) >> tail_bits, tail_bits)


class Addresses:
    """Requests may come through `proxies`; nobody else's word about whom they stand for is taken."""

    def __init__(self, proxies: Iterable[str]) -> None:
        trusted = tuple(map(network, proxies))

        def is_proxy(text: str) -> bool:
            address = parsed(text)
            return address is not None and any(each.has(address) for each in trusted)

        self._is_proxy: Callable[[str], bool] = lru_cache(maxsize=4096)(is_proxy)

    def of(self, peer: str, forwarded: str) -> str:
        """The visitor's address; '' if only a proxy knows it, or if it is none.

        `forwarded` is X-Forwarded-For: each proxy added at the end what it saw. The last that is no proxy of ours
        counts; what stands before it was written by the visitor himself.
        """
        if peer and not self._is_proxy(peer):
            return _canonical(peer)
        if forwarded:
            for each in reversed(forwarded.split(",")):
                told = each.strip()[:LONGEST]
                if not self._is_proxy(told):
                    return _canonical(told)
        return ""


def _canonical(text: str) -> str:
    address = parsed(text)
    return str(address) if address else ""


def parsed(text: str) -> Address | None:
    """The address that `text` spells, its port and zone left out; an IPv4 address in IPv6 clothes is IPv4."""
    bare = text.strip().removeprefix("[").partition("]")[0].partition("%")[0]
    if bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        if ":" not in bare:
            return Address(4, int.from_bytes(socket.inet_pton(socket.AF_INET, bare)))
        value = int.from_bytes(socket.inet_pton(socket.AF_INET6, bare))
    except (OSError, ValueError):  # ValueError: NUL or characters of no address
        return None
    return Address(4, value - MAPPED) if value >> 32 == MAPPED >> 32 else Address(6, value)


def household(address: str) -> str:
    """What is counted as one visitor's line: an IPv4 address, the /64 of an IPv6 address."""
    return _headed(address, HOUSEHOLD_V6) if ":" in address else address


def cut(address: str) -> str:
    """The address without its last part, which names a person: /24 of IPv4, /48 of IPv6; '' for none."""
    return _headed(address, CUT[6]) if ":" in address else _headed(address, CUT[4])


@lru_cache(maxsize=16384)
def _headed(address: str, bits: int) -> str:
    found = parsed(address)
    if found is None:
        return ""
    tail = BITS[found.version] - bits
    return str(Address(found.version, found.value >> tail << tail))


def _packed(address: Address) -> tuple[int, bytes]:
    if address.version == 4:  # noqa: PLR2004 # IPv4
        return socket.AF_INET, address.value.to_bytes(4)
    return socket.AF_INET6, address.value.to_bytes(16)
