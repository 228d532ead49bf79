"""The clock of a run: every instant at which some bar of some symbol closes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from darwin.core.market import Bars, BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Clock:
    """All bar times of all symbols, once each, shape (g,); bars are addressed by their open time.

    `instant_of_bar[s][i]` is the index in `time` of bar i of symbol s; `close[s]` the last known
    close of that symbol at each instant, shape (g,), NaN before its first bar.
    """

    time: IntArray
    instant_of_bar: tuple[IntArray, ...]
    close: tuple[FloatArray, ...]
    stale: BoolArray | None = None  # instants whose bars came too late to act on, (g,); None: none

    @classmethod
    def of(cls, markets: Sequence[Bars]) -> Clock:
        """Merge the bar times of `markets`."""
        if len(markets) == 1:
            bars = markets[0]
            return cls(bars.time, (np.arange(len(bars)),), (bars.close,), bars.stale)
        time = np.unique(np.concatenate([bars.time for bars in markets]))
        instants = tuple(np.searchsorted(time, bars.time) for bars in markets)
        closes = []
        for bars in markets:
            latest = np.searchsorted(bars.time, time, side="right") - 1
            closes.append(np.where(latest >= 0, bars.close[np.maximum(latest, 0)], np.nan))
        return cls(time, instants, tuple(closes), stale_instants(markets, instants, len(time)))

    def __len__(self) -> int:
        return len(self.time)


def stale_instants(
    markets: Sequence[Bars], places: Sequence[IntArray], count: int
) -> BoolArray | None:
    """Which of `count` instants have a bar that came too late, (count,); None: none has.

    `places[s]` says at which instant each bar of symbol s stands.
    """
    late = [
        place[bars.stale]
        for bars, place in zip(markets, places, strict=True)
        if bars.stale is not None
    ]
    if not late:
        return None
    stale = np.zeros(count, dtype=np.bool_)
    stale[np.concatenate(late)] = True
    return stale
