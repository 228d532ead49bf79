"""The Sharpe ratio of what a training gained on its test, and the trials it is deflated by."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from darwin.stats.deflated import DailySharpe, deflated, expected_maximum, probabilistic

if TYPE_CHECKING:
    from darwin.rl.training.trials import Count


def sharpe_tree(found: DailySharpe, tried: Count, gain: str) -> dict[str, Any]:
    """All of it, for a machine; null for what cannot be said. `gain` is what it is the ratio of."""
    trials = (tried.trials, tried.variance)
    tree = found._asdict() | {
        "annualised": found.annualised,
        "told": sharpe_told(found, tried, gain),
        "trials": tried.trials,
        "variance_of_trials": tried.variance,
        "expected_maximum_per_day": expected_maximum(*trials),
        "deflated": deflated(found, *trials),
    }
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in tree.items()
    }


def sharpe_told(found: DailySharpe, tried: Count, gain: str) -> str:
    """The same in one sentence."""
    sure = deflated(found, tried.trials, tried.variance)
    networks = f"{tried.trials:,} network{'s' if tried.trials > 1 else ''} that saw this time"
    if math.isnan(probabilistic(found)):
        return (
            f"Sharpe ratio of {gain}: cannot be said of {found.days:,} days; on record: {networks}."
        )
    said = (
        f"Sharpe ratio of {gain}: {found.per_day:+.4f} per day"
        f" ({found.annualised:+.2f} annualised) over {found.days:,} days;"
    )
    if math.isnan(sure):
        return (
            f"{said} deflated it cannot be said: of {networks} fewer than two have a ratio on"
            " validation."
        )
    return f"{said} deflated for {networks} it is {sure:.1%} sure."
