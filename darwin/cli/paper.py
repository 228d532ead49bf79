"""A run on paper: bars from a venue as they close, each kept before it is acted on."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logging import Logger

    from darwin.bootstrap import Wired
    from darwin.config.model import RunConfig
    from darwin.core.ports import Witness
    from darwin.store.acts import Source
    from darwin.store.db import Database
    from darwin.store.journal import Journal
    from darwin.store.runs import Begun


def trade_on_paper(
    wired: Wired,
    config: RunConfig,
    database: Database,
    run: Begun,
    journal: Journal,
    sources: Sequence[Source],
    until_ms: int | None,
    log: Logger,
    witness: Witness | None = None,
) -> None:
    """Feed a run with what its venue shows, up to bars that open before `until_ms`; then end it.

    Without `until_ms` it goes on until it is stopped. What an earlier attempt has seen is fed again
    first, from the record. While the venue is away nothing is decided. Raises ConfigError for a
    provider that brings no new bars and for an end before the first bar, DataError where no symbol
    has bars that are to be traded on.
    """
    from darwin.bootstrap import live
    from darwin.bootstrap.paper import venue_of
    from darwin.bootstrap.recorded import require_the_same_bars, upto
    from darwin.cli.feed import BEHIND_AT_ONCE
    from darwin.cli.paper_desk import Desk
    from darwin.cli.progress import say
    from darwin.cli.venue_clock import VenueClock
    from darwin.engine.arrivals import arrivals
    from darwin.store.acts import Heard, Releases
    from darwin.store.fed import forget_undecided

    def warn(text: str) -> None:
        log.warning("run %s: %s", run.run_id, text)
        say(f"warning: {text}")

    with closing(venue_of(config)) as venue:
        last = forget_undecided(database, run)
        markets = tuple(
            bars.slice(0, upto(bars, -1 if last is None else last))
            for bars in wired.session.markets
        )
        require_the_same_bars(markets, run)
        heard = Heard(database, run, *sources, Releases(database, run))
        clock = VenueClock(venue, config, lambda: journal.place.facts >= run.place.facts, warn)
        timeline = live(
            wired, journal, heard, None, clock.caught_up, witness,
            lambda candidate: clock.is_too_late(candidate.bar_time),
        )  # fmt: skip
        for chunk in arrivals(markets, BEHIND_AT_ONCE):
            timeline.feed(chunk)
        Desk(config, venue, clock, timeline, database, run, log, markets).work(until_ms)
        timeline.finish()
