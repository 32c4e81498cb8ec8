"""How often Python's garbage collector looks for cycles in a process that serves for weeks. Knows no more of it.

Events, calls and rows hold no cycles and go by reference counting; only connections, tasks and errors leave cycles.
"""

from __future__ import annotations

import gc

NEW_OBJECTS = 20_000
"""So many more objects than at the last look: the default of 700 is passed a hundred times in one batch of appeals."""


def settle_collector() -> None:
    """To be called when all is imported and set up, before work begins."""
    gc.collect()
    gc.freeze()  # modules and classes stay for good: looking through them again and again costs calls their time
    gc.set_threshold(NEW_OBJECTS, 10, 10)
