"""What a bracket is worth in the planted world, by simulating the generator's own law.

Bars are simulated at their opens and closes only; what happens between is taken as probability
(touching the stop, staying clear of both) from the law of the Brownian bridge, which is exact and
far less noisy than drawing highs and lows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from darwin.core.market import FloatArray, IntArray
from darwin.data.brownian import stay_probability, touch_probability
from darwin.data.synthetic_law import (
    DEGREES_OF_FREEDOM,
    LOG_VOL_SD,
    MIXING_SHARED_WITH_NEXT_BAR,
    PLANT,
    autoregress,
    season_variance,
)
from darwin.data.synthetic_path import Recipe, decay_per_bar, momentum_of, volatility_factor

HORIZON_BARS = 256  # where a bracket that is still open is reckoned at the close
_CHUNK = 1 << 14  # setups x paths at a time, so that they stay in the cache


class Setups(NamedTuple):
    """Brackets at signal bars, entered at the next open; every array has shape (m,)."""

    bar: IntArray
    side: IntArray  # 1 or -1
    stop_distance: FloatArray  # in price units, from the signal's close
    target_distance: FloatArray  # inf where there is none
    time_stop_bars: FloatArray  # inf where there is none

    def select(self, rows: IntArray) -> Setups:
        """The setups at `rows`, in that order."""
        bar, side, stop, target, time_stop = self
        return Setups(bar[rows], side[rows], stop[rows], target[rows], time_stop[rows])


class Odds(NamedTuple):
    """What an ideal observer expects, before costs; every array has shape (m,)."""

    expected_r: FloatArray
    standard_error: FloatArray  # of `expected_r`, from the simulation alone
    win_probability: FloatArray  # of R > 0


class Conditions(NamedTuple):
    """The state of the world at each signal bar; arrays of shape (m,) unless said otherwise."""

    close: FloatArray
    time: IntArray  # open time of the signal bar, ms UTC
    posterior: FloatArray  # P(regime is +1)
    log_vol: FloatArray  # (3, m)
    link: FloatArray  # what the next bar's mixing variable shares with this one
    innovations: FloatArray  # (m, momentum_bars), oldest first
    variances: FloatArray  # (m, momentum_bars)

    def select(self, rows: IntArray) -> Conditions:
        """The conditions of the setups at `rows`, in that order."""
        return Conditions(
            self.close[rows],
            self.time[rows],
            self.posterior[rows],
            self.log_vol[:, rows],
            self.link[rows],
            self.innovations[rows],
            self.variances[rows],
        )


class _Futures(NamedTuple):
    """Chance for `horizon` bars and p pairs of mirrored paths, shared by all setups."""

    z: FloatArray  # (horizon, 2p): the second half mirrors the first
    volatility: FloatArray  # (horizon, 2p): factor on variance from new volatility noise
    fresh: FloatArray  # (horizon, 2p): mixing variable without what the first bar inherits
    turned: FloatArray  # (horizon, 2p): regime relative to the signal bar's


class _Barriers(NamedTuple):
    """A bracket in log-price, mirrored for shorts so that the stop is below; shapes (c, 1)."""

    side: FloatArray
    stop: FloatArray
    target: FloatArray
    target_r: FloatArray
    close_over_stop: FloatArray  # close over stop distance: R per simple return


def reckon(recipe: Recipe, conditions: Conditions, setups: Setups, pairs: int, seed: int) -> Odds:
    """Expected R, its standard error and P(R > 0) of each setup."""
    last_bar = np.minimum(setups.time_stop_bars, HORIZON_BARS).astype(np.int64)
    futures = _draw_futures(recipe, int(last_bar.max(initial=1)), pairs, seed)
    chunk = max(1, _CHUNK // (2 * pairs))
    pieces = []
    for first in range(0, len(setups.bar), chunk):
        rows = np.arange(first, min(first + chunk, len(setups.bar)))
        some = conditions.select(rows)
        pieces.append(_reckon_some(recipe, some, setups.select(rows), last_bar[rows], futures))
    if not pieces:
        return Odds(*(np.empty(0) for _ in Odds._fields))
    return Odds(*(np.concatenate(column) for column in zip(*pieces, strict=True)))


def _draw_futures(recipe: Recipe, horizon: int, pairs: int, seed: int) -> _Futures:
    draw = np.random.Generator(np.random.PCG64(np.random.SeedSequence([recipe.seed, 7, seed])))
    z = draw.standard_normal((horizon, pairs))
    decay = decay_per_bar(recipe.timeframe)
    noise = draw.standard_normal((len(decay), pairs, horizon))
    noise *= (LOG_VOL_SD * np.sqrt(1.0 - decay**2))[:, None, None]
    drifted = sum(
        autoregress(part, np.full(pairs, rate), np.zeros(pairs))
        for part, rate in zip(noise, decay, strict=True)
    )
    half, shared = 0.5 * DEGREES_OF_FREEDOM, MIXING_SHARED_WITH_NEXT_BAR
    link = draw.standard_gamma(half * shared, (horizon, pairs))
    fresh = draw.standard_gamma(half * (1.0 - 2.0 * shared), (horizon, pairs)) + link
    fresh[1:] += link[:-1]
    turns = np.cumsum(draw.random((horizon, pairs)) < 1.0 / PLANT.mean_life_bars, axis=0)
    twice = (1, 2)
    return _Futures(
        z=np.concatenate([z, -z], axis=1),
        volatility=np.tile(np.exp(2.0 * np.asarray(drifted).T), twice),
        fresh=np.tile(fresh, twice),
        turned=np.tile(np.where(turns % 2 == 0, 1.0, -1.0), twice),
    )


def _reckon_some(
    recipe: Recipe,
    conditions: Conditions,
    setups: Setups,
    last_bar: IntArray,
    futures: _Futures,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    barriers = _barriers(conditions.close, setups)
    paths = futures.z.shape[1]
    log_price = np.zeros((2, len(last_bar), paths))  # by regime at the signal: +1, -1
    alive = np.ones_like(log_price)
    earned = np.zeros_like(log_price)
    won = np.zeros_like(log_price)
    sign = np.array([1.0, -1.0])[:, None, None]
    moves = _moves(recipe, conditions, futures, int(last_bar.max()))
    for bar, (innovation, variance, drift) in enumerate(moves, start=1):
        step = innovation + sign * drift * futures.turned[bar - 1] - 0.5 * variance
        ended = log_price + barriers.side * step
        stopped, hit = _touches(barriers, log_price, ended, variance)
        earned += alive * (hit * barriers.target_r - stopped)
        won += alive * hit
        alive *= 1.0 - stopped - hit
        leaves = alive * (last_bar == bar)[:, None]
        result = barriers.side * np.expm1(barriers.side * ended) * barriers.close_over_stop
        earned += leaves * result
        won += leaves * (result > 0.0)
        alive -= leaves
        log_price = np.where(alive > 0.0, ended, 0.0)
    weight = np.stack([conditions.posterior, 1.0 - conditions.posterior])[:, :, None]
    by_path = (weight * earned).sum(axis=0)
    by_pair = 0.5 * (by_path[:, : paths // 2] + by_path[:, paths // 2 :])
    error = by_pair.std(axis=1, ddof=1) / np.sqrt(paths // 2)
    return by_pair.mean(axis=1), error, (weight * won).sum(axis=0).mean(axis=1)


def _moves(
    recipe: Recipe, conditions: Conditions, futures: _Futures, horizon: int
) -> Iterator[tuple[FloatArray, FloatArray, FloatArray]]:
    """Yield (innovation, variance, drift in regime +1) of each next bar, each (c, 2p)."""
    decay = decay_per_bar(recipe.timeframe)
    log_vol = conditions.log_vol
    past = PLANT.momentum_bars
    moved = np.zeros((len(conditions.close), futures.z.shape[1]))
    spread = np.zeros_like(moved)
    recent: list[tuple[FloatArray, FloatArray]] = []
    for bar in range(horizon):
        log_vol = log_vol * decay[:, None]
        season = season_variance(
            conditions.time + recipe.timeframe.ms * (bar + 1), recipe.timeframe.ms
        )
        level = recipe.typical_variance * season * volatility_factor(log_vol)
        level *= 0.5 * DEGREES_OF_FREEDOM - 1.0
        mixing = futures.fresh[bar] + (conditions.link[:, None] if bar == 0 else 0.0)
        variance = level[:, None] * futures.volatility[bar] / mixing
        deviation = np.sqrt(variance)
        momentum = momentum_of(
            moved + conditions.innovations[:, bar:].sum(axis=1, keepdims=True),
            spread + conditions.variances[:, bar:].sum(axis=1, keepdims=True),
        )
        innovation = deviation * futures.z[bar]
        yield innovation, variance, recipe.edge * deviation * momentum
        recent.append((innovation, variance))
        moved, spread = moved + innovation, spread + variance
        if bar >= past:
            moved, spread = moved - recent[bar - past][0], spread - recent[bar - past][1]


def _barriers(close: FloatArray, setups: Setups) -> _Barriers:
    side = setups.side.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        stop = side * np.log(np.maximum(close - side * setups.stop_distance, 0.0) / close)
        target = side * np.log(np.maximum(close + side * setups.target_distance, 0.0) / close)
    finite = np.isfinite(setups.target_distance)
    target_r = np.where(finite, setups.target_distance, 0.0) / setups.stop_distance
    columns = (side, stop, target, target_r, close / setups.stop_distance)
    return _Barriers(*(column[:, None] for column in columns))


def _touches(
    barriers: _Barriers, opened: FloatArray, ended: FloatArray, variance: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Probabilities of touching the stop, and of touching the target without it."""
    variance = np.broadcast_to(variance, ended.shape)
    stop, target, move = barriers.stop - opened, barriers.target - opened, ended - opened
    stopped = touch_probability(stop, move, variance)
    stopped = np.where(move <= stop, 1.0, stopped)
    clear = stay_probability(stop, target, move, variance)
    return stopped, np.maximum(1.0 - stopped - clear, 0.0)
