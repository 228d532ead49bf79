"""Pullback: a trend pauses at its moving average and turns back."""

from __future__ import annotations

from dataclasses import dataclass

from darwin.core.candidate import Scan
from darwin.core.features import FeatureFrame
from darwin.playbooks.rule import keep_sides, require, volume_filter


@dataclass(frozen=True, slots=True)
class Pullback:
    """Long when EMA(`fast_ema`) > EMA(`slow_ema`), the bar's low touched the fast one within
    `touch_atr` × ATR(14), and the close is above it and above the bar's open.

    Short is the mirror. Filters: ADX(14) at least `min_adx`; the averages at least
    `min_separation_atr` × ATR apart; volume as in breakout. Zero or null switches a filter off.
    """

    fast_ema: int = 20
    slow_ema: int = 100
    touch_atr: float = 0.0
    min_adx: float | None = 18.0
    min_separation_atr: float | None = 0.5
    min_volume_ratio: float | None = None
    sides: tuple[str, ...] = ("long", "short")

    def __post_init__(self) -> None:
        require(self, fast_ema=(2, 5_000), slow_ema=(2, 5_000), touch_atr=(-10, 10))
        require(self, min_adx=(0, 100), min_separation_atr=(0, 100), min_volume_ratio=(0, 1_000))
        if self.fast_ema >= self.slow_ema:
            raise ValueError(
                f"fast_ema {self.fast_ema} must be shorter than slow_ema {self.slow_ema}"
            )

    def scan(self, frame: FeatureFrame) -> Scan:
        """Compare each bar with the two averages."""
        open_, close = frame["open"], frame["close"]
        fast, slow = frame[f"ema_{self.fast_ema}"], frame[f"ema_{self.slow_ema}"]
        reach = self.touch_atr * frame["atr_14"] if self.touch_atr else 0.0
        long = (fast > slow) & (frame["low"] <= fast + reach) & (close > fast) & (close > open_)
        short = (fast < slow) & (frame["high"] >= fast - reach) & (close < fast) & (close < open_)
        if self.min_separation_atr:
            apart = abs(fast - slow) >= self.min_separation_atr * frame["atr_14"]
            long, short = long & apart, short & apart
        if self.min_adx:
            strong = frame["adx_14"] >= self.min_adx
            long, short = long & strong, short & strong
        return keep_sides(
            volume_filter(Scan(long, short), frame, self.min_volume_ratio), self.sides
        )
