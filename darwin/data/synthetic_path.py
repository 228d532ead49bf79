"""The generator behind the synthetic market: bars in blocks, with the state that made them.

Each block draws from streams of its own (`Chance`), so that a longer series begins with the
shorter one and memory does not grow with its length.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from darwin.core.market import HOUR_MS, YEAR_2200_MS, FloatArray, IntArray, Timeframe
from darwin.data.brownian import draw_extremes
from darwin.data.synthetic_law import (
    BLOCK,
    COMMON_LOG_VOL,
    COMMON_MIXING,
    COMMON_Z,
    DEGREES_OF_FREEDOM,
    HALF_LIFE_H,
    JUMP_SD,
    LOG_VOL_SD,
    MIXING_SHARED_WITH_NEXT_BAR,
    PLANT,
    START_PRICE,
    VOLUME_LEVEL,
    VOLUME_NOISE,
    VOLUME_SLOPE,
    YEAR_MS,
    Chance,
    Purpose,
    autoregress,
    season_variance,
)
from darwin.errors import ConfigError

MOST_BARS = 10_000_000
MOST_EDGE = 0.5
ANNUAL_VOLATILITY = 0.7
_SMALLEST_RANGE = 1e-9  # in typical deviations; keeps the logarithm finite


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that fixes a synthetic market but the symbol."""

    bars: int
    seed: int
    edge: float
    start_ms: int
    timeframe: Timeframe
    annual_volatility: float = ANNUAL_VOLATILITY
    jumps_per_year: float = 0.0

    @property
    def typical_variance(self) -> float:
        """Mean variance of a bar's log-return, jumps left out."""
        return self.annual_volatility**2 * self.timeframe.ms / YEAR_MS

    def check(self) -> None:
        """Raise ConfigError for the first value that cannot be meant."""
        _within("bars", self.bars, 1, MOST_BARS)
        _within("seed", self.seed, 0, 2**63 - 1)
        _within("edge", self.edge, 0.0, MOST_EDGE)
        _within("start_ms", self.start_ms, 0, YEAR_2200_MS)
        if self.start_ms + self.bars * self.timeframe.ms > YEAR_2200_MS:
            raise ConfigError(
                f"{self.bars:,} bars of {self.timeframe.name} reach beyond the year 2200",
                mend="make fewer bars, or shorter ones",
            )
        _within("annual_volatility", self.annual_volatility, 0.001, 10.0)
        _within("jumps_per_year", self.jumps_per_year, 0.0, 10_000.0)


class Block(NamedTuple):
    """`BLOCK` bars with what lies behind them; shapes (BLOCK,), `log_vol` (3, BLOCK)."""

    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    log_vol: FloatArray
    link: FloatArray  # the part of the mixing variable that the next bar shares
    innovation: FloatArray  # sqrt(v) z: the log-return less its drift
    variance: FloatArray
    regime: FloatArray  # +1 or -1; 0 in the null world
    momentum: FloatArray  # that drives the bar, from earlier bars only; 0 in the null world


@dataclass(slots=True)
class _State:
    """What one block hands to the next."""

    log_vol: FloatArray
    link: float
    price: float
    log_price: float
    regime: float
    innovation: FloatArray  # of the last `momentum_bars` bars
    variance: FloatArray


def open_times(recipe: Recipe, first: int, count: int) -> IntArray:
    """Open times of `count` bars from number `first` on, ms UTC."""
    times: IntArray = recipe.start_ms + recipe.timeframe.ms * np.arange(first, first + count)
    return times


def blocks(recipe: Recipe, symbol: str) -> Iterator[Block]:
    """Generate whole blocks until they hold `recipe.bars` bars."""
    chance = Chance(recipe.seed, recipe.timeframe.ms)
    state = _start(chance, symbol)
    for number in range(-(-recipe.bars // BLOCK)):
        log_vol, link, variance, z = _volatility(recipe, chance, symbol, number, state)
        innovation = np.sqrt(variance) * z
        regime, momentum = _plant(recipe, chance, symbol, number, state, innovation, variance)
        move = innovation + recipe.edge * np.sqrt(variance) * regime * momentum - 0.5 * variance
        jump = _jumps(recipe, chance, symbol, number)
        prices, log_range = _prices(chance, symbol, number, state, move, variance, jump)
        volume = _volume(recipe, chance, symbol, number, log_range, regime)
        yield Block(*prices, volume, log_vol, link, innovation, variance, regime, momentum)


def _start(chance: Chance, symbol: str) -> _State:
    """Start volatility and regime from their stationary laws."""
    common, own = chance.stream("", Purpose.START), chance.stream(symbol, Purpose.START)
    log_vol = LOG_VOL_SD * _blend(common.standard_normal(3), own.standard_normal(3), COMMON_LOG_VOL)
    _, linked = _mixing_shapes()
    link = common.standard_gamma(linked[0]) + own.standard_gamma(linked[1])
    regime = 1.0 if own.random() < 0.5 else -1.0
    past = PLANT.momentum_bars
    return _State(
        log_vol,
        link,
        START_PRICE,
        float(np.log(START_PRICE)),
        regime,
        np.zeros(past),
        np.ones(past),
    )


def _volatility(
    recipe: Recipe, chance: Chance, symbol: str, number: int, state: _State
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Log-volatilities (3, n), links (n,), variances (n,) and standard moves z (n,)."""
    common, own = (chance.stream(name, Purpose.PATH, number) for name in ("", symbol))
    noise = _blend(
        common.standard_normal((3, BLOCK)), own.standard_normal((3, BLOCK)), COMMON_LOG_VOL
    )
    z = _blend(common.standard_normal(BLOCK), own.standard_normal(BLOCK), COMMON_Z)
    decay = decay_per_bar(recipe.timeframe)
    scale = LOG_VOL_SD * np.sqrt(1.0 - decay**2)
    log_vol = autoregress(scale[:, None] * noise, decay, state.log_vol)
    alone, linked = _mixing_shapes()
    mixing = common.standard_gamma(alone[0], BLOCK) + own.standard_gamma(alone[1], BLOCK)
    link = common.standard_gamma(linked[0], BLOCK) + own.standard_gamma(linked[1], BLOCK)
    mixing += link
    mixing[0] += state.link
    mixing[1:] += link[:-1]
    season = season_variance(open_times(recipe, number * BLOCK, BLOCK), recipe.timeframe.ms)
    variance = recipe.typical_variance * season * volatility_factor(log_vol) / mixing
    variance *= 0.5 * DEGREES_OF_FREEDOM - 1.0  # the mean of 1 / mixing is 1 / (df / 2 - 1)
    state.log_vol, state.link = log_vol[:, -1], float(link[-1])
    return log_vol, link, variance, z


def _plant(
    recipe: Recipe,
    chance: Chance,
    symbol: str,
    number: int,
    state: _State,
    innovation: FloatArray,
    variance: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Regime and momentum of each bar; both 0 without an edge."""
    if recipe.edge == 0.0:
        return np.zeros(BLOCK), np.zeros(BLOCK)
    draws = chance.stream(symbol, Purpose.REGIME, number).random(BLOCK)
    turns = np.cumsum(draws < 1.0 / PLANT.mean_life_bars)
    regime = state.regime * np.where(turns % 2 == 0, 1.0, -1.0)
    innovation = np.concatenate([state.innovation, innovation])
    variance = np.concatenate([state.variance, variance])
    past = PLANT.momentum_bars
    state.regime, state.innovation, state.variance = (
        float(regime[-1]),
        innovation[-past:],
        variance[-past:],
    )
    return regime, momentum_of(_window_sums(innovation), _window_sums(variance))


def _jumps(recipe: Recipe, chance: Chance, symbol: str, number: int) -> FloatArray:
    """Log-jump at each open, compensated: the mean of exp(jump) is 1."""
    if recipe.jumps_per_year == 0.0:
        return np.zeros(BLOCK)
    draw = chance.stream(symbol, Purpose.JUMPS, number)
    count = draw.poisson(recipe.jumps_per_year * recipe.timeframe.ms / YEAR_MS, BLOCK)
    size = JUMP_SD * np.sqrt(count) * draw.standard_normal(BLOCK) - 0.5 * JUMP_SD**2 * count
    return np.asarray(size, dtype=np.float64)


def _prices(
    chance: Chance,
    symbol: str,
    number: int,
    state: _State,
    move: FloatArray,
    variance: FloatArray,
    jump: FloatArray,
) -> tuple[tuple[FloatArray, FloatArray, FloatArray, FloatArray], FloatArray]:
    """(open, high, low, close) and the log-range of each bar."""
    log_close = np.cumsum(np.concatenate([[state.log_price], move + jump]))[1:]
    close = np.exp(log_close)
    opened = np.concatenate([[state.price], close[:-1]])
    opened = np.where(jump == 0.0, opened, opened * np.exp(jump))
    draw = chance.stream(symbol, Purpose.EXTREMES, number)
    low, high = draw_extremes(move, variance, 1.0 - draw.random(BLOCK), 1.0 - draw.random(BLOCK))
    highest = np.maximum(opened * np.exp(high), np.maximum(opened, close))
    lowest = np.minimum(opened * np.exp(low), np.minimum(opened, close))
    state.price, state.log_price = float(close[-1]), float(log_close[-1])
    return (opened, highest, lowest, close), high - low


def _volume(
    recipe: Recipe,
    chance: Chance,
    symbol: str,
    number: int,
    log_range: FloatArray,
    regime: FloatArray,
) -> FloatArray:
    """Log-normal given the bar's range; the regime shows in its level."""
    noise = chance.stream(symbol, Purpose.VOLUME, number).standard_normal(BLOCK)
    told = expected_log_volume(recipe, log_range)
    volume: FloatArray = np.exp(told + PLANT.volume_shift * regime + VOLUME_NOISE * noise)
    return volume


def expected_log_volume(recipe: Recipe, log_range: FloatArray) -> FloatArray:
    """Mean of log-volume given log(high / low), without a regime."""
    relative = np.maximum(log_range / np.sqrt(recipe.typical_variance), _SMALLEST_RANGE)
    told: FloatArray = VOLUME_LEVEL + VOLUME_SLOPE * np.log(relative)
    return told


def momentum_of(innovations: FloatArray, variances: FloatArray) -> FloatArray:
    """Momentum in (-1, 1) from sums over the last bars."""
    momentum: FloatArray = np.tanh(innovations / np.sqrt(variances))
    return momentum


def volatility_factor(log_vol: FloatArray) -> FloatArray:
    """exp(2 x sum of log-volatilities) over its mean; sums over the first axis."""
    factor: FloatArray = np.exp(2.0 * log_vol.sum(axis=0) - 2.0 * np.sum(LOG_VOL_SD**2))
    return factor


def decay_per_bar(timeframe: Timeframe) -> FloatArray:
    """What is left of each log-volatility after one bar, shape (3,)."""
    decay: FloatArray = 0.5 ** (timeframe.ms / HOUR_MS / HALF_LIFE_H)
    return decay


def _window_sums(values: FloatArray) -> FloatArray:
    """Sum of the `momentum_bars` values before each of the last BLOCK rows."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    past = PLANT.momentum_bars
    sums: FloatArray = total[past : past + BLOCK] - total[:BLOCK]
    return sums


def _blend(common: FloatArray, own: FloatArray, share: float) -> FloatArray:
    """Two standard normals in one, of which `share` of the variance is common."""
    both: FloatArray = np.sqrt(share) * common + np.sqrt(1.0 - share) * own
    return both


def _mixing_shapes() -> tuple[tuple[float, float], tuple[float, float]]:
    """Gamma shapes, (common, own), of the parts of the mixing variable: alone, linked."""
    half, link = 0.5 * DEGREES_OF_FREEDOM, MIXING_SHARED_WITH_NEXT_BAR
    shares = (COMMON_MIXING * half, (1.0 - COMMON_MIXING) * half)
    alone = (shares[0] * (1.0 - 2.0 * link), shares[1] * (1.0 - 2.0 * link))
    return alone, (shares[0] * link, shares[1] * link)


def _within(name: str, value: float, least: float, most: float) -> None:
    if not (least <= value <= most):
        raise ConfigError(
            f"{name} is {value}, not between {least:,} and {most:,}", where=f"synthetic.{name}"
        )
