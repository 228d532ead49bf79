"""Times as people read them."""

from __future__ import annotations

import numpy as np


def utc_text(time_ms: int) -> str:
    """Write a time as people read it: `2024-01-31 13:30Z`, seconds only where there are some."""
    text = str(np.datetime64(time_ms, "ms")).replace("T", " ")
    return text.removesuffix(".000").removesuffix(":00") + "Z"
