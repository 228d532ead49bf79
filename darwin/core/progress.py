"""How far a piece of long work has come, as its process tells those who wait for it."""

from __future__ import annotations

import json
import math
from typing import Any, NamedTuple


class Progress(NamedTuple):
    """A moment of the work. A figure that is not known yet, or does not exist for it, is None."""

    percent: float = 0.0  # 0..100
    message: str = ""
    current_reward: float | None = None  # of the latest look, in the agent's own unit
    avg_reward: float | None = None  # over the looks so far
    policy_loss: float | None = None
    value_loss: float | None = None

    def text(self) -> str:
        """It as JSON; NaN and infinity, which JSON does not know, become null."""
        return json.dumps({name: _finite(value) for name, value in self._asdict().items()})

    @classmethod
    def read(cls, text: str) -> Progress:
        """The opposite of `text`; of words that say nothing, or something else: the beginning."""
        try:
            told = json.loads(text)
            return cls(**{name: told[name] for name in cls._fields if name in told})
        except (ValueError, TypeError):
            return cls()


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
