"""Scale-free measures: what the catalog is made of. None changes when prices are doubled.

Moves are measured in ATR or in realised volatility, volume against its own mean. A measure is 0
where it has nothing to measure: no range, no movement, no volume.
"""

from __future__ import annotations

import math

from darwin.core.market import DAY_MS, MINUTE_MS
from darwin.features.arithmetic import (
    affine,
    bounded_quotient,
    contrast,
    fraction_alive,
    in_atr,
    log_above,
    log_beyond,
    log_ratio,
    minus,
    on_the_clock,
    place_between,
    product,
    quotient,
    root,
    square,
)
from darwin.features.formula import Formula, define, recall, rowwise
from darwin.features.recursions import ema
from darwin.features.windows import lag, window_mean, window_z

_ATR = "atr_14"
_VOLATILITY_BARS = 168
_VOLUME_BARS = 168
_SMALLEST_VOLUME = 0.01  # of its mean: where the logarithm of a dry bar ends
_VOLUME_PER_RANGE = 0.9
_SURPRISE = 4.0  # a fourth more or less than expected is much: tanh 1
_USUAL_BARS = 336  # two weeks of hours tell what is usual
_MONDAY = 3.0 / 7.0  # the epoch was a Thursday


@define
def log_return(bars: int) -> Formula:
    """Logarithm of the close over that {bars} bars ago."""
    return rowwise(log_ratio, "close", f"close_ago_{bars}")


@define
def squared_return() -> Formula:
    """Squared log return of one bar."""
    return rowwise(square, "log_return_1")


@define
def variance(bars: int) -> Formula:
    """Mean squared log return of the last {bars} bars."""
    return recall(window_mean, "squared_return", bars=bars)


@define
def realised_vol(bars: int) -> Formula:
    """Realised volatility per bar: root mean squared log return of the last {bars} bars."""
    return rowwise(root, f"variance_{bars}")


@define
def return_in_vol(bars: int) -> Formula:
    """Log return over {bars} bars in realised volatilities (168 bars, times the root of {bars})."""
    return rowwise(
        quotient,
        f"log_return_{bars}",
        f"realised_vol_{_VOLATILITY_BARS}",
        times=1.0 / math.sqrt(bars),
    )


@define
def vol_ratio(short: int, long: int) -> Formula:
    """Realised volatility of {short} bars over that of {long}."""
    return rowwise(quotient, f"realised_vol_{short}", f"realised_vol_{long}")


@define
def vol_z(bars: int, window: int) -> Formula:
    """Realised volatility of {bars} bars, as a z-score over its last {window} values."""
    return recall(window_z, f"realised_vol_{bars}", bars=window)


@define
def atr_fraction(bars: int) -> Formula:
    """ATR of {bars} bars over the close, 0 in a dead market."""
    return rowwise(fraction_alive, f"atr_{bars}", "close")


@define
def mean_atr_fraction(bars: int, window: int) -> Formula:
    """Mean over {window} bars of the ATR of {bars} bars over the close."""
    return recall(window_mean, f"atr_fraction_{bars}", bars=window)


@define
def atr_ratio(bars: int, window: int) -> Formula:
    """ATR of {bars} bars over the close, relative to its own mean over {window} bars."""
    return rowwise(quotient, f"atr_fraction_{bars}", f"mean_atr_fraction_{bars}_{window}")


@define
def bar_range() -> Formula:
    """High minus low."""
    return rowwise(minus, "high", "low")


@define
def range_in_atr() -> Formula:
    """High minus low, in ATR."""
    return rowwise(in_atr, "bar_range", _ATR, "close")


@define
def gap() -> Formula:
    """Open minus previous close."""
    return rowwise(minus, "open", "prev_close")


@define
def gap_in_atr() -> Formula:
    """Open minus previous close, in ATR."""
    return rowwise(in_atr, "gap", _ATR, "close")


@define
def close_location() -> Formula:
    """Where the close lies in its bar: −1 at the low, 1 at the high, 0 in a bar without range."""
    return rowwise(place_between, "close", "low", "high")


@define
def above_ema(bars: int) -> Formula:
    """Close minus EMA of {bars} bars."""
    return rowwise(minus, "close", f"ema_{bars}")


@define
def ema_distance(bars: int) -> Formula:
    """Close minus EMA of {bars} bars, in ATR."""
    return rowwise(in_atr, f"above_ema_{bars}", _ATR, "close")


@define
def ema_ago(bars: int, ago: int) -> Formula:
    """EMA of {bars} bars, {ago} bars ago."""
    return recall(lag, f"ema_{bars}", bars=ago)


@define
def ema_change(bars: int, ago: int) -> Formula:
    """Change of the EMA of {bars} bars over {ago} bars."""
    return rowwise(minus, f"ema_{bars}", f"ema_ago_{bars}_{ago}")


@define
def ema_slope(bars: int, ago: int) -> Formula:
    """Change of the EMA of {bars} bars over {ago} bars, in ATR."""
    return rowwise(in_atr, f"ema_change_{bars}_{ago}", _ATR, "close")


@define
def macd_in_atr(fast: int, slow: int, signal: int) -> Formula:
    """MACD histogram of {fast}, {slow} and {signal} bars, in ATR."""
    return rowwise(in_atr, f"macd_histogram_{fast}_{slow}_{signal}", _ATR, "close")


@define
def trend_strength(bars: int) -> Formula:
    """ADX of {bars} bars, scaled to 0..1."""
    return rowwise(affine, f"adx_{bars}", times=0.01)


@define
def di_gap(bars: int) -> Formula:
    """+DI minus −DI of {bars} bars."""
    return rowwise(minus, f"plus_di_{bars}", f"minus_di_{bars}")


@define
def di_balance(bars: int) -> Formula:
    """+DI minus −DI of {bars} bars, scaled to −1..1."""
    return rowwise(affine, f"di_gap_{bars}", times=0.01)


@define
def rsi_balance(bars: int) -> Formula:
    """RSI of {bars} bars, scaled to −1..1."""
    return rowwise(affine, f"rsi_{bars}", times=0.02, plus=-1.0)


@define
def channel_place(bars: int) -> Formula:
    """Where the close lies in the Donchian channel of {bars} bars, itself included: −1..1."""
    return rowwise(place_between, "close", f"lowest_{bars}", f"highest_{bars}")


@define
def volume_level(short: int, long: int) -> Formula:
    """Mean volume of {short} bars over that of {long}; 0 without volume."""
    return rowwise(quotient, f"mean_volume_{short}", f"mean_volume_{long}")


@define
def relative_volume() -> Formula:
    """Volume over its mean of 168 bars; 0 without volume."""
    return rowwise(quotient, "known_volume", f"mean_volume_{_VOLUME_BARS}")


@define
def log_volume() -> Formula:
    """Logarithm of volume over its mean of 168 bars plus 0.01, which stands for a dry bar."""
    return rowwise(log_above, "relative_volume", floor=_SMALLEST_VOLUME)


@define
def log_volume_z(bars: int) -> Formula:
    """Logarithm of relative volume, as a z-score over {bars} bars; 0 without volume."""
    return recall(window_z, "log_volume", bars=bars)


@define
def log_range() -> Formula:
    """Logarithm of the high over the low."""
    return rowwise(log_ratio, "high", "low")


@define
def smooth_range(bars: int) -> Formula:
    """Exponential mean of the log range, alpha 2/({bars} + 1)."""
    return recall(ema, "log_range", bars=bars)


@define
def range_level(short: int, long: int) -> Formula:
    """Exponential mean range of {short} bars over that of {long}; 0 in a dead market."""
    return rowwise(quotient, f"smooth_range_{short}", f"smooth_range_{long}")


@define
def smooth_volume(bars: int) -> Formula:
    """Exponential mean of volume, alpha 2/({bars} + 1)."""
    return recall(ema, "known_volume", bars=bars)


@define
def smooth_volume_level(short: int, long: int) -> Formula:
    """Exponential mean volume of {short} bars over that of {long}; 0 without volume."""
    return rowwise(quotient, f"smooth_volume_{short}", f"smooth_volume_{long}")


@define
def volume_surprise(short: int, long: int) -> Formula:
    """Whether volume of {short} bars against {long} is beyond what their ranges explain: −1..1.

    In hourly crypto log-volume rises about as much as log-range does. 0 after a week without.
    """
    return rowwise(
        log_beyond, f"smooth_volume_level_{short}_{long}", f"range_level_{short}_{long}",
        f"mean_volume_{_VOLUME_BARS}", floor=_SMALLEST_VOLUME, slope=_VOLUME_PER_RANGE,
        times=_SURPRISE,
    )  # fmt: skip


@define
def steady_move(bars: int) -> Formula:
    """Log return over {bars} bars over the root of their summed squares, through tanh: −1..1."""
    return rowwise(
        bounded_quotient, f"log_return_{bars}", f"realised_vol_{bars}",
        times=1.0 / math.sqrt(bars),
    )  # fmt: skip


@define
def backed_move(bars: int, short: int) -> Formula:
    """Steady move over {bars} bars, times the volume surprise of the last {short}.

    Whether volume stands behind a move tells whether it goes on or turns: Llorente, Michaely, Saar
    and Wang 2002, "Dynamic volume-return relation of individual stocks".
    """
    return rowwise(product, f"steady_move_{bars}", f"volume_surprise_{short}_{_USUAL_BARS}")


@define
def mean_volume_ago(bars: int) -> Formula:
    """Mean volume of the {bars} bars before the last {bars}."""
    return recall(lag, f"mean_volume_{bars}", bars=bars)


@define
def volume_trend(bars: int) -> Formula:
    """Volume of the last {bars} bars against the {bars} before: −1..1, 0 when level."""
    return rowwise(contrast, f"mean_volume_{bars}", f"mean_volume_ago_{bars}")


@define
def hour_sin() -> Formula:
    """Sine of the time of day (UTC) at the bar's close."""
    return rowwise(on_the_clock, "close_time", period_ms=DAY_MS, phase=0.0, step_ms=MINUTE_MS)


@define
def hour_cos() -> Formula:
    """Cosine of the time of day (UTC) at the bar's close."""
    return rowwise(on_the_clock, "close_time", period_ms=DAY_MS, phase=0.25, step_ms=MINUTE_MS)


@define
def weekday_sin() -> Formula:
    """Sine of the day of the week (UTC, from Monday) at the bar's close."""
    return _weekday(_MONDAY)


@define
def weekday_cos() -> Formula:
    """Cosine of the day of the week (UTC, from Monday) at the bar's close."""
    return _weekday(_MONDAY + 0.25)


def _weekday(phase: float) -> Formula:
    return rowwise(on_the_clock, "close_time", period_ms=7 * DAY_MS, phase=phase, step_ms=DAY_MS)
