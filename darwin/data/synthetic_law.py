"""The law of the synthetic market: its constants, seasonality, recursions and sources of chance.

Variance per bar v = seasonality x exp(2 x sum of three AR(1) log-volatilities) x the mixing
variable of a Student-t; log-return -v/2 + sqrt(v) z. What the constants must reproduce is in
`darwin.stats.stylised`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from darwin.core.market import DAY_MS, HOUR_MS, FloatArray, IntArray

LAW_VERSION = 1  # raise it when the same seed no longer gives the same bars
BLOCK = 4096  # bars drawn at a time, always whole: the prefix of a longer series stays the same
YEAR_MS = 365 * DAY_MS

HALF_LIFE_H = np.array([7.0, 55.0, 1457.0])
LOG_VOL_SD = np.array([0.29, 0.35, 0.43])
DEGREES_OF_FREEDOM = 5.3
MIXING_SHARED_WITH_NEXT_BAR = 0.3  # a shock outlasts its bar: ACF of |r| at 1 h as in real bars

# Volatility by UTC hour on weekdays (mean |r| of BTCUSDT 2017-2025) and at weekends relative to it.
_BEFORE_NOON = (1.15, 1.04, 0.94, 0.85, 0.80, 0.80, 0.86, 0.92, 0.96, 0.91, 0.94, 0.89)
_AFTER_NOON = (1.06, 1.22, 1.38, 1.26, 1.15, 1.01, 0.99, 1.02, 1.04, 0.95, 0.94, 0.93)
HOUR_OF_DAY = np.array([*_BEFORE_NOON, *_AFTER_NOON])
WEEKEND = 0.75

# What the symbols share; together they give hourly returns a correlation of about 0.64.
COMMON_Z = 0.77  # correlation of z between two symbols
COMMON_LOG_VOL = 0.75  # correlation of their log-volatilities
COMMON_MIXING = 0.5  # share of the mixing variable's degrees of freedom

# Log-volume = level + slope x log(range / typical deviation) + noise (+ the planted regime).
VOLUME_LEVEL = 7.0
VOLUME_SLOPE = 0.6
VOLUME_NOISE = 0.6

JUMP_SD = 0.04  # of a jump's log-size
START_PRICE = 20_000.0


@dataclass(frozen=True, slots=True)
class Plant:
    """What `edge` > 0 plants: a regime of +1 or -1 that decides whether moves go on or turn.

    Drift of a bar = edge x sqrt(v) x regime x momentum, where momentum = tanh of the sum of the
    last `momentum_bars` martingale innovations over the root of their summed variances. The
    regime shifts log-volume by ±`volume_shift`: that is the part of it one can see. At edge 0.25,
    the reference, ranking plain breakouts by E[R] attains an AUC of 0.62 to 0.69 (by seed).
    """

    mean_life_bars: float = 80.0  # shorter than the longest windows of features, a week
    momentum_bars: int = 32
    volume_shift: float = 0.35


PLANT = Plant()


class Purpose(IntEnum):
    """What a stream of chance is for; each has its own, so that none disturbs another."""

    START = 0
    PATH = 1
    EXTREMES = 2
    VOLUME = 3
    REGIME = 4
    JUMPS = 5


@dataclass(frozen=True, slots=True)
class Chance:
    """Independent generators by symbol, purpose and block, all from one seed."""

    seed: int
    timeframe_ms: int

    def stream(self, symbol: str, purpose: Purpose, block: int = 0) -> np.random.Generator:
        """The generator of one block; the empty symbol names what all symbols share."""
        name = int.from_bytes(hashlib.sha256(symbol.encode()).digest()[:8], "big")
        key = (self.timeframe_ms, name, int(purpose), block)
        return np.random.Generator(
            np.random.PCG64(np.random.SeedSequence(self.seed, spawn_key=key))
        )


def season_variance(time_ms: IntArray, length_ms: int) -> FloatArray:
    """Seasonal variance of bars opening at `time_ms`, shape (n,), relative to the week's mean.

    The mean over the hours of the week that each bar covers, so that any timeframe shares it.
    """
    volatility = np.tile(HOUR_OF_DAY, 7)
    volatility[5 * 24 :] *= WEEKEND  # the week is counted from Monday
    hourly = volatility**2 / np.mean(volatility**2)
    until = np.concatenate([[0.0], np.cumsum(hourly)])

    def reached(time: IntArray) -> FloatArray:
        hours = (time + 3 * DAY_MS) / HOUR_MS  # 1970-01-01 was a Thursday
        week, within = np.divmod(hours, 168.0)
        passed: FloatArray = week * 168.0 + np.interp(within, np.arange(169.0), until)
        return passed

    season: FloatArray = (reached(time_ms + length_ms) - reached(time_ms)) / (length_ms / HOUR_MS)
    return season


def autoregress(noise: FloatArray, decay: FloatArray, before: FloatArray) -> FloatArray:
    """y[:, t] = decay y[:, t-1] + noise[:, t] for each row, with y[:, -1] = `before`.

    `noise` is (k, n), `decay` and `before` are (k,). Doubling scan: log2(n) whole-column steps.
    """
    value = noise.copy()
    value[:, 0] += decay * before
    power, step = decay[:, None].copy(), 1
    while step < value.shape[1]:
        value[:, step:] = value[:, step:] + power * value[:, :-step]
        power, step = power * power, 2 * step
    return value
