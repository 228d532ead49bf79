"""The field's indicators in their own units: the bar, ranges, means, oscillators, channels.

Each is defined once, as a formula over other keys; what has a memory comes from `windows` and
`recursions`, the rest from `arithmetic`. Sources: Wilder (1978) for ATR, RSI, DI and ADX; Appel for
MACD; Bollinger for his bands, with the population's standard deviation.
"""

from __future__ import annotations

from darwin.features.arithmetic import (
    known_or_zero,
    larger_move,
    lopsidedness,
    minus,
    quotient,
    range_with_gap,
    rise,
    strength,
)
from darwin.features.formula import Formula, define, recall, rowwise
from darwin.features.recursions import ema as exponential
from darwin.features.recursions import wilder
from darwin.features.windows import lag, window_highest, window_lowest, window_mean, window_z


@define
def prev_close() -> Formula:
    """Close of the previous bar."""
    return recall(lag, "close", bars=1)


@define
def close_ago(bars: int) -> Formula:
    """Close {bars} bars ago."""
    return recall(lag, "close", bars=bars)


@define
def prev_high() -> Formula:
    """High of the previous bar."""
    return recall(lag, "high", bars=1)


@define
def prev_low() -> Formula:
    """Low of the previous bar."""
    return recall(lag, "low", bars=1)


@define
def true_range() -> Formula:
    """True range; that of the first bar is high − low."""
    return rowwise(range_with_gap, "high", "low", "prev_close")


@define
def atr(bars: int) -> Formula:
    """Wilder's average true range over {bars} bars; seed: mean of the first {bars}."""
    return recall(wilder, "true_range", bars=bars)


@define
def sma(bars: int) -> Formula:
    """Arithmetic mean of the last {bars} closes."""
    return recall(window_mean, "close", bars=bars)


@define
def ema(bars: int) -> Formula:
    """Exponential mean of the close, alpha 2/({bars} + 1); seed: mean of the first {bars}."""
    return recall(exponential, "close", bars=bars)


@define
def macd(fast: int, slow: int) -> Formula:
    """EMA of {fast} minus EMA of {slow} bars."""
    return rowwise(minus, f"ema_{fast}", f"ema_{slow}")


@define
def macd_signal(fast: int, slow: int, signal: int) -> Formula:
    """EMA of {signal} bars over the MACD line of {fast} and {slow}."""
    return recall(exponential, f"macd_{fast}_{slow}", bars=signal)


@define
def macd_histogram(fast: int, slow: int, signal: int) -> Formula:
    """MACD line of {fast} and {slow} minus its signal of {signal} bars."""
    return rowwise(minus, f"macd_{fast}_{slow}", f"macd_signal_{fast}_{slow}_{signal}")


@define
def close_rise() -> Formula:
    """How far the close rose, 0 where it fell."""
    return rowwise(rise, "close", "prev_close")


@define
def close_fall() -> Formula:
    """How far the close fell, 0 where it rose."""
    return rowwise(rise, "prev_close", "close")


@define
def mean_rise(bars: int) -> Formula:
    """Wilder's mean of rises over {bars} bars."""
    return recall(wilder, "close_rise", bars=bars)


@define
def mean_fall(bars: int) -> Formula:
    """Wilder's mean of falls over {bars} bars."""
    return recall(wilder, "close_fall", bars=bars)


@define
def rsi(bars: int) -> Formula:
    """Wilder's relative strength index over {bars} bars, 0..100; 50 where nothing moved."""
    return rowwise(strength, f"mean_rise_{bars}", f"mean_fall_{bars}")


@define
def up_move() -> Formula:
    """High minus previous high."""
    return rowwise(minus, "high", "prev_high")


@define
def down_move() -> Formula:
    """Previous low minus low."""
    return rowwise(minus, "prev_low", "low")


@define
def plus_dm() -> Formula:
    """Directional movement upwards; that of the first bar is 0."""
    return rowwise(larger_move, "up_move", "down_move")


@define
def minus_dm() -> Formula:
    """Directional movement downwards; that of the first bar is 0."""
    return rowwise(larger_move, "down_move", "up_move")


@define
def mean_plus_dm(bars: int) -> Formula:
    """Wilder's mean of upward movement over {bars} bars."""
    return recall(wilder, "plus_dm", bars=bars)


@define
def mean_minus_dm(bars: int) -> Formula:
    """Wilder's mean of downward movement over {bars} bars."""
    return recall(wilder, "minus_dm", bars=bars)


@define
def plus_di(bars: int) -> Formula:
    """Wilder's +DI over {bars} bars, 0..100."""
    return rowwise(quotient, f"mean_plus_dm_{bars}", f"atr_{bars}", times=100.0)


@define
def minus_di(bars: int) -> Formula:
    """Wilder's −DI over {bars} bars, 0..100."""
    return rowwise(quotient, f"mean_minus_dm_{bars}", f"atr_{bars}", times=100.0)


@define
def dx(bars: int) -> Formula:
    """Wilder's directional index over {bars} bars, 0..100."""
    return rowwise(lopsidedness, f"plus_di_{bars}", f"minus_di_{bars}")


@define
def adx(bars: int) -> Formula:
    """Wilder's average directional index over {bars} bars, 0..100."""
    return recall(wilder, f"dx_{bars}", bars=bars)


@define
def highest(bars: int) -> Formula:
    """Highest high of the last {bars} bars, the current one included."""
    return recall(window_highest, "high", bars=bars)


@define
def lowest(bars: int) -> Formula:
    """Lowest low of the last {bars} bars, the current one included."""
    return recall(window_lowest, "low", bars=bars)


@define
def donchian_high(bars: int) -> Formula:
    """Highest high of the {bars} bars before the current one."""
    return recall(window_highest, "prev_high", bars=bars)


@define
def donchian_low(bars: int) -> Formula:
    """Lowest low of the {bars} bars before the current one."""
    return recall(window_lowest, "prev_low", bars=bars)


@define
def bollinger_z(bars: int) -> Formula:
    """Close minus its mean over {bars} bars, in population standard deviations; 0 where flat."""
    return recall(window_z, "close", bars=bars)


@define
def known_volume() -> Formula:
    """Volume, 0 where the source has none."""
    return rowwise(known_or_zero, "volume")


@define
def mean_volume(bars: int) -> Formula:
    """Mean volume of the last {bars} bars."""
    return recall(window_mean, "known_volume", bars=bars)


@define
def volume_ratio(bars: int) -> Formula:
    """Volume over its mean of the last {bars} bars; 0 where there is none."""
    return rowwise(quotient, "known_volume", f"mean_volume_{bars}")
