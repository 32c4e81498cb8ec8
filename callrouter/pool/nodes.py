"""A cluster's nodes, each asked for itself: one that is away or hangs delays nobody whose pool is elsewhere.

The cluster client's own pipeline fails as a whole if one of its nodes does, and closes the connections to all others.
Knows which node leads a slot at this moment, as far as the client does; knows no scripts and no pools.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from redis import exceptions
from redis.asyncio import RedisCluster
from redis.asyncio.cluster import ClusterNode, PipelineCommand

from callrouter.pool.keys import Slot
from callrouter.pool.scripts import Script

Words = tuple[Any, ...]
Command = tuple[Script, Words]
L = TypeVar("L")

AGAIN_SECONDS = 0.5
"""While a node is away the client asks the others no more often who leads in its place: each time costs it 15 ms."""

ASK_THE_CLUSTER = (
    exceptions.ConnectionError, exceptions.TimeoutError, exceptions.AskError, exceptions.TryAgainError,
    exceptions.ReadOnlyError, exceptions.ClusterDownError, OSError,
)  # fmt: skip
"""Failures after which the client finds out where to ask; BUSY, LOADING and the moved slot are among these classes."""

FAILURES = (exceptions.RedisError, exceptions.RedisClusterException, OSError, ValueError)


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


class NodeSender:
    """Carries scripts to the nodes that lead their slots, those for one node by one send."""

    def __init__(self, cluster: RedisCluster) -> None:
        self._cluster = cluster
        self._again_at = 0.0

    async def send(self, commands: Sequence[Command]) -> list[Any]:
        """Carry out scripts, each with its words (slot first). A failure is an exception in place of the reply."""
        if not self._cluster.nodes_manager.slots_cache:
            await self._cluster.initialize()
        places: dict[str, list[int]] = {}
        for place, (_, words) in enumerate(commands):  # one node as a rule: a lane's
            node = _node(self._cluster, words[0])
            places.setdefault(node.name if node else "", []).append(place)
        parts = [self._sent([commands[place] for place in part]) for part in places.values()]
        replies: list[Any] = [None] * len(commands)
        for part, found in zip(places.values(), await asyncio.gather(*parts), strict=True):
            for place, reply in zip(part, found, strict=True):
                replies[place] = reply
        return replies

    async def _sent(self, commands: Sequence[Command]) -> list[Any]:
        """To one node; what it does not answer is asked by the client, which finds out who leads now."""
        replies = await _piped(self._cluster, commands)
        for place, (script, words) in enumerate(commands):
            try:
                if isinstance(replies[place], exceptions.NoScriptError):
                    replies[place] = await self._cluster.execute_command("EVAL", script.text, 1, *words)
                elif isinstance(replies[place], ASK_THE_CLUSTER) and self._may_ask():
                    replies[place] = await _alone(self._cluster, script, words)
            except FAILURES as error:
                replies[place] = error
                if isinstance(error, ASK_THE_CLUSTER):
                    self._again_at = asyncio.get_running_loop().time() + AGAIN_SECONDS
        return replies

    def _may_ask(self) -> bool:
        return asyncio.get_running_loop().time() >= self._again_at


async def _piped(cluster: RedisCluster, commands: Sequence[Command]) -> list[Any]:
    node = _node(cluster, commands[0][1][0])
    if node is None:
        return [exceptions.TryAgainError("nobody leads this slot")] * len(commands)
    queue = [PipelineCommand(place, "EVALSHA", script.sha, 1, *words) for place, (script, words) in enumerate(commands)]
    try:
        await node.execute_pipeline(queue)
    except FAILURES as error:
        return [error] * len(commands)
    return [command.result for command in queue]


async def _alone(cluster: RedisCluster, script: Script, words: Words) -> Any:
    try:
        return await cluster.execute_command("EVALSHA", script.sha, 1, *words)
    except exceptions.NoScriptError:
        return await cluster.execute_command("EVAL", script.text, 1, *words)


async def asked_of_each(
    client: Any, slots: Sequence[Slot], command: Callable[[Slot], tuple[str, ...]]
) -> list[tuple[Sequence[Slot], list[Any] | Exception]]:
    """One command about each slot, by one send per node: the slots of a node, with their answers or its failure."""
    if not isinstance(client, RedisCluster):
        pipeline = client.pipeline(transaction=False)
        for slot in slots:
            pipeline.execute_command(*command(slot))
        return [(slots, await pipeline.execute())]
    if not client.nodes_manager.slots_cache:
        await client.initialize()
    parts: dict[str, tuple[ClusterNode | None, list[Slot]]] = {}
    for slot in slots:
        node = _node(client, slot)
        parts.setdefault(node.name if node else "", (node, []))[1].append(slot)
    found = await asyncio.gather(*(_answers(node, [command(slot) for slot in part]) for node, part in parts.values()))
    return [(part, answers) for (_, part), answers in zip(parts.values(), found, strict=True)]


async def _answers(node: ClusterNode | None, commands: Sequence[tuple[str, ...]]) -> list[Any] | Exception:
    if node is None:
        return exceptions.TryAgainError("nobody leads these slots")
    queue = [PipelineCommand(place, *command) for place, command in enumerate(commands)]
    try:
        await node.execute_pipeline(queue)
    except FAILURES as error:
        return error
    failed = next((each.result for each in queue if isinstance(each.result, Exception)), None)
    return failed or [each.result for each in queue]


def _node(cluster: RedisCluster, key: str) -> ClusterNode | None:
    nodes = cluster.nodes_manager.slots_cache.get(cluster.keyslot(key))
    return nodes[0] if nodes else None
