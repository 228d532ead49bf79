"""Bars: columnar prices of one instrument, known only once each bar has closed."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from darwin.errors import ConfigError

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
YEAR_2200_MS = 7_258_118_400_000
"""No bar opens later: a larger number is a time in another unit."""
_UNIT_MS = {"m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS, "w": 7 * DAY_MS}

SYMBOL = re.compile(r"[A-Z0-9]{2,15}([-/_][A-Z0-9]{1,15})?(:[A-Z0-9]{2,15})?")
"""What a symbol may look like; match it with `fullmatch`."""

SYNTHETIC_VENUE = "SYNTH"
"""The venue behind the colon of a symbol whose prices were generated: `BTC/USDT:SYNTH`."""


@dataclass(frozen=True, slots=True)
class Timeframe:
    """The length of a bar, as the field writes it: 1m, 15m, 1h, 1d."""

    name: str
    ms: int

    @classmethod
    def parse(cls, name: str) -> Timeframe:
        """Read `15m`, `1h`, `1d`; anything else raises ConfigError."""
        match = re.fullmatch(r"([1-9][0-9]{0,3})([mhdw])", name)
        if match is None:
            raise ConfigError(f"'{name}' is no timeframe", mend="write for example 1m, 15m, 1h, 1d")
        return cls(name, int(match[1]) * _UNIT_MS[match[2]])


class Bar(NamedTuple):
    """One row of `Bars`. `time` is the open time in ms UTC."""

    time: int
    open: float
    high: float
    low: float
    close: float
    volume: float


@dataclass(frozen=True, slots=True)
class Funding:
    """Funding of a perpetual: at `time` (ms UTC) longs pay `rate` × notional to shorts."""

    time: IntArray
    rate: FloatArray


@dataclass(frozen=True, slots=True)
class Bars:
    """Columnar OHLCV of one instrument, oldest first; every array has shape (n,).

    `time` is the open time in ms UTC, strictly increasing. Providers hand out checked bars only
    (`darwin.data.checks`). `volume` may be NaN where the source has none. `stale` says which bars
    came too late to act on their close; None: none did.
    """

    symbol: str
    timeframe: Timeframe
    time: IntArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    funding: Funding | None = None
    stale: BoolArray | None = None

    def __len__(self) -> int:
        return len(self.time)

    @property
    def synthetic(self) -> bool:
        """Whether a generator made these prices."""
        return self.symbol.endswith(":" + SYNTHETIC_VENUE)

    def slice(self, start: int, stop: int) -> Bars:
        """Bars [start, stop) as views; funding is kept whole."""
        cut = slice(start, stop)
        return replace(
            self,
            time=self.time[cut],
            open=self.open[cut],
            high=self.high[cut],
            low=self.low[cut],
            close=self.close[cut],
            volume=self.volume[cut],
            stale=None if self.stale is None else self.stale[cut],
        )

    def row(self, i: int) -> Bar:
        """Bar number i as plain Python numbers."""
        return Bar(
            int(self.time[i]),
            float(self.open[i]),
            float(self.high[i]),
            float(self.low[i]),
            float(self.close[i]),
            float(self.volume[i]),
        )
