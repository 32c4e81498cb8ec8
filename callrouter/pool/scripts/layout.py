"""How records are laid out in Redis: the places of their fields, for the scripts and for whoever reads a record.

The scripts write these names, and are sent with the numbers in their place: a name would cost a variable on each call.
"""

from __future__ import annotations

import re
import struct

NUMBER_FORMAT = "<c1BBI2I4ddddddBssssI2c0"
CALL_FORMAT = "<Bc0dI4"
NUMBER_FIELDS = (
    "NUMBER", "ST", "CLOSED", "WHY", "Q", "REST", "VB", "B", "Z", "E", "X", "PIN", "PASTS", "ACCOUNT", "SITE",
    "SESSION", "VISITOR", "SIGNS", "CALLS", "VISIT",
)  # fmt: skip
"""The number itself stands before the packed fields, its calls are what follows them: one is added by APPEND."""
VISIT_HEAD_FORMAT = "<BBI4I2I4ddBBI4ddd"
VISIT_BEGIN_FORMAT = VISIT_HEAD_FORMAT + "ssssss"
VISIT_FORMAT = VISIT_BEGIN_FORMAT + "ss"
VISIT_FIELDS = (
    "V_SESSION", "V_CLOSED", "V_OVER", "V_PAGES", "V_Q", "V_GAP", "V_B", "V_Z", "V_SHUT", "V_COUNT", "V_LATEST",
    "V_BEGUN", "V_SEEN", "V_EXPIRES", "V_NUM", "V_VISITOR", "V_SITE", "V_ACCOUNT", "V_CAMPAIGN", "V_REQUEST", "V_PAGE",
    "V_FACTS", "V_SIGNS",
)  # fmt: skip
"""The session stands before the packed fields, the signs of life are what follows them."""
ENDS = ("", "expired", "released", "taken", "disabled", "moved")

ALLOCATED = ("kept", "leased", "overflow", "none", "empty", "foreign")
RENEWED = ("live", "bare", "lost", "over")
"""A reply of one string costs the server half of what a list does."""

ALLOCATION_HEAD = struct.Struct("<BBIdddd")
RENEWAL_HEAD = struct.Struct("<BIdd")
FOUND_HEAD = struct.Struct("<dIIIII")
NUMBER_HEAD = struct.Struct("<cBBHIddddddB")
CALL_TAIL = struct.Struct("<dI")
VISIT_HEAD = struct.Struct("<BBIHIddBBIddd")

_NAMES = {
    **{name: str(place) for place, name in enumerate(NUMBER_FIELDS, 1)},
    **{name: str(place) for place, name in enumerate(VISIT_FIELDS, 1)},
    **{f"ENDED_{end.upper()}": str(place) for place, end in enumerate(ENDS) if end},
    **{f"ALLOCATED_{told.upper()}": str(place) for place, told in enumerate(ALLOCATED)},
    **{f"RENEWED_{told.upper()}": str(place) for place, told in enumerate(RENEWED)},
    "AT_ENDED": str(1 + struct.calcsize("<cBBHIdddd")),
    "AT_NAMES": str(1 + struct.calcsize("<cBBHIddddddB")),
    "AT_REST": str(1 + struct.calcsize("<cBBH")),
    "CALL_FORMAT": f"'{CALL_FORMAT}'",
    "NUMBER_FORMAT": f"'{NUMBER_FORMAT}'",
    "VISIT_FORMAT": f"'{VISIT_FORMAT}'",
    "VISIT_BEGIN_FORMAT": f"'{VISIT_BEGIN_FORMAT}'",
    "VISIT_HEAD_FORMAT": f"'{VISIT_HEAD_FORMAT}'",
    "VISIT_NUMBER_FORMAT": f"'{VISIT_HEAD_FORMAT}s'",
    "ALLOCATION_FORMAT": "'<BBI4dddds'",
    "RENEWAL_FORMAT": "'<BI4dd'",
    "FOUND_FORMAT": "'<dI4I4I4I4I4'",
}


def laid_out(text: str) -> str:
    """The script with places for names, and without its comments."""
    text = re.sub(r"(?m)^\s*--.*\n|(?<=\s)-- .*$", "", text)
    return re.sub(r"\b[A-Z][A-Z_]*\b(?!')", lambda match: _NAMES.get(match[0], match[0]), text)
