"""What the planted world hides and promises: for tests and reports, never for trading.

An ideal observer sees every bar and knows the generator's constants, but not the regime. From
volumes and ranges it reckons the odds of the regime; momentum and the state of volatility it
takes as they are. What it expects of a bracket is the best that features can reveal, but for the
faint trace that the drift itself leaves in returns.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from darwin.core.market import Bars, FloatArray, IntArray
from darwin.data.planted_odds import Conditions, Odds, Setups, reckon
from darwin.data.synthetic import SyntheticProvider, label
from darwin.data.synthetic_law import PLANT, VOLUME_NOISE
from darwin.data.synthetic_path import Block, Recipe, blocks, expected_log_volume
from darwin.errors import ConfigError


class Truth(NamedTuple):
    """The hidden state, row by row with the bars; every array has shape (n,)."""

    regime: FloatArray  # +1 or -1; 0 in the null world
    posterior: FloatArray  # P(regime is +1 | volumes and ranges up to this bar); 0.5 in the null
    momentum: FloatArray  # in (-1, 1): what drives the NEXT bar, known at this bar's close


class PlantedWorld:
    """The truth behind one symbol of a provider, and the odds of brackets in it."""

    def __init__(self, provider: SyntheticProvider, symbol: str) -> None:
        if provider.recipe.jumps_per_year:
            raise ConfigError("the planted truth does not price jumps", mend="leave jumps out")
        self._recipe = provider.recipe
        self._bars = provider.bars(symbol)
        longer = replace(provider.recipe, bars=provider.recipe.bars + 1)
        self._hidden = _joined(blocks(longer, label(symbol)))
        n = len(self._bars)
        self.truth = Truth(
            regime=self._hidden.regime[:n],
            posterior=_posterior(self._recipe, self._bars),
            momentum=self._hidden.momentum[1 : n + 1],
        )

    def odds(self, setups: Setups, pairs: int = 64, seed: int = 0) -> Odds:
        """Reckon what `setups` are worth before costs, by simulating the generator's own law.

        The regime is drawn from its posterior, the next bars from the state at the signal, and
        brackets are resolved as Darwin does: entry at the next open, the stop wins a bar that
        touches both, the time stop leaves at the open after its last bar. All setups share the
        same `pairs` of mirrored paths, so that they compare well; `seed` picks them.
        """
        conditions = Conditions(
            close=self._bars.close[setups.bar],
            time=self._bars.time[setups.bar],
            posterior=self.truth.posterior[setups.bar],
            log_vol=self._hidden.log_vol[:, setups.bar],
            link=self._hidden.link[setups.bar],
            innovations=_last(self._hidden.innovation, setups.bar, before=0.0),
            variances=_last(self._hidden.variance, setups.bar, before=1.0),
        )
        return reckon(self._recipe, conditions, setups, pairs, seed)

    def attainable_auc(self, setups: Setups, pairs: int = 64) -> float:
        """AUC of R > 0 that ranking by the ideal observer's E[R] attains over `setups`.

        Ranks come from one simulation and odds from another, so that noise in the ranks lowers
        the figure as it lowers any score's, and noise in the odds does not raise it.
        """
        score = self.odds(setups, pairs, seed=0).expected_r
        win = self.odds(setups, pairs, seed=1).win_probability[np.argsort(score, kind="stable")]
        losses_below = np.cumsum(1.0 - win) - 0.5 * (1.0 - win)
        return float(np.sum(win * losses_below) / (np.sum(win) * np.sum(1.0 - win)))


def breakouts(bars: Bars, lookback: int = 32, target_r: float = 2.0) -> Setups:
    """Plain setups to probe a world with: closes beyond the previous `lookback` bars' extremes.

    Stop: 1.2 mean ranges of the last 14 bars; target: `target_r` times that; time stop: 32 bars.
    The last 33 bars have none, so that every bracket can be resolved.
    """
    windows = np.lib.stride_tricks.sliding_window_view
    highest = windows(bars.high, lookback)[:-1].max(axis=1)
    lowest = windows(bars.low, lookback)[:-1].min(axis=1)
    close = bars.close[lookback:]
    side = np.where(close > highest, 1, np.where(close < lowest, -1, 0))
    side[max(len(side) - 33, 0) :] = 0
    bar = np.flatnonzero(side) + lookback
    stop = 1.2 * windows(bars.high - bars.low, 14).mean(axis=1)[bar - 13]
    time_stop = np.full(len(bar), 32.0)
    return Setups(bar, side[bar - lookback], stop, target_r * stop, time_stop)


def _joined(pieces: Iterator[Block]) -> Block:
    columns = zip(*pieces, strict=True)
    return Block(*(np.concatenate(column, axis=-1) for column in columns))


def _last(values: FloatArray, rows: IntArray, before: float) -> FloatArray:
    """The `momentum_bars` values up to and with each row, (m, momentum_bars), oldest first."""
    padded = np.concatenate([np.full(PLANT.momentum_bars - 1, before), values])
    window: FloatArray = np.lib.stride_tricks.sliding_window_view(padded, PLANT.momentum_bars)
    return window[rows]


def _posterior(recipe: Recipe, bars: Bars) -> FloatArray:
    """P(regime is +1 | volumes and ranges so far), the exact filter of a two-state chain."""
    if recipe.edge == 0.0:
        return np.full(len(bars), 0.5)
    told = expected_log_volume(recipe, np.log(bars.high / bars.low))
    surplus = np.log(bars.volume) - told
    evidence = 2.0 * PLANT.volume_shift * surplus / VOLUME_NOISE**2
    turn = 1.0 / PLANT.mean_life_bars

    def step(odds: float, log_ratio: float) -> float:
        """Log-odds after one more bar: the regime may turn, then the volume speaks."""
        up = 1.0 / (1.0 + math.exp(-odds))
        up += turn * (1.0 - 2.0 * up)
        return math.log(up / (1.0 - up)) + log_ratio

    log_odds = np.array(list(accumulate(evidence.tolist(), step, initial=0.0))[1:])
    posterior: FloatArray = 1.0 / (1.0 + np.exp(-log_odds))
    return posterior
