"""Where bars are missing: what a person should be told of the data a run is made from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from darwin.core.market import Bars
from darwin.engine.proposals import Quiet


def gaps(
    markets: Sequence[Bars], since: Sequence[int | None], quiet: Quiet
) -> list[tuple[int, str]]:
    """The open time of each bar before which more bars are missing than `quiet` bears, in words.

    `since[s]` is the open time of the bar of symbol s before these; None: they are its first. Gaps
    that end at one time are told together. Closures of session markets are none.
    """
    if quiet.sessions:
        return []
    found: dict[int, list[str]] = {}
    for bars, before in zip(markets, since, strict=True):
        time = bars.time if before is None else np.concatenate(([before], bars.time))
        missing = np.diff(time) // bars.timeframe.ms - 1
        for at in np.flatnonzero(missing > quiet.max_gap_bars).tolist():
            said = f"{missing[at]:,} bars of {bars.symbol} are missing before it"
            found.setdefault(int(time[at + 1]), []).append(said)
    return [(time, "; ".join(said)) for time, said in sorted(found.items())]
