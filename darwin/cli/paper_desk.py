"""The desk of a run on paper: looks at its venue, keeps what it shows, feeds it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logging import Logger

    from darwin.cli.venue_clock import VenueClock
    from darwin.config.model import RunConfig
    from darwin.core.account import Alert
    from darwin.core.market import Bars
    from darwin.core.ports import Venue
    from darwin.engine.live import Live
    from darwin.errors import DataError
    from darwin.store.db import Database
    from darwin.store.runs import Begun

_BAD_LOOKS = 20  # in a row: a symbol whose bars are refused so often has none
_SIGN_OF_LIFE_S = 5.0


class _BadBarsError(Exception):
    """Bars of one symbol that are no good; the next look may find them mended."""

    def __init__(self, fault: DataError) -> None:
        super().__init__(str(fault))
        self.fault = fault


class Desk:
    """Looks at the venue, keeps what it shows, feeds it."""

    def __init__(
        self,
        config: RunConfig,
        venue: Venue,
        clock: VenueClock,
        timeline: Live,
        database: Database,
        run: Begun,
        log: Logger,
        markets: Sequence[Bars],
    ) -> None:
        """Go on after what is on record of `markets`, which was fed again."""
        from darwin.cli.heartbeat import Heartbeat
        from darwin.cli.progress import say
        from darwin.cli.venue_trouble import Trouble
        from darwin.config.places import runs_dir
        from darwin.core.market import Timeframe
        from darwin.engine.gathering import Gathering, Patience
        from darwin.store.fed_alerts import LeftOut

        self._market, self._poll_s = config.market, config.live.poll_seconds
        self._venue, self._clock, self._timeline = venue, clock, timeline
        self._database, self._run, self._log = database, run, log
        self._timeframe = Timeframe.parse(config.market.timeframe)
        self._symbols = tuple(bars.symbol for bars in markets)
        told = LeftOut(database, run)
        self._left_out = told.bars
        patience = Patience(
            round(config.live.grace_seconds * 1000), round(config.live.missing_seconds * 1000)
        )
        self._gathering = Gathering(
            self._symbols,
            self._timeframe,
            patience,
            max((int(bars.time[-1]) for bars in markets if len(bars)), default=None),
            [told.seen(bars.symbol, bars.time) for bars in markets],
            rests=config.market.calendar == "sessions",
        )
        self._beat = Heartbeat(runs_dir(config) / run.run_id, timeline, self._symbols)
        self._bad = [0] * len(markets)  # looks in a row at which a symbol's bars were refused
        self._trouble = Trouble(self._poll_s, say, self._note, self._alert_of_venue)
        self._waits_for: frozenset[int] = frozenset()
        self._without: frozenset[int] = frozenset()

    def work(self, until_ms: int | None) -> None:
        """Go on until all bars that open before `until_ms` are fed; None: until it is stopped."""
        from darwin.errors import DataError

        state = "stopped"
        try:
            while True:
                try:
                    over = self._look(until_ms)
                    self._trouble.end()
                    self._tell_whom_it_waits_for()
                    if over:
                        state = "finished"
                        return
                except _BadBarsError as bad:  # half a candle is whole a moment later
                    self._trouble.end()
                    self._note(f"asked again for {bad.fault}")
                except DataError as fault:
                    if min(self._bad) >= _BAD_LOOKS:
                        raise
                    self._trouble.meet(fault, has_bars=self._gathering.fed is not None)
                self._pause(self._trouble.wait_s)
        finally:
            self._beat_once(state, at_once=True)

    def _pause(self, wait_s: float) -> None:
        """Wait for the next look, with a sign of life now and then."""
        over = time.monotonic() + wait_s
        self._beat_once(self._trouble.state or "waiting")
        while (left_s := over - time.monotonic()) > 0.0:
            time.sleep(min(left_s, _SIGN_OF_LIFE_S))
            self._beat_once(self._trouble.state or "waiting")

    def _look(self, until_ms: int | None) -> bool:
        """Take in what has closed; whether all before `until_ms` is fed."""
        now = self._clock.look()
        last = now if until_ms is None else min(now, until_ms)
        if until_ms is not None:
            self._refuse_an_end_before_the_beginning(now, until_ms)
        for number in range(len(self._symbols)):
            self._take(number, now, last)
        stale: list[list[Bars]] = []
        for instant in self._gathering.ready(now, self._timeline.at_stake):
            chunk = instant.bars
            opened = min(int(bars.time[0]) for bars in chunk if len(bars))
            for number in instant.gaps:
                self._tell_gap(number, opened)
            if instant.without or self._clock.is_late(opened):
                stale.append(_stale(chunk))
                continue
            self._feed(stale)
            self._feed([chunk])
            stale = []
        self._feed(stale)
        over = self._gathering.is_over
        return until_ms is not None and over(until_ms, now, self._timeline.at_stake)

    def _take(self, number: int, now: int, last: int) -> None:
        """Take in the bars of one symbol that have closed by `last`.

        Raises _BadBarsError for what is not to be traded on, until the symbol counts as one that
        has no bars; if all do, DataError. So it does for a venue that is away or refuses all.
        """
        from darwin.errors import DataError, RefusedError, UnreachableError

        wanted = self._gathering.wanted(number)
        since = self._first(now) if wanted is None else wanted
        if since + self._timeframe.ms > last:
            return
        try:
            symbol = self._market.symbols[number]
            bars = self._venue.closed(symbol, self._timeframe, since, last)
        except DataError as fault:
            one = isinstance(fault, RefusedError) and fault.of_symbol
            if isinstance(fault, UnreachableError | RefusedError) and not one:
                raise
            self._bad[number] += 1
            if min(self._bad) >= _BAD_LOOKS:
                raise
            if self._bad[number] < _BAD_LOOKS:
                raise _BadBarsError(fault) from fault
            if self._bad[number] == _BAD_LOOKS:
                self._warn(f"{fault}; {self._symbols[number]} counts as without bars until it has")
            return
        self._bad[number] = 0
        late = self._gathering.take(number, bars)
        if len(late):
            from darwin.store.fed_alerts import left_out

            self._alert(left_out(self._symbols[number], late))
            self._left_out += len(late)

    def _first(self, now: int) -> int:
        """Open time of the first bar of a run that begins now: the warm-up lies before it."""
        if self._market.start_ms is not None:
            return self._market.start_ms
        return (now // self._timeframe.ms - self._market.warmup_bars - 1) * self._timeframe.ms

    def _refuse_an_end_before_the_beginning(self, now: int, until_ms: int) -> None:
        """Raise ConfigError where a run that has no bar yet could never have one."""
        from darwin.engine.report_words import iso
        from darwin.errors import ConfigError

        first = self._first(now)
        if self._gathering.fed is None and until_ms < first + self._timeframe.ms:
            raise ConfigError(
                "the run would end before its first bar has closed",
                where=f"--until {iso(until_ms)}, the first bar opens at {iso(first)}",
                mend="name a later day, or set market.start to an earlier one",
            )

    def _feed(self, chunks: Sequence[list[Bars]]) -> None:
        """Keep the bars of these instants, then feed them."""
        from datetime import UTC, datetime

        from darwin.store.fed import keep_bars

        if not chunks:
            return
        keep_bars(self._database, self._run, chunks, datetime.now(UTC))
        for chunk in chunks:
            self._timeline.feed(chunk)
            self._beat_once("feeding")

    def _tell_whom_it_waits_for(self) -> None:
        """Say of symbols with something at stake that they have no bars, once, and have again."""
        from darwin.core.account import NO_BARS, Alert

        held, gone = frozenset(self._gathering.held_for), frozenset(self._gathering.missing)
        for number in sorted(held - self._waits_for):
            self._warn(
                f"{self._symbols[number]} has a position or an order, and no bar after"
                f" {self._last_of(number)}: nothing is decided until it has one"
            )
        for number in sorted(gone - self._without):
            symbol, last = self._symbols[number], self._last_of(number)
            detail = f"{symbol} has a position or an order, and none after {last}: no entries"
            at = (self._gathering.wanted(number) or 0) - self._timeframe.ms
            self._alert(Alert(max(at, 0), NO_BARS, "", detail))
        for number in sorted(self._without - gone):
            self._warn(f"{self._symbols[number]} has bars again")
        for number in sorted(self._waits_for - self._without - held - gone):
            self._warn(f"{self._symbols[number]} is waited for no longer")
        self._waits_for, self._without = held, gone

    def _tell_gap(self, number: int, opened: int) -> None:
        """Say that a symbol with something at stake went on behind a bar that never came."""
        from darwin.core.account import GAP, Alert
        from darwin.engine.report_words import iso

        symbol = self._symbols[number]
        detail = f"{symbol} has a position or an order, and a bar up to {iso(opened)} never came"
        self._alert(Alert(opened, GAP, "", detail))

    def _last_of(self, number: int) -> str:
        from darwin.engine.report_words import iso

        wanted = self._gathering.wanted(number)
        return "any time" if wanted is None else iso(wanted - self._timeframe.ms)

    def _alert(self, alert: Alert) -> None:
        """Keep and say it, unless it is on record."""
        from darwin.store.fed_alerts import keep_alert

        if keep_alert(self._database, self._run, alert):
            self._warn(f"{alert.kind}: {alert.detail}")

    def _alert_of_venue(self, kind: str, detail: str) -> None:
        from darwin.core.account import Alert
        from darwin.store.fed_alerts import keep_alert

        keep_alert(self._database, self._run, Alert(self._gathering.fed or 0, kind, "", detail))

    def _warn(self, text: str) -> None:
        from darwin.cli.progress import say

        self._note(text)
        say(f"warning: {text}")

    def _note(self, text: str) -> None:
        self._log.warning("run %s: %s", self._run.run_id, text)

    def _beat_once(self, state: str, *, at_once: bool = False) -> None:
        self._beat.tell(state, self._gathering, self._left_out, at_once=at_once)


def _stale(chunk: Sequence[Bars]) -> list[Bars]:
    import numpy as np

    return [replace(bars, stale=np.ones(len(bars), dtype=np.bool_)) for bars in chunk]
