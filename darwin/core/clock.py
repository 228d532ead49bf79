"""The clock of a run: every instant at which some bar of some symbol closes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from darwin.core.market import Bars, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Clock:
    """All bar times of all symbols, once each, shape (g,); bars are addressed by their open time.

    `instant_of_bar[s][i]` is the index in `time` of bar i of symbol s; `close[s]` the last known
    close of that symbol at each instant, shape (g,), NaN before its first bar.
    """

    time: IntArray
    instant_of_bar: tuple[IntArray, ...]
    close: tuple[FloatArray, ...]

    @classmethod
    def of(cls, markets: Sequence[Bars]) -> Clock:
        """Merge the bar times of `markets`."""
        if len(markets) == 1:
            bars = markets[0]
            return cls(bars.time, (np.arange(len(bars)),), (bars.close,))
        time = np.unique(np.concatenate([bars.time for bars in markets]))
        instants = tuple(np.searchsorted(time, bars.time) for bars in markets)
        closes = []
        for bars in markets:
            latest = np.searchsorted(bars.time, time, side="right") - 1
            closes.append(np.where(latest >= 0, bars.close[np.maximum(latest, 0)], np.nan))
        return cls(time, instants, tuple(closes))

    def __len__(self) -> int:
        return len(self.time)
