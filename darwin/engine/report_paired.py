"""Accounts on the same days set against each other: differences with their intervals.

A difference is what one account earned on a day less what the other earned on it, in USD. Such
differences add up, over days and over accounts; their interval draws whole days again for all
accounts at once, so that what the market did on a day falls out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from darwin.core.market import FloatArray
from darwin.stats.bootstrap import DRAWS, moments, sharpe
from darwin.stats.performance import simple_returns
from darwin.stats.stationary import mean_stretch, middle, resampled_sums

LEVEL = 0.95
FEWEST_DAYS = 30
"""Of fewer days there is no interval."""
FEWEST_DAYS_APART = 10
"""Nor where the two accounts parted on fewer days."""
_NOTHING = 1e-9  # of the starting equity: what accounts part by when only rounding parts them

Pair: TypeAlias = tuple[str, str]
"""Names of two accounts, the second taken from the first."""


@dataclass(frozen=True, slots=True)
class Paired:
    """Accounts by name, each its equity at the end of the same days, shape (d,)."""

    equity: Mapping[str, FloatArray]
    start_usd: float
    days_per_year: float

    def usd(self, pair: Pair) -> FloatArray:
        """What the first account of `pair` earned more than the second, day by day, (d,)."""
        first, second = (np.diff(self.equity[name], prepend=self.start_usd) for name in pair)
        return first - second


@dataclass(frozen=True, slots=True)
class Drawn:
    """Days drawn again: row 0 holds what came true, every further row a draw."""

    usd: Mapping[str, FloatArray]  # by the name of a series of differences, (1 + draws,)
    sharpe_ratio: Mapping[str, FloatArray]  # by account, (1 + draws,)
    stretch: float  # days that a drawn stretch lasts in the mean

    @classmethod
    def of(cls, paired: Paired, series: Mapping[str, FloatArray], seed: int) -> Drawn:
        """Draw `series` of differences, (d,) each, and the returns of all accounts together.

        Of too few days nothing is drawn.
        """
        stretch = max(map(mean_stretch, series.values()), default=1.0)
        returns = [simple_returns(one, paired.start_usd) for one in paired.equity.values()]
        rows = np.column_stack([*series.values(), *map(moments, returns)])
        days, sums = len(rows), rows.sum(axis=0)[None]
        if days >= FEWEST_DAYS:
            again = resampled_sums(rows, stretch, np.random.default_rng(seed), DRAWS)
            sums = np.concatenate([sums, again])
        usd = dict(zip(series, sums.T, strict=False))
        by_account = sums[:, len(series) :].reshape(len(sums), -1, 3)
        ratios = {
            name: sharpe(by_account[:, i], paired.days_per_year)
            for i, name in enumerate(paired.equity)
        }
        return cls(usd, ratios, stretch)


def differences(
    paired: Paired, pairs: Mapping[str, Pair], rest: str, parts: tuple[str, ...], seed: int
) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Each of `pairs` by its name, and what `parts` leave of the first of them, called `rest`.

    With them comes how the intervals were made. A difference tells `usd`, `total_return` (of the
    starting equity) and, of two accounts, `sharpe_ratio`, each with `value`, `low` and `high`; and
    on how many `days_apart` the accounts parted. An interval that cannot be said is NaN; accounts
    that never part have one of nothing.
    """
    series = {name: paired.usd(pair) for name, pair in pairs.items()}
    whole = next(iter(series.values()))
    series[rest] = whole - sum((series[name] for name in parts), np.zeros(len(whole)))
    nothing = _NOTHING * paired.start_usd
    apart = {name: int(np.count_nonzero(np.abs(usd) > nothing)) for name, usd in series.items()}
    series = {name: usd if apart[name] else np.zeros(len(usd)) for name, usd in series.items()}
    made = {"level": LEVEL, "days": len(whole), "draws": DRAWS, "seed": seed}
    if not any(apart.values()):
        return _same_accounts(pairs, rest), made | {"mean_stretch_days": 1.0}
    drawn = Drawn.of(paired, series, seed)
    told: dict[str, dict[str, Any]] = {}
    for name, days in apart.items():
        usd = drawn.usd[name]
        told[name] = {"days_apart": days, "usd": _told(usd, days)}
        told[name]["total_return"] = _told(usd / paired.start_usd, days)
        if name in pairs:
            first, second = (drawn.sharpe_ratio[account] for account in pairs[name])
            told[name]["sharpe_ratio"] = _told(first - second, days)
    return told, made | {"mean_stretch_days": drawn.stretch}


def _same_accounts(pairs: Mapping[str, Pair], rest: str) -> dict[str, dict[str, Any]]:
    """What `differences` tells where nobody ever parts from anybody."""
    nothing = np.zeros(1)
    one = {"days_apart": 0, **{of: _told(nothing, 0) for of in ("usd", "total_return")}}
    return {name: one | {"sharpe_ratio": _told(nothing, 0)} for name in pairs} | {rest: one}


def _told(drawn: FloatArray, days_apart: int) -> dict[str, float]:
    """The first is the figure, all others are draws of it."""
    if not days_apart:
        return {"value": 0.0, "low": 0.0, "high": 0.0}
    value, again = float(drawn[0]), drawn[1:]
    if not len(again) or days_apart < FEWEST_DAYS_APART:
        return {"value": value, "low": float("nan"), "high": float("nan")}
    return middle(value, again, LEVEL)._asdict()
