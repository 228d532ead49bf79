"""When an agent may be believed: four bounds, each held, missed, or not yet known."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from darwin.allocation.benchmark_figures import Figures
from darwin.stats.intervals import Interval

SHARPE, DRAWDOWN, WIN_RATE = 1.5, 0.15, 0.55


class Verdict(Enum):
    """What a benchmark says of an agent."""

    PASSED = "passed"
    REFUSED = "refused"
    UNDECIDED = "undecided"


class Criterion(NamedTuple):
    """One bound. `held` is None where the interval reaches to both sides of it."""

    name: str
    bound: str
    figure: Interval
    held: bool | None


def criteria_of(figures: Figures, over_hold: Interval) -> tuple[Criterion, ...]:
    """Sharpe ratio above 1.5, drawdown under 15 %, win rate above 55 %, beyond buy & hold.

    Each by its interval: held only where all of it lies beyond the bound. `over_hold` is how much
    more a day the agent earns than buy & hold.
    """
    depth = figures.max_drawdown
    return (
        Criterion(
            "sharpe_ratio", f"above {SHARPE:g}", figures.sharpe_ratio,
            _above(figures.sharpe_ratio, SHARPE),
        ),
        Criterion("max_drawdown", f"less than {DRAWDOWN:.0%}", depth, _above(depth, -DRAWDOWN)),
        Criterion(
            "win_rate", f"above {WIN_RATE:.0%}", figures.win_rate,
            _above(figures.win_rate, WIN_RATE),
        ),
        Criterion("beats_buy_and_hold", "above 0 a day", over_hold, _above(over_hold, 0.0)),
    )  # fmt: skip


def verdict_of(
    criteria: tuple[Criterion, ...], judged: str, winner: str | None, *, ruined: bool = False
) -> Verdict:
    """Passed: all are held and the agent wins. Refused: one is missed, another wins, or ruin."""
    if ruined or any(one.held is False for one in criteria) or winner not in (None, judged):
        return Verdict.REFUSED
    if winner == judged and all(one.held for one in criteria):
        return Verdict.PASSED
    return Verdict.UNDECIDED


def _above(figure: Interval, bound: float) -> bool | None:
    if figure.low > bound:
        return True
    return False if figure.high <= bound else None
