"""Bars handed to a run one after the other, as if they came in live."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from darwin.bootstrap import Wired
    from darwin.core.market import Bars
    from darwin.core.ports import Witness
    from darwin.store.acts import Source
    from darwin.store.db import Database
    from darwin.store.journal import Journal
    from darwin.store.runs import Begun

_LONGEST_SLEEP_S = 3_600.0  # the system cannot sleep for centuries
BEHIND_AT_ONCE = 4_096  # instants that an earlier attempt has seen, fed again together


def feed(
    wired: Wired,
    database: Database,
    run: Begun,
    journal: Journal,
    sources: Sequence[Source],
    speed: float | None,
    witness: Witness | None = None,
) -> None:
    """Feed all bars of `wired`, the last one ending the run; `speed` times real time, if given.

    It listens to `sources` and to releases; `witness` sees what agents decide. What an earlier
    attempt has seen is fed again without waiting. Raises ConfigError when those bars are not what
    they were.
    """
    from darwin.bootstrap import live
    from darwin.bootstrap.recorded import require_the_same_bars
    from darwin.cli.progress import shown
    from darwin.store.acts import Heard, Releases

    markets = wired.session.markets
    reached = run.place.reached
    require_the_same_bars(markets, run)
    heard = Heard(database, run, *sources, Releases(database, run))
    with shown(run.run_id) as progress:
        timeline = live(
            wired, journal, heard, progress, lambda: journal.place.facts >= run.place.facts, witness
        )
        for chunk in _behind(markets, reached):
            timeline.feed(chunk)
        for chunk in paced(_ahead(markets, reached), speed):
            timeline.feed(chunk)
        timeline.finish()


def paced(chunks: Iterator[list[Bars]], speed: float | None) -> Iterator[list[Bars]]:
    """Let chunks of one instant follow each other as their bars did, `speed` times as fast."""
    first = next(chunks, None)
    if first is None:
        return
    yield first
    if speed is None:
        yield from chunks
        return
    before, due = _opens(first), time.monotonic()
    for chunk in chunks:
        opens = _opens(chunk)
        due += (opens - before) / 1000 / speed
        before = opens
        while (left := due - time.monotonic()) > 0.0:
            time.sleep(min(left, _LONGEST_SLEEP_S))
        yield chunk


def _behind(markets: Sequence[Bars], reached: int | None) -> Iterator[list[Bars]]:
    from darwin.bootstrap.recorded import upto
    from darwin.engine.arrivals import arrivals

    if reached is not None:
        cut = [bars.slice(0, upto(bars, reached)) for bars in markets]
        yield from arrivals(cut, BEHIND_AT_ONCE)


def _ahead(markets: Sequence[Bars], reached: int | None) -> Iterator[list[Bars]]:
    from darwin.bootstrap.recorded import upto
    from darwin.engine.arrivals import arrivals

    starts = [0 if reached is None else upto(bars, reached) for bars in markets]
    yield from arrivals(
        [bars.slice(start, len(bars)) for bars, start in zip(markets, starts, strict=True)]
    )


def _opens(chunk: Sequence[Bars]) -> int:
    return min(int(bars.time[0]) for bars in chunk if len(bars))
