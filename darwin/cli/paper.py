"""A run on paper: bars from a venue as they close, each kept before it is acted on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logging import Logger

    from darwin.bootstrap import Wired
    from darwin.config.model import RunConfig
    from darwin.core.candidate import Candidate
    from darwin.core.market import Bars
    from darwin.core.ports import Venue, Witness
    from darwin.engine.gathering import Gathering
    from darwin.engine.live import Live
    from darwin.store.acts import Source
    from darwin.store.db import Database
    from darwin.store.journal import Journal
    from darwin.store.runs import Begun

HEARTBEAT = "heartbeat.json"
_BEAT_S = 1.0  # between two heartbeats, at least
_BAD_LOOKS = 20  # in a row: a venue that shows bad bars so often is not to be traded on
_USUAL_MS = 300_000  # after its close a bar is too old to act on, where the config says nothing


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
    provider that brings no new bars, DataError for bars that are not to be traded on.
    """
    from darwin.bootstrap import live
    from darwin.bootstrap.paper import venue_of
    from darwin.bootstrap.recorded import require_the_same_bars, upto
    from darwin.cli.feed import BEHIND_AT_ONCE
    from darwin.engine.arrivals import arrivals
    from darwin.store.acts import Heard, Releases
    from darwin.store.fed import forget_undecided

    with closing(venue_of(config)) as venue:
        last = forget_undecided(database, run)
        markets = tuple(
            bars.slice(0, upto(bars, -1 if last is None else last))
            for bars in wired.session.markets
        )
        require_the_same_bars(markets, run)
        heard = Heard(database, run, *sources, Releases(database, run))
        clock = _VenueClock(venue, config, lambda: journal.place.facts >= run.place.facts)
        timeline = live(wired, journal, heard, None, clock.caught_up, witness, clock.is_too_late)
        for chunk in arrivals(markets, BEHIND_AT_ONCE):
            timeline.feed(chunk)
        _Desk(config, venue, clock, timeline, database, run, log).work(markets, until_ms)
        timeline.finish()


class _VenueClock:
    """What time it is at the venue, between two looks by the clock of this machine."""

    def __init__(self, venue: Venue, config: RunConfig, caught_up: Callable[[], bool]) -> None:
        """Look once; where the venue is away, nobody knows what time it is."""
        from contextlib import suppress

        from darwin.core.market import Timeframe
        from darwin.errors import DataError

        self._venue, self.caught_up = venue, caught_up
        self.bar_ms = Timeframe.parse(config.market.timeframe).ms
        given = config.live.max_staleness_seconds
        self.limit_ms = min(_USUAL_MS, self.bar_ms) if given is None else given * 1000
        self._seen: tuple[int, float] | None = None
        with suppress(DataError):
            self.look()

    def look(self) -> int:
        """Ask the venue twice and believe the earlier answer: one wrong one moves nothing on."""
        now = min(self._venue.now_ms(), self._venue.now_ms())
        self._seen = (now, time.monotonic())
        return now

    def is_late(self, opened_ms: int) -> bool:
        """Whether the bar that opened then closed too long ago to act on; so it is if unknown."""
        if self._seen is None:
            return True
        now = self._seen[0] + (time.monotonic() - self._seen[1]) * 1000
        return now - (opened_ms + self.bar_ms) > self.limit_ms

    def is_too_late(self, candidate: Candidate) -> bool:
        """Whether the order of a candidate that was just judged would leave too late."""
        return self.caught_up() and self.is_late(candidate.bar_time)


class _Desk:
    """Looks at the venue, keeps what it shows, feeds it."""

    def __init__(
        self,
        config: RunConfig,
        venue: Venue,
        clock: _VenueClock,
        timeline: Live,
        database: Database,
        run: Begun,
        log: Logger,
    ) -> None:
        from darwin.config.places import runs_dir
        from darwin.core.market import Timeframe

        self._config, self._live = config, config.live
        self._venue, self._clock, self._timeline = venue, clock, timeline
        self._database, self._run, self._log = database, run, log
        self._timeframe = Timeframe.parse(config.market.timeframe)
        self._beat = _Heartbeat(runs_dir(config) / run.run_id / HEARTBEAT, timeline)
        self._away = False

    def work(self, markets: Sequence[Bars], until_ms: int | None) -> None:
        """Go on after what is on record of `markets`."""
        from darwin.engine.gathering import Gathering
        from darwin.errors import DataError, UnreachableError

        seen = [int(bars.time[-1]) for bars in markets if len(bars)]
        grace_ms = round(self._live.grace_seconds * 1000)
        names = [bars.symbol for bars in markets]
        gathering = Gathering(names, self._timeframe, grace_ms, max(seen, default=None))
        state, bad = "stopped", 0
        try:
            while True:
                try:
                    if self._look(gathering, until_ms):
                        state = "finished"
                        return
                    self._back()
                    bad = 0
                except UnreachableError as fault:
                    self._gone(fault)
                except DataError as fault:  # half a candle is whole a moment later
                    bad += 1
                    if bad >= _BAD_LOOKS:
                        raise
                    self._log.warning("run %s: asked again for %s", self._run.run_id, fault)
                self._beat.tell("unreachable" if self._away else "waiting", gathering)
                time.sleep(self._live.poll_seconds)
        finally:
            self._beat.tell(state, gathering, at_once=True)

    def _look(self, gathering: Gathering, until_ms: int | None) -> bool:
        """Take in what has closed; whether all before `until_ms` is fed."""
        now = self._clock.look()
        last = now if until_ms is None else min(now, until_ms)
        for number, symbol in enumerate(self._config.market.symbols):
            wanted = gathering.wanted(number)
            since = self._first(now) if wanted is None else wanted
            if since + self._timeframe.ms <= last:
                gathering.take(number, self._venue.closed(symbol, self._timeframe, since, last))
        stale: list[list[Bars]] = []
        for chunk in gathering.ready(now):
            if self._clock.is_late(min(int(bars.time[0]) for bars in chunk if len(bars))):
                stale.append(_stale(chunk))
                continue
            self._feed(stale, gathering)
            self._feed([chunk], gathering)
            stale = []
        self._feed(stale, gathering)
        if until_ms is None:
            return False
        done = gathering.fed is not None and gathering.fed + self._timeframe.ms >= until_ms
        return done or now >= until_ms + round(self._live.grace_seconds * 1000)

    def _first(self, now: int) -> int:
        """Open time of the first bar of a run that begins now: the warm-up lies before it."""
        market = self._config.market
        if market.start_ms is not None:
            return market.start_ms
        return (now // self._timeframe.ms - market.warmup_bars - 1) * self._timeframe.ms

    def _feed(self, chunks: Sequence[list[Bars]], gathering: Gathering) -> None:
        """Keep the bars of these instants, then feed them."""
        from datetime import UTC, datetime

        from darwin.store.fed import keep_bars

        if not chunks:
            return
        keep_bars(self._database, self._run, chunks, datetime.now(UTC))
        for chunk in chunks:
            self._timeline.feed(chunk)
            self._beat.tell("feeding", gathering)

    def _gone(self, fault: Exception) -> None:
        from darwin.cli.progress import say

        if not self._away:
            say(f"warning: {fault}; nothing is decided until it answers")
        self._log.warning("run %s: %s", self._run.run_id, fault)
        self._away = True

    def _back(self) -> None:
        from darwin.cli.progress import say

        if self._away:
            say("the venue answers again")
            self._log.info("run %s: the venue answers again", self._run.run_id)
        self._away = False


def _stale(chunk: Sequence[Bars]) -> list[Bars]:
    import numpy as np

    return [replace(bars, stale=np.ones(len(bars), dtype=np.bool_)) for bars in chunk]


class _Heartbeat:
    """A small file that says the run is alive, and how far it is."""

    def __init__(self, path: Path, timeline: Live) -> None:
        self._path, self._timeline, self._next = path, timeline, 0.0

    def tell(self, state: str, gathering: Gathering, *, at_once: bool = False) -> None:
        """Write it, at most once a second unless `at_once`; a disk that refuses stops nothing."""
        from contextlib import suppress
        from datetime import UTC, datetime

        from darwin.engine.report_words import iso
        from darwin.errors import StorageError
        from darwin.report.files import json_text, write_text
        from darwin.store.runs import iso_time

        if not at_once and time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _BEAT_S
        told = {
            "at": iso_time(datetime.now(UTC)),
            "state": state,
            "last_bar": None if gathering.fed is None else iso(gathering.fed),
            "bars": self._timeline.bars,
            "trades": self._timeline.trades,
            "bars_that_came_too_late": gathering.came_too_late,
        }
        with suppress(StorageError):
            write_text(self._path, json_text(told))
