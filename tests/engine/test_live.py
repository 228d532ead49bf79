"""A run fed bar by bar and a replay of the same bars tell a journal the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darwin.brokers.paper import PaperBroker
from darwin.core.candidate import Exits, Trailing
from darwin.core.decision import Reason
from darwin.core.facts import ORDERED, Facts
from darwin.core.market import DAY_MS, Bars
from darwin.core.ports import Inputs
from darwin.core.trade import Exit, Order, Status
from darwin.engine.arrivals import arrivals
from darwin.engine.live import Live
from darwin.engine.marks import daily_marks
from darwin.engine.result import RunResult
from darwin.engine.session import Session
from darwin.errors import DataError, StorageError
from darwin.trading.costs import Costs
from darwin.trading.limits import Limits
from darwin.trading.sizing import Sizing
from tests.engine.live_runs import (
    Collected,
    FlatStream,
    Release,
    chunks,
    fed,
    live_over,
    whimsical,
)
from tests.engine.worlds import TakeAll, grid_bars, session_over

DEAR = Costs(maker_bps=2, taker_bps=5, half_spread_bps=1, slippage_bps=1)

exits_of_all_kinds = st.builds(
    Exits,
    stop_atr=st.sampled_from([0.5, 1.0, 2.0]),
    target_atr=st.sampled_from([None, 0.5, 1.0, 3.0]),
    time_stop_bars=st.sampled_from([None, 1, 2, 5, 20]),
    trailing=st.sampled_from([None, Trailing(0.0, 0.5), Trailing(1.0, 1.0), Trailing(0.5, 2.0)]),
    anchor=st.sampled_from(["signal", "fill"]),
)
chunk_sizes = st.one_of(
    st.just([1]),
    st.just([10_000]),
    st.lists(st.integers(0, 60), min_size=1, max_size=6).filter(any),
)
RISKY = Sizing(method="risk", risk_per_trade=0.02, max_exposure_fraction=1.0, min_order_usd=10.0)
TIGHT = Limits(
    max_positions=3,
    max_orders_per_bar=1,
    max_orders_per_day=6,
    max_daily_loss_fraction=0.02,
    max_drawdown_fraction=0.05,
    reducing_resume_days=3,
    max_refusals_per_bar=2,
    price_collar_fraction=0.02,
)


def replayed(session: Session, inputs: Inputs | None = None) -> tuple[RunResult, Collected]:
    journal = Collected()
    return session.run(journal=journal, inputs=inputs), journal


def assert_same_run(session: Session, sizes: list[int], inputs: Inputs | None = None) -> Collected:
    """The facts in total order, every field bit for bit, and what stands beside them."""
    result, whole = replayed(session, inputs)
    live, journal = fed(session, sizes, inputs=inputs)
    told, expected = journal.told(), whole.told()
    for mine, other in zip(told, expected, strict=False):
        assert mine == other
    assert len(told) == len(expected)
    assert journal.of("alerts") == whole.of("alerts")
    assert live.trades == len(result.trades)
    assert live.bars == sum(map(len, session.markets))
    assert live.instants == len(result.equity.time)
    return journal


def three_markets(seed: int, *, funding: bool = True) -> list[Bars]:
    """Symbols with holes; one begins late, one ends early."""
    one, two, three = (
        grid_bars(n, seed + k, symbol=f"S{k}A/USDT", funding=funding and k != 1)
        for k, n in enumerate((90, 60, 80))
    )
    return [one, two, three.slice(20, 80)]


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    exits=st.lists(exits_of_all_kinds, min_size=1, max_size=3),
    per_symbol=st.integers(1, 3),
    rate=st.sampled_from([0.05, 0.3, 0.9]),
    sizes=chunk_sizes,
)
def test_a_run_fed_in_chunks_tells_what_its_replay_tells(seed, exits, per_symbol, rate, sizes):
    session = session_over(
        *three_markets(seed), exits=exits, costs=DEAR, positions_per_symbol=per_symbol, warmup=3
    )
    assert_same_run(whimsical(session, seed, rate), sizes)


def with_outages(markets: Sequence[Bars], outages: Sequence[tuple[int, int]]) -> list[Bars]:
    """The same bars, of which those that open within an outage, in hours, came too late."""
    start = min(int(bars.time[0]) for bars in markets)
    hour = [(bars.time - start) // 3_600_000 for bars in markets]
    return [
        replace(
            bars,
            stale=np.logical_or.reduce([(at >= a) & (at < a + n) for a, n in outages]),
        )
        for bars, at in zip(markets, hour, strict=True)
    ]


@pytest.mark.sweep
@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    exits=st.lists(exits_of_all_kinds, min_size=1, max_size=3),
    rate=st.sampled_from([0.05, 0.3, 0.9]),
    sizes=chunk_sizes,
    outages=st.lists(st.tuples(st.integers(0, 100), st.integers(1, 20)), min_size=1, max_size=4),
)
def test_a_run_with_outages_tells_what_its_replay_tells(seed, exits, rate, sizes, outages):
    markets = with_outages(three_markets(seed), outages)
    session = session_over(*markets, exits=exits, costs=DEAR, positions_per_symbol=2, warmup=3)
    journal = assert_same_run(whimsical(session, seed, rate), sizes)
    late = {int(t) for bars in markets for t in bars.time[bars.stale]}
    assert not late & {order.bar_time for order in journal.of("orders")}
    following = {
        (s, int(after))
        for s, bars in enumerate(markets)
        for after, stale in zip(bars.time[1:], bars.stale[:-1], strict=True)
        if stale
    }
    left = [fill for fill in journal.of("fills") if fill.reason == Exit.TIME_STOP]
    assert not following & {(fill.symbol, fill.time) for fill in left}


@pytest.mark.sweep
@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    exits=st.lists(exits_of_all_kinds, min_size=1, max_size=3),
    equity=st.sampled_from([1_000.0, 20_000.0]),
    sizes=chunk_sizes,
    released=st.frozensets(st.integers(0, 150), max_size=5),
)
def test_limits_stop_a_fed_run_where_they_stop_its_replay(seed, exits, equity, sizes, released):
    session = session_over(
        *three_markets(seed), exits=exits, costs=DEAR, sizing=RISKY, limits=TIGHT, equity=equity,
        positions_per_symbol=2,
    )  # fmt: skip
    assert_same_run(whimsical(session, seed, 0.4), sizes, Release(released))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), exits=exits_of_all_kinds, sizes=chunk_sizes)
def test_the_short_cut_of_a_replay_tells_what_a_fed_run_tells(seed, exits, sizes):
    session = session_over(*three_markets(seed), exits=exits, costs=DEAR, decider=TakeAll(False))
    assert_same_run(whimsical(session, seed, 0.3), sizes)


def test_levels_are_rounded_to_ticks_in_both():
    session = session_over(*three_markets(1), exits=Exits(0.7, 1.3, 9), costs=DEAR)
    coarse = replace(whimsical(session, 1, 0.3), tick_size=(0.5, None, 0.1))
    journal = assert_same_run(coarse, [4, 30])
    stops = [fill.stop_price for fill in journal.of("fills") if fill.symbol == 0]
    assert len(stops) > 10
    assert all(stop % 0.5 == 0.0 for stop in stops)


def busy_session(seed: int = 3, rate: float = 0.3) -> Session:
    """A session of three markets in which a lot happens, the more the higher `rate`."""
    session = session_over(
        *three_markets(seed), exits=[Exits(1.0, 2.0, 8), Exits(0.5, None, 20, Trailing(0.5, 1.0))],
        costs=DEAR, sizing=RISKY, limits=replace(TIGHT, max_drawdown_fraction=0.03),
        equity=20_000.0, positions_per_symbol=2, warmup=2,
    )  # fmt: skip
    return whimsical(session, seed, rate)


@pytest.mark.parametrize("rate", [0.03, 0.3])
def test_what_is_handed_over_together_does_not_depend_on_the_chunks(rate):
    def batches(sizes: list[int]) -> list[tuple[object, ...]]:
        _, journal = fed(busy_session(rate=rate), sizes)
        return [
            (b.reached, b.bars, b.data_digest, len(b), b.marks, list(b.alerts))
            for b in journal.batches
        ]

    expected = batches([1])
    assert len({digest for _, _, digest, *_ in expected}) > 20
    assert sum(bool(alerts) for *_, alerts in expected) >= 2
    assert batches([10_000]) == expected
    assert batches([0, 3, 1, 40]) == expected


def test_the_events_of_an_instant_are_one_batch_and_each_decision_is_one_of_its_own():
    _, journal = fed(busy_session(), [5])
    phases: list[tuple[int, bool]] = []
    for batch in journal.batches[:-1]:
        assert len(batch) > 0
        decision = len(batch.candidates) == 1
        assert decision or len(batch.candidates) == 0
        assert not (decision and (batch.fills or batch.cancels or len(batch.outcomes)))
        assert decision or not (batch.orders or batch.verdicts or batch.inputs)
        phases.append((batch.reached, decision))
    events = [time for time, decision in phases if not decision]
    assert len(events) == len(set(events)) > 20
    assert phases == sorted(phases)


def test_a_stop_of_all_entries_is_handed_over_at_its_own_bar():
    holding = session_over(
        *three_markets(8), exits=Exits(20.0, None, 30), costs=DEAR, sizing=RISKY, equity=20_000.0,
        limits=replace(TIGHT, max_daily_loss_fraction=0.002, max_drawdown_fraction=0.004),
    )  # fmt: skip
    _, journal = fed(whimsical(holding, 4, 0.03), [10_000])
    told = [batch for batch in journal.batches if batch.safety_events]
    assert all(event.time == batch.reached for batch in told for event in batch.safety_events)
    alone = [batch for batch in told if len(batch) == len(batch.safety_events)]
    kinds = {event.kind for batch in alone for event in batch.safety_events}
    assert kinds == {"daily_loss", "reducing", "resumed"}


def test_where_nothing_happens_nothing_is_handed_over_but_the_marks_at_the_end():
    bars = grid_bars(200, 5)
    live, journal = fed(whimsical(session_over(bars), 0, rate=0.0), [7])
    (only,) = journal.batches
    assert (len(only), only.reached, only.bars) == (0, bars.time[-1], 200)
    days = np.unique(bars.time // DAY_MS)
    assert [mark.time // DAY_MS for mark in only.marks] == days.tolist()
    assert {mark.equity_usd for mark in only.marks} == {1_000_000.0}
    assert live.trades == 0


def test_the_account_is_marked_at_the_last_close_of_each_day():
    session = busy_session()
    result, _ = replayed(session)
    _, journal = fed(session, [1, 30])
    expected, marks = daily_marks(result.equity), journal.of("marks")
    assert len(expected) > 6
    assert [(m.time, m.positions) for m in marks] == [(m.time, m.positions) for m in expected]
    assert any(mark.positions for mark in marks)
    for mark, other in zip(marks, expected, strict=True):
        assert mark.equity_usd == pytest.approx(other.equity_usd, rel=1e-12)
        assert mark.exposure_usd == pytest.approx(other.exposure_usd, rel=1e-12)


def test_a_mark_is_handed_over_with_what_happens_next():
    _, journal = fed(busy_session(), [30])
    for before, batch in zip(journal.batches, journal.batches[1:-1], strict=False):
        begun = batch.reached // DAY_MS > before.reached // DAY_MS
        assert bool(batch.marks) == begun
        assert all(mark.time < batch.reached for mark in batch.marks)


class Diary:
    """Notes, in one list, what a journal has kept and what a broker was sent."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, int]] = []

    def due(self) -> bool:
        return False

    def append(self, facts: Facts) -> None:
        self.notes += [("kept", order.candidate_id) for order in facts.orders]


class Watched(PaperBroker):
    def __init__(self, diary: Diary) -> None:
        super().__init__(DEAR)
        self._diary = diary

    def submit(self, order: Order) -> None:
        self._diary.notes.append(("sent", order.candidate_id))
        super().submit(order)


def fed_to(journal: Diary, session: Session) -> None:
    live = Live(session, FlatStream, Watched(journal), journal)
    for chunk in arrivals(session.markets, 10):
        live.feed(chunk)


def test_an_order_leaves_only_after_its_decision_is_kept():
    diary = Diary()
    fed_to(diary, busy_session())
    assert len(diary.notes) > 30
    pairs = zip(diary.notes[::2], diary.notes[1::2], strict=True)
    assert all(
        one == ("kept", who) and two == ("sent", who) for one, two in pairs for who in [one[1]]
    )


def test_an_order_whose_decision_cannot_be_kept_never_leaves():
    class Full(Diary):
        def append(self, facts: Facts) -> None:
            if facts.orders and len(self.notes) >= 20:
                raise StorageError("disk full")
            super().append(facts)

    diary = Full()
    with pytest.raises(StorageError):
        fed_to(diary, busy_session())
    assert [what for what, _ in diary.notes] == ["kept", "sent"] * 10


def test_a_run_stopped_and_fed_anew_tells_the_same_and_then_the_rest():
    session = busy_session()
    _, whole = fed(session, [1])
    told = whole.told()
    stopped = Collected()
    live = live_over(session, stopped)
    for chunk in list(chunks(session.markets, [7]))[:8]:
        live.feed(chunk)
    before = stopped.told()
    assert 50 < len(before) < len(told) - 50
    assert told[: len(before)] == before
    _, again = fed(session, [50, 1, 1])
    assert again.told() == told


def test_bars_that_come_too_late_are_refused_and_change_nothing():
    session = busy_session()
    _, whole = fed(session, [1])
    journal = Collected()
    live = live_over(session, journal)
    first, second, *rest = chunks(session.markets, [20])
    live.feed(first)
    with pytest.raises(DataError, match=r"S0A/USDT.*arrives after"):
        live.feed(first)
    live.feed(second)
    newest = max(bars.time[-1] for bars in second if len(bars))
    with pytest.raises(DataError, match="hand over all bars of one open time together"):
        live.feed([bars.slice(int((bars.time < newest).sum()), len(bars)) for bars in second])
    for chunk in rest:
        live.feed(chunk)
    live.finish()
    assert journal.told() == whole.told()


def test_a_run_that_ends_in_the_middle_closes_what_is_open_and_leaves_outcomes_open():
    bars = grid_bars(60, 4, gaps=False)
    session = whimsical(session_over(bars, exits=Exits(50.0, 50.0, None), costs=DEAR), 1, 1.0)
    _, journal = fed(session, [9])
    end = journal.batches[-1]
    assert [fill.price for fill in end.fills if not fill.is_entry] == [
        pytest.approx(bars.close[-1] * (1 - fill.side * DEAR.slip)) for fill in end.fills
    ]
    assert len(end.fills) == 1
    assert (end.outcomes.status == Status.UNRESOLVED).all()
    assert len(end.outcomes) == 120
    assert sum(len(batch.outcomes) for batch in journal.batches) == 120


def test_an_order_at_the_last_bar_is_taken_back():
    bars = grid_bars(60, 4, gaps=False)
    session = whimsical(
        session_over(bars, exits=Exits(1.0, 1.0, 1), positions_per_symbol=9), 1, 1.0
    )
    _, journal = fed(session, [9])
    cancels = journal.batches[-1].cancels
    assert [cancel.reason for cancel in cancels] == [Reason.NO_NEXT_BAR] * 2
    assert {cancel.order.bar_time for cancel in cancels} == {bars.time[-1]}
    decided = np.concatenate([batch.decided for batch in journal.batches])
    assert (decided[-2:] == ORDERED).all()


def test_progress_is_told_how_far_the_run_has_come():
    heard: list[tuple[int, int, int]] = []
    session = busy_session()
    live, _ = fed(session, [25], progress=lambda *how: heard.append(how), instants_expected=500)
    assert heard[-1] == (live.instants, 500, heard[-1][2])
    assert 0 < heard[-1][2] <= live.trades
    assert heard == sorted(heard)


def test_a_run_without_a_bar_ends_without_a_word():
    journal = Collected()
    live = live_over(busy_session(), journal)
    live.feed([bars.slice(0, 0) for bars in three_markets(1)])
    live.finish()
    assert (journal.batches, live.instants, live.bars) == ([], 0, 0)
