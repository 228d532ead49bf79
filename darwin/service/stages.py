"""The rollout stages of the guide: their names, and the shares of capital that they stand for."""

from __future__ import annotations

from typing import NamedTuple

from darwin.core.agents import STAGES
from darwin.errors import ConfigError

_NAMES = {
    0: "Shadow Mode",
    1: "Initial Testing",
    5: "Confidence Building",
    10: "Standard Operation",
}
_ABOVE = "Expanded Operation"
_PERCENTS = tuple(round(100 * stage) for stage in STAGES)


class RolloutStage(NamedTuple):
    """A share of capital, and what the guide calls it."""

    number: int  # 0 to 4; all shares above 10 % are stage 4
    name: str
    percent: int
    share: float  # one of `core.agents.STAGES`

    @property
    def words(self) -> str:
        """As the guide writes it: `Stage 2: Confidence Building (5%)`."""
        return f"Stage {self.number}: {self.name} ({self.percent}%)"


def stage_of_percent(percent: float) -> RolloutStage:
    """The stage of a percentage of capital. Raises ConfigError where no stage has it."""
    if percent not in _PERCENTS:
        known = ", ".join(map(str, _PERCENTS))
        raise ConfigError(
            f"{percent:g} % of the capital is no stage",
            where="capital_percentage",
            mend=f"say one of {known}",
        )
    at = _PERCENTS.index(int(percent))
    whole, above = _PERCENTS[at], len(_NAMES)
    return RolloutStage(min(at, above), _NAMES.get(whole, _ABOVE), whole, STAGES[at])


def stage_of_share(share: float) -> RolloutStage:
    """The stage of a share of capital, as records hold it. Raises ConfigError, as above."""
    return stage_of_percent(round(100 * share, 9))


def require_risk_guard(percent: float, *, enabled: bool) -> None:
    """See that an agent with capital has its risk guard. Raises ConfigError where it has none.

    The guard is what takes capital back by itself: breakers, limits, the rules of demotion. Without
    capital there is nothing to guard, so that the word for it is free there.
    """
    if not (enabled or percent <= 0):
        raise ConfigError(
            f"the risk guard cannot be switched off at {percent:g} % of the capital: limits,"
            " breakers and the rules of demotion guard whatever an agent holds",
            where="enable_risk_guard",
            mend="say true, or 0 % of the capital",
        )
