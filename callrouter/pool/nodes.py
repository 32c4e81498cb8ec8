"""A cluster's nodes, each asked for itself: one that is away or hangs delays nobody whose pool is elsewhere.

The cluster client's own pipeline fails as a whole if one of its nodes does, and closes the connections to all others.
Knows which node leads a slot at this moment, as far as the client does; knows no scripts and no pools.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from redis import exceptions
from redis.asyncio import RedisCluster
from redis.asyncio.cluster import ClusterNode, PipelineCommand

from callrouter.pool.keys import Slot
from callrouter.pool.scripts import Script

Words = tuple[Any, ...]
L = TypeVar("L")

ASK_THE_CLUSTER = (
    exceptions.ConnectionError, exceptions.TimeoutError, exceptions.AskError, exceptions.TryAgainError,
    exceptions.ReadOnlyError, exceptions.ClusterDownError, OSError,
)  # fmt: skip
"""Failures after which the client finds out where to ask; BUSY, LOADING and the moved slot are among these classes."""


class Lanes(Generic[L]):
    """One of something for each node, made when it is first needed; a single server is one node."""

    def __init__(self, client: object, make: Callable[[], L]) -> None:
        self._cluster = client if isinstance(client, RedisCluster) else None
        self._make = make
        self._lanes: dict[str, L] = {}
        self._hash_slots: dict[Slot, int] = {}

    def of(self, slot: Slot) -> L:
        """The lane to the node that leads `slot`."""
        name = "" if self._cluster is None else self._name(self._cluster, slot)
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = self._make()
        return lane

    def _name(self, cluster: RedisCluster, slot: Slot) -> str:
        hash_slot = self._hash_slots.get(slot)
        if hash_slot is None:
            hash_slot = self._hash_slots[slot] = cluster.keyslot(slot)
        nodes = cluster.nodes_manager.slots_cache.get(hash_slot)
        return nodes[0].name if nodes else ""


async def send_to_nodes(cluster: RedisCluster, commands: Sequence[tuple[Script, Words]]) -> list[Any]:
    """Carry out scripts, each with its words (slot first). A failure is an exception in place of the reply."""
    replies = await _piped(cluster, commands)
    for place, (script, words) in enumerate(commands):
        try:
            if isinstance(replies[place], exceptions.NoScriptError):
                replies[place] = await cluster.execute_command("EVAL", script.text, 1, *words)
            elif isinstance(replies[place], ASK_THE_CLUSTER):
                replies[place] = await _alone(cluster, script, words)
        except (exceptions.RedisError, exceptions.RedisClusterException, OSError, ValueError) as error:
            replies[place] = error
            if isinstance(error, ASK_THE_CLUSTER):
                break  # it is away: the others need not find that out one by one
    return replies


async def _piped(cluster: RedisCluster, commands: Sequence[tuple[Script, Words]]) -> list[Any]:
    """By one send if one node leads them all, as it does in a lane unless slots have just moved."""
    nodes = {node.name: node for _, words in commands if (node := _node(cluster, str(words[0])))}
    if len(nodes) != 1:
        return [exceptions.TryAgainError("no single node leads these")] * len(commands)
    queue = [PipelineCommand(place, "EVALSHA", script.sha, 1, *words) for place, (script, words) in enumerate(commands)]
    (node,) = nodes.values()
    try:
        await node.execute_pipeline(queue)
    except (exceptions.RedisError, OSError) as error:
        return [error] * len(commands)
    return [command.result for command in queue]


async def _alone(cluster: RedisCluster, script: Script, words: Words) -> Any:
    try:
        return await cluster.execute_command("EVALSHA", script.sha, 1, *words)
    except exceptions.NoScriptError:
        return await cluster.execute_command("EVAL", script.text, 1, *words)


def _node(cluster: RedisCluster, key: str) -> ClusterNode | None:
    nodes = cluster.nodes_manager.slots_cache.get(cluster.keyslot(key))
    return nodes[0] if nodes else None
