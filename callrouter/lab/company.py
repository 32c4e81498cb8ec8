"""The small company that the lab plays: its queues, ring groups and employees, by which dialplan and truth agree.

Knows names only; conf/extensions.conf has the dialplan that goes with them.
"""

from __future__ import annotations

from callrouter.calls.profile import PbxProfile

QUEUES: dict[str, tuple[str, ...]] = {
    "sales": ("201", "202", "203"),
    "support": ("211", "212", "213"),
    "service": ("221", "222", "223"),
    "local": ("251", "252"),  # as FreePBX has its members: Local channels into the dialplan
    "empty": (),
}
RING_GROUPS: dict[str, tuple[str, ...]] = {"shop": ("231", "232", "233"), "depot": ("234", "235")}
DIRECT = ("241", "242")
AGENT_NAMES = {"221": "Мария Соколова", "222": "Олег Ким", "223": "Anna O'Neil"}
QUEUE_EXTENSIONS = {"801": "sales", "802": "support", "803": "service"}
DESTINATIONS = ("sales", "support", "service", "shop", "depot", "direct", "ivr", "local", "empty", "impatient", "brief")
"""Values of CALLROUTER_ROUTE that the dialplan maps."""
CALLBACK_CONTEXT = "callbacks"
"""Where the routes of callback orders are extensions."""
TRUNK_NUMBER = "74952220000"

EMPLOYEES = tuple(extension for members in (*QUEUES.values(), *RING_GROUPS.values(), DIRECT) for extension in members)
GROUP_OF = {
    extension: name for groups in (QUEUES, RING_GROUPS) for name, members in groups.items() for extension in members
}
GROUP_OF_DESTINATION = {"impatient": "sales"} | {name: name for name in (*QUEUES, *RING_GROUPS)}


def profile(name: str) -> PbxProfile:
    """How a `[[pbx]]` section describes this company's PBX."""
    return PbxProfile(
        name=name,
        inbound_contexts=("from-trunk",),
        trunks=("PJSIP/carrier",),
        group_contexts=("ring-groups",),
        internal_contexts=("from-internal",),
    )
