"""Whatever goes wrong at a venue: no order twice, nothing without a stop, the books agree."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from darwin.core.candidate import Exits
from darwin.core.decision import Reason
from darwin.core.trade import Exit
from darwin.engine.session import Session
from darwin.testing.exchange_api import Exchange
from tests.brokers.test_exchange_broker import a_session
from tests.brokers.venue_runs import (
    Run,
    an_exchange,
    assert_books_agree,
    assert_guarded,
    assert_once,
    serving,
)
from tests.engine.live_runs import fed

ORDERS = [("POST /v1/orders", purpose) for purpose in ("entry", "stop", "target", "close")]
LOOKS = [
    ("GET /v1/time", ""), ("GET /v1/price", ""), ("GET /v1/fills", ""), ("GET /v1/orders", ""),
    ("GET /v1/positions", ""), ("PUT /v1/orders", ""), ("DELETE /v1/orders", ""),
]  # fmt: skip
HANGS = ("hang before", "hang after")


def strict() -> Exchange:
    """One that takes a client id twice, so that a blind resend shows."""
    return an_exchange(refuses_duplicates=False)


def guarded(run: Run, bar: int) -> None:
    assert_guarded(run)


def assert_as_without_faults(run: Run, session: Session) -> None:
    _, paper = fed(session)
    assert len(run.fills) > 15
    for fill, other in zip(run.fills, paper.of("fills"), strict=True):
        assert fill == pytest.approx(other, rel=1e-9)
    assert run.halts == []
    assert_once(run)
    assert_books_agree(run)


@pytest.mark.parametrize(
    "kind",
    ["lost", "reset after", "reset before", "error", "error after", "malformed", "nan",
     "rate limit", *HANGS],
)  # fmt: skip
def test_an_answer_that_goes_wrong_changes_no_trade(kind):
    session = a_session(2, bars=50)
    exchange = strict()
    hangs = kind in HANGS
    for on, of in (*ORDERS, *(LOOKS[:4] if hangs else LOOKS)):
        exchange.fault(kind, on=on, of=of, skip=2, times=1 if hangs else 2)
    with serving(exchange, hang_s=1.0) as venue:
        run = venue.run(session, each=guarded, timeout_s=0.3 if hangs else 10.0).whole()
    assert exchange.faults.struck.count(kind) >= 8
    assert_as_without_faults(run, session)


@pytest.mark.parametrize("of", ["entry", "stop", "target", "close"])
def test_an_order_that_is_listed_late_is_waited_for(of):
    """The answer is lost too, so that nothing but patience knows of the order."""
    session = a_session(2, bars=50)
    exchange = strict()
    exchange.fault("stale", of=of, skip=1, times=3, reads=6)
    exchange.fault("lost", on="POST", of=of, skip=1, times=3)
    with serving(exchange) as venue:
        run = venue.run(session, each=guarded).whole()
    assert exchange.faults.struck.count("stale") >= 2
    assert_as_without_faults(run, session)


@pytest.mark.parametrize("kind", ["duplicated", "shuffled"])
def test_fills_told_twice_or_in_any_order_are_counted_once(kind):
    session = a_session(2, bars=50)
    exchange = strict()
    exchange.fault(kind, times=1_000)
    exchange.fault("partial", of="entry", times=1_000, pieces=(0.25, 0.5))
    with serving(exchange) as venue:
        run = venue.run(session, each=guarded).whole()
    assert exchange.faults.struck.count(kind) > 50
    assert len(exchange.market.trades) > 1.5 * len(run.fills) > 30
    assert_as_without_faults(run, session)


def test_pages_of_fills_that_overlap_are_counted_once():
    session = a_session(2, bars=60)
    exchange = strict()
    exchange.fault("duplicated", times=1_000)
    with serving(exchange) as venue:
        run = venue.run(session).whole()
        assert len(exchange.market.trades) > 50  # a page
        everything = run.client.fills()
    assert [fill.trade_id for fill in everything] == [t.trade_id for t in exchange.market.trades]


def test_an_entry_filled_in_part_is_one_fill_and_its_stop_covers_what_was_filled():
    session = a_session(2, bars=30, symbols=1)
    exchange = strict()
    exchange.fault("partial", of="entry", times=100, pieces=(0.25, 0.5), rest_comes=False)
    with serving(exchange) as venue:
        run = venue.run(session, each=guarded).whole()
    entries = [fill for fill in run.fills if fill.is_entry]
    assert len(entries) > 3
    assert {fill.units for fill in entries} == {0.25}
    stops = [order.quantity for order in exchange.market.taken if order.type == "stop"]
    assert set(stops) == {0.25}
    assert all("0.25 of 1 units" in words for words in run.settled)
    assert run.halts == []
    assert_once(run)
    assert_books_agree(run)


@pytest.mark.parametrize("rest_comes", [True, False])
@pytest.mark.parametrize("of", ["stop", "target", "close"])
def test_an_exit_in_pieces_is_one_fill_at_their_average(of, rest_comes):
    session = a_session(2, bars=50)
    exchange = strict()
    exchange.fault("partial", of=of, times=4, pieces=(0.25,), rest_comes=rest_comes)
    with serving(exchange) as venue:
        run = venue.run(session, each=guarded).whole()
    assert exchange.faults.struck.count("partial") > 2
    assert len(exchange.market.trades) > len(run.fills) > 15
    assert run.halts == []
    assert_once(run)
    assert_books_agree(run)


def test_an_entry_that_is_refused_ends_rejected():
    session = a_session(2, bars=30)
    exchange = strict()
    exchange.fault("reject", of="entry", times=2, reason="insufficient funds")
    with serving(exchange) as venue:
        run = venue.run(session, each=guarded).whole()
    reasons = [cancel.reason for cancel in run.journal.of("cancels")]
    assert reasons.count(Reason.REJECTED) == 2
    assert sum("insufficient funds" in words for words in run.settled) == 2
    assert run.fills
    assert_books_agree(run)


def test_units_that_are_no_lot_are_refused():
    exchange = an_exchange()
    exchange.market.lot = 0.3
    with serving(exchange) as venue:
        run = venue.run(a_session(2, bars=15)).whole()
    assert {cancel.reason for cancel in run.journal.of("cancels")} == {Reason.REJECTED}
    assert run.fills == []


def test_what_cannot_have_a_stop_is_closed_at_once():
    session = a_session(2, bars=20, symbols=1, exits=(Exits(20.0, 20.0, None),))
    exchange = strict()
    exchange.fault("reject", of="stop", reason="would trigger at once")
    with serving(exchange) as venue:
        run = venue.run(session, each=guarded).whole()
    left = [fill.reason for fill in run.fills if not fill.is_entry]
    assert left[0] == Exit.UNPLANNED
    assert any("would trigger at once" in words for words in run.settled)
    assert_books_agree(run)


@pytest.mark.parametrize("of", ["stop", "target"])
def test_what_the_venue_cancels_is_placed_again_under_a_new_id(of):
    session = a_session(2, bars=20, symbols=1, exits=(Exits(20.0, 20.0, None),))

    def act(run: Run, bar: int) -> None:
        if bar == 10:
            assert run.exchange.cancel_some(of) == 1
        else:
            assert_guarded(run)

    with serving(strict()) as venue:
        run = venue.run(session, each=act).whole()
    assert [o.client_id[-6:] for o in run.exchange.market.taken if f"{of}-2" in o.client_id]
    assert any(f"its {of} was cancelled: by the venue" in words for words in run.settled)
    assert run.halts == []
    assert_once(run)
    assert_books_agree(run)


def test_a_statement_that_was_only_wrong_for_a_moment_halts_nothing():
    exchange = strict()
    exchange.fault("misstated", symbol="S0A/USDT", skip=5, times=4, units=0.5)
    with serving(exchange) as venue:
        run = venue.run(a_session(2, bars=20), each=guarded).whole()
    assert exchange.faults.struck == ["misstated"] * 4
    assert run.words == []


def test_a_difference_of_some_units_that_lasts_halts_the_account():
    exchange = strict()

    def act(run: Run, bar: int) -> None:
        if bar == 10:
            run.exchange.fault("misstated", symbol="S0A/USDT", times=1_000, units=0.5)

    with serving(exchange) as venue:
        run = venue.run(a_session(2, bars=20), each=act).whole()
    assert len(run.halts) == 1
    assert "S0A/USDT: the venue holds" in run.halts[0]
    assert_books_agree(run)


def test_a_foreign_position_halts_the_account_and_exits_go_on():
    exchange = strict()

    def act(run: Run, bar: int) -> None:
        assert_guarded(run)
        if bar == 12:
            run.exchange.by_hand("S0A/USDT", 7.0)

    with serving(exchange) as venue:
        run = venue.run(a_session(2, bars=40), each=act).whole()
    assert len(run.halts) == 1
    assert "somebody bought 7 units" in run.halts[0]
    booked = {fill.candidate_id for fill in run.fills if not fill.is_entry}
    assert booked == {fill.candidate_id for fill in run.fills if fill.is_entry}
    assert exchange.market.positions["S0A/USDT"] in (7.0, 6.0, 8.0)
    assert_once(run)


def test_a_venue_that_is_away_longer_than_the_deadline_halts_the_account():
    session = a_session(2, bars=30)

    def act(run: Run, bar: int) -> None:
        if bar == 10:
            run.exchange.fault("error", on="", times=100_000)
        if bar == 13:
            run.exchange.faults.clear()

    with serving(strict()) as venue:
        run = venue.run(session, each=act).whole()
    assert len(run.halts) == 1
    assert "no answer within 30 s" in run.halts[0]
    halted = next(e.time for e in run.journal.of("safety_events") if e.kind == "halted")
    assert not [o for o in run.journal.of("orders") if o.bar_time >= halted]
    assert_once(run)
    assert_books_agree(run)


def test_orders_of_this_run_that_nobody_asked_for_are_taken_back():
    session = a_session(2, bars=20, symbols=1, exits=(Exits(20.0, 20.0, None),))
    strays: list[str] = []

    def act(run: Run, bar: int) -> None:
        if bar == 12:
            market = run.exchange.market
            stop = next(o for o in market.taken if o.type == "stop")
            stray = replace(stop, client_id=stop.client_id[:-1] + "7", quantity=stop.quantity)
            market.take(stray)
            strays.append(stray.client_id)

    with serving(strict()) as venue:
        run = venue.run(session, each=act).whole()
    assert [words for words in run.settled if strays[0] in words]
    assert venue.exchange.market.orders[strays[0]].status == "cancelled"
    assert run.halts == []
    assert_books_agree(run)


def a_misfortune(chance: random.Random, exchange: Exchange) -> None:
    """Something goes wrong, one way or another."""
    on, of = chance.choice([*ORDERS, *LOOKS])
    what = chance.randrange(10)
    if what < 4:
        kinds = ("lost", "reset after", "reset before", "error", "error after", "malformed",
                 "nan", "rate limit")  # fmt: skip
        exchange.fault(chance.choice(kinds), on=on, of=of, times=chance.randint(1, 4))
    elif what < 6:
        pieces = chance.choice([(0.5,), (0.25, 0.5), (0.1, 0.2)])
        exchange.fault("partial", of=of, pieces=pieces, rest_comes=chance.random() < 0.7)
    elif what == 6:
        exchange.fault("stale", of=of, reads=chance.randint(1, 8))
    elif what == 7:
        exchange.fault(chance.choice(["duplicated", "shuffled"]), times=chance.randint(1, 5))
    elif what == 8:
        exchange.fault("reject", of=chance.choice(["entry", "target", "stop"]))
    else:
        exchange.cancel_some(chance.choice(["stop", "target", "close"]))


@pytest.mark.parametrize(
    "seed", [*range(4), *(pytest.param(one, marks=pytest.mark.sweep) for one in range(4, 12))]
)
def test_any_sequence_of_faults_leaves_books_that_agree(seed):
    chance = random.Random(seed)
    session = a_session(seed, bars=40)

    def look(run: Run, bar: int) -> None:
        assert_guarded(run, but_new=True)

    def act(run: Run, bar: int) -> None:
        while chance.random() < 0.6:
            a_misfortune(chance, run.exchange)
        if bar == 38:
            run.exchange.faults.clear()

    with serving(strict()) as venue:
        run = venue.run(session, each=act, then=look).whole()
    assert len(venue.exchange.faults.struck) > 10
    assert_once(run)
    assert_books_agree(run)
