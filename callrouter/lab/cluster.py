"""A Valkey cluster on this machine: masters that share the slots and, if asked for, replicas that stand in for them.

Knows how nodes are joined, and who leads at this moment. Does not know how one server is run (`servers`).
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import redis

from callrouter.lab.servers import EmbeddedValkey, await_that, password_of, running

SLOTS = 16384


class EmbeddedValkeyCluster:
    """`masters` nodes that share the slots, each with `replicas` more nodes behind it.

    A part of the cluster goes on while another has no master (`cluster-require-full-coverage no`): a pool is one slot,
    and nobody is served better by refusing all pools because some are away.
    """

    def __init__(self, folder: Path, *, masters: int = 3, replicas: int = 0, timeout_ms: int = 2000) -> None:
        self.folder = folder.absolute()
        self.nodes = [
            EmbeddedValkey(self.folder / f"node{n}", cluster_timeout_ms=timeout_ms)
            for n in range(masters * (1 + replicas))
        ]
        self.masters = masters

    def start(self) -> str:
        """Start and join the nodes; returns the URL of the first, to be opened by a cluster client."""
        self.folder.mkdir(parents=True, exist_ok=True)
        password = password_of(self.folder)
        try:
            for node in self.nodes:
                node.password = password
                (node.folder / "nodes.conf").unlink(missing_ok=True)  # the ports have changed, and the data is gone
                node.start()
            self._join()
        except BaseException:
            self.stop()
            raise
        return self.nodes[0].url

    def stop(self) -> None:
        """Shut all nodes down."""
        for node in self.nodes:
            node.stop()

    def leader_of(self, key: str) -> EmbeddedValkey | None:
        """The node that every reachable node holds for the master of this key's slot; None while they differ."""
        found = {self._leader(node, key) for node in self.nodes}
        ports = found - {None}
        return next((node for node in self.nodes if node.port in ports), None) if len(ports) == 1 else None

    def _leader(self, asked: EmbeddedValkey, key: str) -> int | None:
        try:
            with asked.client() as client:
                slot = int(client.execute_command("CLUSTER", "KEYSLOT", key))
                ranges = client.execute_command("CLUSTER", "SLOTS")
        except redis.RedisError:
            return None
        return next((int(leader[1]) for first, last, leader, *_ in ranges if first <= slot <= last), None)

    def _join(self) -> None:
        bounds = [SLOTS * n // self.masters for n in range(self.masters + 1)]
        masters, replicas = self.nodes[: self.masters], self.nodes[self.masters :]
        for n, node in enumerate(masters):
            _tell(node, "CLUSTER", "ADDSLOTSRANGE", bounds[n], bounds[n + 1] - 1)
            _tell(node, "CLUSTER", "SET-CONFIG-EPOCH", n + 1)
        for node in self.nodes[1:]:
            _tell(self.nodes[0], "CLUSTER", "MEET", "127.0.0.1", node.port, node.bus_port)
        await_that(lambda: all(map(self._is_whole, self.nodes)), "the cluster did not form")
        for n, node in enumerate(replicas):
            _tell(node, "CLUSTER", "REPLICATE", _tell(masters[n % self.masters], "CLUSTER", "MYID"))
        await_that(lambda: all(node.is_synchronised() for node in replicas), "the replicas do not reach their masters")
        await_that(lambda: all(self._shows_replicas(node) for node in self.nodes), "the replicas are not known to all")

    def _is_whole(self, node: EmbeddedValkey) -> bool:
        known = f"cluster_known_nodes:{len(self.nodes)}\r\n"
        info = _tell(node, "CLUSTER", "INFO")
        return all(word in info for word in ("cluster_state:ok", known, f"cluster_size:{self.masters}\r\n"))

    def _shows_replicas(self, node: EmbeddedValkey) -> bool:
        return _tell(node, "CLUSTER", "NODES").count("slave ") == len(self.nodes) - self.masters


def _tell(node: EmbeddedValkey, *command: str | int) -> str:
    with node.client() as client:
        reply = client.execute_command(*command)
    return reply.decode() if isinstance(reply, bytes) else str(reply)


@contextlib.asynccontextmanager
async def embedded_valkey_cluster(folder: Path, *, masters: int = 3) -> AsyncIterator[str]:
    """A Valkey cluster for the time of the block; yields the URL of one of its masters."""
    async with running(EmbeddedValkeyCluster(folder, masters=masters)) as url:
        yield url
