"""Breakout: the close leaves the channel of the previous bars."""

from __future__ import annotations

from dataclasses import dataclass

from darwin.core.candidate import Scan
from darwin.core.features import FeatureFrame
from darwin.playbooks.rule import keep_sides, require, trend_filter, volume_filter


@dataclass(frozen=True, slots=True)
class Breakout:
    """Long when close > highest high of the previous `lookback` bars + `buffer_atr` × ATR(14).

    Short is the mirror. Filters: ADX(14) at least `min_adx`; close on the trend's side of
    EMA(`trend_ema`); volume over its mean of 20 bars at least `min_volume_ratio`. Zero or null
    switches a filter off; with all of them off it is the plain Donchian breakout.
    """

    lookback: int = 32
    buffer_atr: float = 0.1
    min_adx: float | None = 18.0
    trend_ema: int | None = None
    min_volume_ratio: float | None = None
    sides: tuple[str, ...] = ("long", "short")

    def __post_init__(self) -> None:
        require(self, lookback=(1, 5_000), buffer_atr=(0, 100), min_adx=(0, 100))
        require(self, trend_ema=(2, 5_000), min_volume_ratio=(0, 1_000))

    def scan(self, frame: FeatureFrame) -> Scan:
        """Compare each close with the channel."""
        close = frame["close"]
        upper = frame[f"donchian_high_{self.lookback}"]
        lower = frame[f"donchian_low_{self.lookback}"]
        if self.buffer_atr:
            margin = self.buffer_atr * frame["atr_14"]
            upper, lower = upper + margin, lower - margin
        long, short = close > upper, close < lower
        if self.min_adx:
            strong = frame["adx_14"] >= self.min_adx
            long, short = long & strong, short & strong
        scan = trend_filter(Scan(long, short), frame, self.trend_ema)
        return keep_sides(volume_filter(scan, frame, self.min_volume_ratio), self.sides)
