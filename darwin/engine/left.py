"""What agents leave of an order: a part of its size, and the most its position may be worth."""

from __future__ import annotations

import math
from typing import NamedTuple

from darwin.core.agents import Ruling


class Left(NamedTuple):
    """What the rulings on one candidate leave so far."""

    share: float = 1.0  # of full size
    most_usd: float = math.inf  # of the position in its symbol; inf: as the config has it

    def after(self, ruling: Ruling) -> Left:
        """What one more ruling leaves of that: shares multiply, the tightest cap holds."""
        return Left(self.share * ruling.share, min(self.most_usd, ruling.most_usd))

    def nothing(self) -> Left:
        """The same with no share left, for what the expert skips."""
        return self._replace(share=0.0)
