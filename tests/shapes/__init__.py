"""Every shape of a call, as a script for phones: what they do is the truth that the call's record is compared with.

- `conf/`      what the scripts need of an Asterisk beyond the lab's own configuration
- `pbx`        one Asterisk with that configuration, and its phones on one socket
- `stage`      what a script may do, and its notes of who talked with whom, when
- `script`     the list of shapes, by name
- `queues`, `ringing`, `transfers`, `meetings`, `outward`, `two_pbxs`   the scripts
- `verdict`    the comparison
- `record`     plays them one by one and keeps what Asterisk sent: `python -m tests.shapes.record [22] [16] [NAME…]`
"""

from tests.shapes import meetings, outward, queues, ringing, transfers, two_pbxs
from tests.shapes.pbx import ShapesPbx, profile
from tests.shapes.script import SHAPES, Shape
from tests.shapes.stage import Stage

ROOMS = (queues, ringing, transfers, meetings, outward, two_pbxs)
"""Whose scripts stand in SHAPES."""
__all__ = ["ROOMS", "SHAPES", "Shape", "ShapesPbx", "Stage", "profile"]
