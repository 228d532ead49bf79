"""Numbers in words: each feature that a model is shown, cut into a few steps with a name."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from typing import NamedTuple

UNKNOWN = "not known"


class Scale(NamedTuple):
    """How a number is said: the word of its step, and the number itself, rounded."""

    edges: tuple[float, ...]  # rising; a value on an edge belongs to the step above it
    words: tuple[str, ...]  # one more than edges
    decimals: int = 1
    unit: str = ""  # empty where the label names the bounds, as in "RSI 14, as -1..1"
    times: float = 1.0  # what a feature is multiplied by to be said on the scale its field has

    def say(self, value: float) -> str:
        """Such as `up (+1.4 sd)`; what is not known is said to be so."""
        if not math.isfinite(value):
            return UNKNOWN
        rounded = round(value * self.times, self.decimals) + 0.0  # no negative zero
        sign = "+" if self.edges[0] < 0.0 else ""
        word = self.words[bisect_right(self.edges, rounded)]
        return f"{word} ({rounded:{sign}.{self.decimals}f}{self.unit})"


_MOVE = Scale(
    (-2.0, -1.0, -0.3, 0.3, 1.0, 2.0),
    ("collapsing", "down strongly", "down", "flat", "up", "up strongly", "soaring"),
    unit=" sd",
)
_DISTANCE = Scale(
    (-6.0, -2.5, -0.5, 0.5, 2.5, 6.0),
    ("very far below", "far below", "below", "at it", "above", "far above", "very far above"),
    unit=" ATR",
)
_SLOPE = Scale(
    (-1.0, -0.2, 0.2, 1.0),
    ("falling fast", "falling", "flat", "rising", "rising fast"),
    unit=" ATR",
)
_BALANCE = Scale(
    (-0.6, -0.2, 0.2, 0.6),
    ("strongly negative", "negative", "balanced", "positive", "strongly positive"),
)
_PLACE = Scale(
    (-0.8, -0.3, 0.3, 0.8), ("at the low", "lower part", "middle", "upper part", "at the high")
)
_RATIO = Scale(
    (0.6, 0.85, 1.2, 1.7),
    ("far below normal", "below normal", "normal", "high", "very high"),
    unit="x",
)
_HISTOGRAM = Scale(
    (-1.0, -0.2, 0.2, 1.0),
    ("strongly negative", "negative", "near zero", "positive", "strongly positive"),
    unit=" ATR",
)
_STRENGTH = Scale(
    (15.0, 25.0, 40.0), ("no trend", "weak trend", "trend", "strong trend"), 0, times=100.0
)
_DEVIATION = Scale(
    (-2.0, -1.0, 1.0, 2.0),
    ("extremely low", "low", "usual", "high", "extremely high"),
    unit=" sd",
)

REGIME: Mapping[str, tuple[str, Scale]] = {
    "vol_ratio_24_168": ("volatility of 24 bars against that of 168", _RATIO),
    "vol_z_24_168": ("that volatility against its own past", _DEVIATION),
    "trend_strength_14": ("strength of the trend, ADX as 0..100", _STRENGTH),
    "steady_move_32": ("steadiness of the move of 32 bars, as -1..1", _BALANCE),
    "volume_level_20_168": ("volume of 20 bars against that of 168", _RATIO),
    "return_in_vol_168": ("return of 168 bars, against its usual size", _MOVE),
}
"""What is said of the market as a whole, by feature key."""

BASE: Mapping[str, tuple[str, Scale]] = {
    "return_in_vol_4": ("return of 4 bars, against its usual size", _MOVE),
    "return_in_vol_24": ("return of 24 bars, against its usual size", _MOVE),
    "ema_distance_21": ("close against EMA 21", _DISTANCE),
    "ema_distance_200": ("close against EMA 200", _DISTANCE),
    "ema_slope_21_4": ("move of EMA 21 over 4 bars", _SLOPE),
    "macd_in_atr_12_26_9": ("MACD histogram", _HISTOGRAM),
    "rsi_balance_14": ("RSI 14, as -1..1", _BALANCE),
    "di_balance_14": ("+DI less -DI, as -1..1", _BALANCE),
    "channel_place_20": ("place in the range of 20 bars, as -1..1", _PLACE),
    "channel_place_55": ("place in the range of 55 bars, as -1..1", _PLACE),
    "bollinger_z_20": ("close against its mean of 20 bars", _DEVIATION),
    "range_in_atr": ("range of the bar against ATR", _RATIO),
    "close_location": ("close within the bar, as -1..1", _PLACE),
    "volume_level_5_20": ("volume of 5 bars against that of 20", _RATIO),
    "volume_surprise_16_336": ("volume beyond what ranges explain, as -1..1", _BALANCE),
}
"""What is said of the asset on the timeframe of the run."""

X4: Mapping[str, tuple[str, Scale]] = {
    "x4_ema_distance_14": ("close against EMA 14", _DISTANCE),
    "x4_ema_slope_14_4": ("move of EMA 14 over 4 bars", _SLOPE),
    "x4_rsi_balance_14": ("RSI 14, as -1..1", _BALANCE),
}
"""The same over bars of 4 times the timeframe."""

X24: Mapping[str, tuple[str, Scale]] = {
    "x24_ema_distance_10": ("close against EMA 10", _DISTANCE),
    "x24_ema_slope_10_3": ("move of EMA 10 over 3 bars", _SLOPE),
    "x24_rsi_balance_14": ("RSI 14, as -1..1", _BALANCE),
}
"""The same over bars of 24 times the timeframe."""

NEEDS: tuple[str, ...] = (*REGIME, *BASE, *X4, *X24)
"""All feature keys that a model is told of, in the order in which it is."""
