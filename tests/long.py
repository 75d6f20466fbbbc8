"""How often a test does again what is only more of the same: few times each day, many before a release."""

from __future__ import annotations

import os

IS_LONG = os.environ.get("BHTUI_LONG") == "1"
"""Whether everything is done as often as a release is measured with."""


def times(few: int, many: int) -> int:
    """`few`, or with BHTUI_LONG=1 `many`."""
    return many if IS_LONG else few
