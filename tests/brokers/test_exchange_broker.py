"""At a venue where nothing goes wrong, the exchange broker trades what the paper broker trades."""

from __future__ import annotations

from dataclasses import replace

import pytest

from darwin.core.candidate import Exits, Trailing
from darwin.core.trade import Exit
from darwin.engine.session import Session
from darwin.trading.limits import Limits
from tests.brokers.venue_runs import (
    DEAR,
    Run,
    an_exchange,
    assert_books_agree,
    assert_guarded,
    assert_never_blind,
    assert_once,
    serving,
)
from tests.engine.live_runs import Release, fed, whimsical
from tests.engine.worlds import NO_LIMITS, grid_bars, session_over

ALL_KINDS = (Exits(1.0, 2.0, 8), Exits(0.5, None, 20, Trailing(0.5, 1.0)))


def a_session(
    seed: int,
    *,
    bars: int = 40,
    symbols: int = 2,
    rate: float = 0.3,
    exits: tuple[Exits, ...] = ALL_KINDS,
    limits: Limits = NO_LIMITS,
) -> Session:
    markets = [grid_bars(bars, seed + k, symbol=f"S{k}A/USDT", gaps=False) for k in range(symbols)]
    session = session_over(*markets, exits=exits, costs=DEAR, limits=limits)
    return whimsical(session, seed, rate)


@pytest.mark.parametrize("seed", range(4))
def test_without_faults_it_trades_what_the_paper_broker_trades(seed):
    anchored = (Exits(1.0, 1.0, 3, anchor="fill"), Exits(0.5, 0.5, 2), *ALL_KINDS)
    collar = replace(NO_LIMITS, price_collar_fraction=0.01)
    session = a_session(seed, bars=100, exits=anchored, limits=collar)
    _, paper = fed(session)
    with serving() as venue:
        run = venue.run(session).whole()
    expected = paper.of("fills")
    assert len(expected) > 20
    assert {fill.reason for fill in expected} >= {Exit.STOP, Exit.TARGET, Exit.TIME_STOP}
    told = [fill[:9] for fill in run.fills]
    assert told == [fill[:9] for fill in expected]
    for fill, other in zip(run.fills, expected, strict=True):
        assert fill[9:] == pytest.approx(other[9:], rel=1e-9)
    last = int(session.markets[0].time[-1])
    given_up, others = (
        [(c.order, c.reason, c.time) for c in journal.of("cancels") if c.order.bar_time < last]
        for journal in (run.journal, paper)
    )
    assert given_up == others
    assert others
    assert [e for e in run.journal.of("safety_events") if e.time < last] == []
    assert_once(run)
    assert_books_agree(run)


def test_a_stop_rests_at_the_venue_before_the_decision_is_over():
    session = a_session(3)

    def look(run: Run, bar: int) -> None:
        assert_guarded(run)

    with serving() as venue:
        run = venue.run(session, each=look).whole()
        posted = [r.body["type"] for r in venue.exchange.requests if r.method == "POST"]
    assert run.fills
    entries = [i for i, kind in enumerate(posted) if kind == "market"]
    assert any(posted[i + 1 : i + 2] == ["stop"] for i in entries)


def test_what_trails_is_moved_at_the_venue_and_never_loosened():
    session = a_session(5, exits=(Exits(2.0, None, None, Trailing(0.25, 1.0)),), bars=60)
    with serving() as venue:
        run = venue.run(session).whole()
        moved = [r for r in venue.exchange.requests if r.method == "PUT"]
    assert {fill.reason for fill in run.fills} >= {Exit.TRAILING_STOP}
    by_stop: dict[str, list[float]] = {}
    for request in moved:
        by_stop.setdefault(request.client_id, []).append(request.body["price"])
    assert max(map(len, by_stop.values())) >= 2
    for prices in by_stop.values():
        assert prices in (sorted(prices), sorted(prices, reverse=True))


def test_a_position_closed_by_hand_is_booked_and_halts_the_account():
    session = a_session(3, exits=(Exits(20.0, 20.0, None),), symbols=1)

    def act(run: Run, bar: int) -> None:
        held = run.exchange.market.positions.get("S0A/USDT", 0.0)
        if bar == 20:
            assert held
            run.exchange.by_hand("S0A/USDT", -held)

    with serving() as venue:
        run = venue.run(session, each=act).whole()
    assert [fill.reason for fill in run.fills if not fill.is_entry] == [Exit.UNPLANNED]
    (why,) = run.halts
    assert "somebody" in why
    assert_books_agree(run)
    last = run.fills[-1].time
    late = [order for order in run.journal.of("orders") if order.bar_time > last]
    assert late == []


def test_what_happens_at_the_venue_is_booked_at_its_bar_though_no_bracket_meets_it():
    session = a_session(4, symbols=1, rate=0.04, exits=(Exits(20.0, 20.0, None),))
    time = session.markets[0].time

    def act(run: Run, bar: int) -> None:
        if bar == 29:
            run.exchange.by_hand("S0A/USDT", -run.exchange.market.positions["S0A/USDT"])

    with serving() as venue:
        run = venue.run(session, each=act).whole()
    _, paper = fed(session)
    assert {batch.reached for batch in paper.batches}.isdisjoint(time[23:38].tolist())
    assert [(fill.time, fill.reason) for fill in run.fills][1:] == [(time[30], Exit.UNPLANNED)]


def test_after_a_release_entries_go_on_although_the_stranger_stays():
    session = a_session(3, symbols=1)
    session = replace(session, markets=session.markets)

    def act(run: Run, bar: int) -> None:
        if bar == 10:
            run.exchange.by_hand("ZZZ/USDT", 5.0)

    exchange = an_exchange()
    exchange.market.quote["ZZZ/USDT"] = 10.0
    with serving(exchange) as venue:
        run = venue.run(session, each=act).go_on(20)
        rows = run.journal.batches[-1].first_row + len(run.journal.batches[-1].candidates)
        told = run.words
        assert [kind for kind, _ in told] == ["halted", "doubt"]
        again = venue.run(session, run.journal, inputs=Release(frozenset([rows + 1])))
        again.at = 0
        again.go_on(40)
    halted = next(e.time for e in run.journal.of("safety_events") if e.kind == "halted")
    resumed = next(e.time for e in run.journal.of("safety_events") if e.kind == "resumed")
    ordered = [order.bar_time for order in run.journal.of("orders")]
    assert not [time for time in ordered if halted <= time < resumed]
    assert [time for time in ordered if time >= resumed]
    assert [kind for kind, _ in run.words].count("halted") == 1
    assert_never_blind(venue.exchange)
