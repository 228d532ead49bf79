"""Mean reversion: the close is stretched away from its mean while no trend runs."""

from __future__ import annotations

from dataclasses import dataclass

from darwin.core.candidate import Scan
from darwin.core.features import FeatureFrame
from darwin.playbooks.rule import keep_sides, require, volume_filter


@dataclass(frozen=True, slots=True)
class MeanReversion:
    """Long when the Bollinger z of `lookback` bars is at most −`entry_z`; short is the mirror.

    Filters: RSI(14) at most `rsi_extreme` (shorts: at least 100 − that); ADX(14) at most
    `max_adx`; volume as in breakout. Zero or null switches a filter off.
    """

    lookback: int = 20
    entry_z: float = 2.0
    rsi_extreme: float | None = 35.0
    max_adx: float | None = 25.0
    min_volume_ratio: float | None = None
    sides: tuple[str, ...] = ("long", "short")

    def __post_init__(self) -> None:
        require(self, lookback=(2, 5_000), entry_z=(0, 20), rsi_extreme=(0, 50), max_adx=(0, 100))
        require(self, min_volume_ratio=(0, 1_000))

    def scan(self, frame: FeatureFrame) -> Scan:
        """Compare each close with its band."""
        z = frame[f"bollinger_z_{self.lookback}"]
        long, short = z <= -self.entry_z, z >= self.entry_z
        if self.rsi_extreme:
            rsi = frame["rsi_14"]
            long, short = (
                long & (rsi <= self.rsi_extreme),
                short & (rsi >= 100.0 - self.rsi_extreme),
            )
        if self.max_adx:
            calm = frame["adx_14"] <= self.max_adx
            long, short = long & calm, short & calm
        return keep_sides(
            volume_filter(Scan(long, short), frame, self.min_volume_ratio), self.sides
        )
