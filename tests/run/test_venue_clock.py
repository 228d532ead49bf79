"""What counts of a venue's clock that lies: only what time or candles bear out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from types import SimpleNamespace

import pytest

from darwin.cli.venue_clock import LOOKS_BELIEVED, VenueClock
from darwin.core.market import Bars
from darwin.data.klines import KlinesProvider
from darwin.engine.report_words import iso
from darwin.errors import UnreachableError
from darwin.testing.builders import make_bars
from darwin.testing.klines_server import KlinesServer
from tests.run.command import Desk
from tests.run.papers import BEGUN, FOREVER, HOUR_MS, Start, fed, paper, wait_for
from tests.run.waiting import until

MINUTE_MS = 60_000


@pytest.fixture
def bars() -> Bars:
    return make_bars(60, seed=1)


@pytest.fixture
def server(bars: Bars) -> Iterator[KlinesServer]:
    """Half an hour into bar 20."""
    with KlinesServer([bars], start_bar=20) as server:
        server.now_ms += 30 * MINUTE_MS
        yield server


@pytest.fixture
def clock(server: KlinesServer, bars: Bars) -> Iterator[Callable[[list[str]], VenueClock]]:
    """Makes clocks that give their warnings to a list."""
    config = SimpleNamespace(
        market=SimpleNamespace(symbols=(bars.symbol,), timeframe="1h"),
        live=SimpleNamespace(max_staleness_seconds=None),
    )
    with closing(KlinesProvider(server.url, bars.timeframe).venue()) as venue:
        yield lambda warned, **more: VenueClock(
            venue, config, lambda: True, warned.append, **{"believed_s": 0.0} | more
        )


def test_a_clock_that_jumps_ahead_counts_as_far_as_candles_have_come(
    server: KlinesServer, bars: Bars, clock
) -> None:
    warned: list[str] = []
    told, now = clock(warned), server.now_ms
    assert told.look() == now
    server.clock_errors_ms += [5 * HOUR_MS, 7 * HOUR_MS, 5 * HOUR_MS, 7 * HOUR_MS]
    for _ in range(4):
        assert now <= told.look() < now + 10_000  # a few moments, not hours
    assert told.is_late(int(bars.time[20]))  # nobody knows: nothing is acted on
    assert told.look() == now
    assert not told.is_late(int(bars.time[19]) + HOUR_MS)
    assert len(warned) == 4
    assert "neither the time that has passed nor a candle bears out" in warned[0]


def test_at_the_first_look_it_is_no_later_than_the_newest_candle(
    server: KlinesServer, bars: Bars, clock
) -> None:
    server.clock_errors_ms += [5 * HOUR_MS, 6 * HOUR_MS]
    told = clock([])
    assert int(bars.time[20]) <= told.look() < int(bars.time[20]) + 10_000
    assert told.look() == server.now_ms


def test_time_that_candles_bear_out_counts_at_once(server: KlinesServer, bars: Bars, clock) -> None:
    told = clock(warned := [])
    for place in (21, 22, 40):
        server.now_ms = int(bars.time[place]) + 1
        assert told.look() == server.now_ms
    assert warned == []


def test_a_clock_that_jumps_back_closes_nothing_and_makes_nothing_fresh(
    server: KlinesServer, bars: Bars, clock
) -> None:
    told, now = clock(warned := []), server.now_ms
    server.clock_errors_ms += [-5 * HOUR_MS, -5 * HOUR_MS]
    assert told.look() == told.look() == now - 5 * HOUR_MS
    assert told.is_late(int(bars.time[15]))  # by the time that was certain before
    assert told.look() == now
    assert len(warned) == 1


def test_a_story_that_is_told_often_enough_over_a_market_that_stands_still_is_believed(
    server: KlinesServer, bars: Bars, clock
) -> None:
    server.now_ms = int(bars.time[-1]) + 5 * HOUR_MS  # no candle has come for hours
    told = clock([])
    looks = [told.look() for _ in range(LOOKS_BELIEVED - 1)]
    assert looks[-2] < int(bars.time[-1]) + 10_000
    assert looks[-1] == server.now_ms


def test_it_is_not_believed_while_the_candle_moves(server: KlinesServer, bars: Bars, clock) -> None:
    told = clock([])
    for _ in range(2 * LOOKS_BELIEVED):
        server.now_ms += MINUTE_MS // 60  # the candle of this hour goes on forming
        server.clock_errors_ms += [5 * HOUR_MS]
        assert told.look() < int(bars.time[21])


def test_a_story_of_days_or_of_a_moment_is_not_believed(
    server: KlinesServer, bars: Bars, clock
) -> None:
    hasty = clock([], believed_s=30.0)
    for _ in range(2 * LOOKS_BELIEVED):
        server.clock_errors_ms += [5 * HOUR_MS]
        assert hasty.look() < int(bars.time[21])
    told = clock([])
    for _ in range(2 * LOOKS_BELIEVED):
        server.clock_errors_ms += [240 * HOUR_MS]
        assert told.look() < int(bars.time[21])


def test_a_quiet_symbol_does_not_bear_out_what_a_busy_one_contradicts(bars: Bars) -> None:
    still = {name: getattr(bars, name).copy() for name in ("open", "high", "low", "close")}
    for column in still.values():
        column[20] = still["open"][20]
    quiet = replace(bars, symbol="ETH/USDT", **still)
    config = SimpleNamespace(
        market=SimpleNamespace(symbols=(quiet.symbol, bars.symbol), timeframe="1h"),
        live=SimpleNamespace(max_staleness_seconds=None),
    )
    with (
        KlinesServer([quiet, bars], start_bar=20) as server,
        closing(KlinesProvider(server.url, bars.timeframe).venue()) as venue,
    ):
        server.now_ms += 30 * MINUTE_MS
        told = VenueClock(venue, config, lambda: True, lambda text: None, 0.0)
        for _ in range(2 * LOOKS_BELIEVED):
            server.now_ms += MINUTE_MS // 60
            server.clock_errors_ms += [5 * HOUR_MS]
            assert told.look() < int(bars.time[21])


def test_without_a_candle_nobody_knows_the_time_until_it_was_told_often(
    server: KlinesServer, bars: Bars, clock
) -> None:
    server.silent_from_ms[bars.symbol] = 0
    told = clock([])
    for _ in range(LOOKS_BELIEVED - 2):
        with pytest.raises(UnreachableError, match="no candle that bears it out"):
            told.look()
    assert told.look() == server.now_ms


@pytest.mark.slow
def test_a_run_neither_closes_a_bar_nor_ends_because_the_clock_lies(
    desk: Desk, start: Start, markets: list[Bars]
) -> None:
    opens = markets[0].time
    with KlinesServer(markets, start_bar=BEGUN) as server:
        paper(desk, server, FOREVER)
        server.now_ms = int(opens[BEGUN]) + HOUR_MS + 1_000
        process = start("--until", iso(int(opens[BEGUN + 3])))
        wait_for(desk, process, int(opens[BEGUN]))
        for error in (9 * HOUR_MS, -9 * HOUR_MS):
            server.clock_errors_ms += [error, error + 1_500] * 2
            until(lambda: not server.clock_errors_ms, process)
            looks = len(server.asked("time")) + 3
            until(lambda looks=looks: len(server.asked("time")) >= looks, process)
            assert process.poll() is None
            assert fed(desk) == int(opens[BEGUN])
        server.now_ms = int(opens[BEGUN + 3]) + 1_000
        said = process.communicate()[1]
        assert process.returncode == 0, said
    assert fed(desk) == int(opens[BEGUN + 2])
    assert "the clock of the venue says" in said
    stored = desk.ask("SELECT count(*), sum(stale) FROM bars")
    assert stored == [(3 * (BEGUN + 3), 0)]
    one = f"symbol = 'BTC/USDT' AND time = {opens[BEGUN + 1]}"
    [(close,)] = desk.ask(f"SELECT close FROM bars WHERE {one}")
    assert close == markets[0].close[BEGUN + 1]  # whole, not as it formed
