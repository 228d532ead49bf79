"""Hard limits, the loss watch, sizing and the ledger's refusals."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darwin.core.account import Account
from darwin.core.candidate import Exits
from darwin.core.decision import Reason
from darwin.core.market import DAY_MS, HOUR_MS
from darwin.core.trade import Fill
from darwin.errors import LedgerError
from darwin.trading.costs import Costs
from darwin.trading.ledger import Ledger
from darwin.trading.limits import Limits, LossWatch
from darwin.trading.sizing import Sizing, full_size
from tests.engine.worlds import NO_LIMITS, ONE_UNIT, TakeAll, grid_bars, play

FLAT = Account(10_000.0, 0.0, 0.0, 0, 0.0)


def reasons_of(result) -> set[Reason]:
    return {Reason(code) for code in np.unique(result.reasons)}


@settings(max_examples=100, deadline=None)
@given(
    steps=st.lists(st.floats(-0.04, 0.04), min_size=5, max_size=120),
    cuts=st.lists(st.integers(1, 119), max_size=8),
    days=st.sampled_from([None, 1, 2]),
)
def test_the_loss_watch_does_not_depend_on_how_marks_arrive(steps, cuts, days):
    limits = Limits(
        max_daily_loss_fraction=0.05, max_drawdown_fraction=0.1, reducing_resume_days=days
    )
    equity = 10_000.0 * np.cumprod(1.0 + np.array(steps))
    time = np.arange(len(steps)) * 3 * HOUR_MS
    whole, parts, ones = (LossWatch(limits, 10_000.0) for _ in range(3))
    whole.advance(time, equity)
    edges = [0, *sorted(cut for cut in set(cuts) if cut < len(steps)), len(steps)]
    for a, b in pairwise(edges):
        parts.advance(time[a:b], equity[a:b])
    expected = _watched_by_hand(limits, time, equity)
    for i in range(len(steps)):
        ones.advance(time[i : i + 1], equity[i : i + 1])
        assert ones.objection() == expected[1][i]
    assert whole.events == parts.events == ones.events
    assert [(event.time, event.kind) for event in whole.events] == expected[0]


def _watched_by_hand(limits, time, equity):
    peak = day_start = last = 10_000.0
    day, blocked, reduced = -1, False, None
    events, objections = [], []
    for t, e in zip(time.tolist(), equity.tolist(), strict=True):
        if t // DAY_MS != day:
            day, day_start, blocked = t // DAY_MS, last, False
        last = e
        if reduced is not None:
            wait = limits.reducing_resume_days
            if wait is not None and t >= reduced + wait * DAY_MS:
                reduced, peak = None, e
                events.append((t, "resumed"))
        else:
            peak = max(peak, e)
            if e <= peak * (1 - limits.max_drawdown_fraction):
                reduced = t
                events.append((t, "reducing"))
        if not blocked and e <= day_start * (1 - limits.max_daily_loss_fraction):
            blocked = True
            events.append((t, "daily_loss"))
        objections.append(
            Reason.DRAWDOWN if reduced is not None else Reason.DAILY_LOSS if blocked else None
        )
    return events, objections


def test_a_drawdown_stops_all_entries_for_good_and_says_so():
    bars = grid_bars(600, 3)
    limits = replace(NO_LIMITS, max_drawdown_fraction=0.02)
    result = play(bars, limits=limits, equity=2_000.0, costs=Costs(50, 50, 0, 0))
    stopped = next(event for event in result.safety_events if event.kind == "reducing")
    assert all(order.bar_time < stopped.time for order in result.orders)
    later = result.candidates.bar_time > result.trades[-1].exit.time
    assert (result.reasons[later] == Reason.DRAWDOWN).all()
    peak = np.maximum.accumulate(np.concatenate(([2_000.0], result.equity.equity)))[1:]
    first = int(np.argmax(result.equity.equity <= peak * 0.98))
    assert result.equity.time[first] == stopped.time


def test_after_the_days_named_in_the_config_entries_come_back():
    bars = grid_bars(600, 3)
    limits = replace(NO_LIMITS, max_drawdown_fraction=0.02, reducing_resume_days=2)
    result = play(bars, limits=limits, equity=2_000.0, costs=Costs(50, 50, 0, 0))
    kinds = [event.kind for event in result.safety_events]
    assert kinds[:2] == ["reducing", "resumed"]
    lifted = result.safety_events[1].time
    assert lifted >= result.safety_events[0].time + 2 * DAY_MS
    assert any(order.bar_time >= lifted for order in result.orders)


def test_a_daily_loss_blocks_entries_until_the_next_utc_day():
    bars = grid_bars(600, 3)
    limits = replace(NO_LIMITS, max_daily_loss_fraction=0.004)
    result = play(bars, limits=limits, equity=2_000.0, costs=Costs(50, 50, 0, 0))
    lost = {event.time // DAY_MS: event.time for event in result.safety_events}
    assert lost
    for order in result.orders:
        day = order.bar_time // DAY_MS
        assert day not in lost or order.bar_time < lost[day]
    assert Reason.DAILY_LOSS in reasons_of(result)


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ({"max_positions": 1}, Reason.MAX_POSITIONS),
        ({"max_orders_per_bar": 1}, Reason.ORDERS_PER_BAR),
        ({"max_orders_per_day": 2}, Reason.ORDERS_PER_DAY),
        ({"max_exposure_fraction": 0.0002}, Reason.EXPOSURE),
        ({"max_position_usd": 129.0}, Reason.MAX_POSITION_VALUE),
        ({"price_collar_fraction": 0.001}, Reason.PRICE_COLLAR),
    ],
)
def test_each_limit_refuses_with_its_own_reason(limit, reason):
    markets = [grid_bars(150, k, symbol=f"S{k}A/USDT") for k in range(3)]
    result = play(*markets, limits=replace(NO_LIMITS, **limit))
    assert reason in reasons_of(result)
    orders_at: dict[int, int] = {}
    for order in result.orders:
        orders_at[order.bar_time] = orders_at.get(order.bar_time, 0) + 1
    if "max_orders_per_bar" in limit:
        assert max(orders_at.values()) == 1
    if "max_positions" in limit:
        assert result.equity.positions.max() == 1
    if "price_collar_fraction" in limit:
        entries = [fill for fill in result.fills if fill.is_entry]
        close = result.candidates.close
        assert all(abs(f.mid_price / close[f.row] - 1) <= 0.001 for f in entries)


def test_a_collar_that_nothing_exceeds_leaves_gapped_entries_gapped():
    bars = grid_bars(300, 1)
    wide = play(bars, limits=replace(NO_LIMITS, price_collar_fraction=0.99))
    assert wide.funnel() == play(bars).funnel()
    assert Reason.GAPPED in reasons_of(wide)


def test_an_order_storm_halts_trading():
    markets = [grid_bars(60, k, symbol=f"S{k}A/USDT", gaps=False) for k in range(6)]
    limits = replace(NO_LIMITS, max_orders_per_bar=1, max_refusals_per_bar=3)
    result = play(*markets, limits=limits, rate=1.0)
    assert [event.kind for event in result.safety_events] == ["halted"]
    assert Reason.HALTED in reasons_of(result)
    assert all(order.bar_time <= result.safety_events[0].time for order in result.orders)


def test_risk_sizing_loses_the_named_share_at_the_stop():
    size = full_size(Sizing(max_exposure_fraction=None), FLAT, 100.0, 2.0, 0.0, 0.0, None)
    assert size.units * 2.0 == pytest.approx(100.0)


@pytest.mark.parametrize(
    ("rule", "account", "clipped_by", "units"),
    [
        ({"max_order_usd": 500.0}, FLAT, "order cap", 5.0),
        ({"max_exposure_fraction": 0.5}, FLAT, "exposure", 50.0),
        ({"max_exposure_fraction": 0.5}, FLAT._replace(gross_exposure=4_000.0), "exposure", 10.0),
        ({"max_exposure_fraction": 0.5}, FLAT._replace(pending_exposure=4_000.0), "exposure", 10.0),
        ({"max_exposure_fraction": 1.0}, FLAT, "cash", 100.0 / 1.01),
    ],
)
def test_full_size_is_clipped_by_the_tightest_cap_and_says_so(rule, account, clipped_by, units):
    sizing = Sizing(**{"risk_per_trade": 1.0, "max_exposure_fraction": None, **rule})
    size = full_size(sizing, account, 100.0, 1.0, 0.0, 0.01, None)
    assert size.clipped_by == clipped_by
    assert size.units == pytest.approx(units)


def test_what_cannot_be_ordered_says_why():
    def objection(account=FLAT, held=0.0, **rule):
        sizing = Sizing(**{"max_exposure_fraction": None, **rule})
        return full_size(sizing, account, 100.0, 1.0, held, 0.0, None).objection

    full = FLAT._replace(gross_exposure=10_000.0)
    assert objection(min_order_usd=20_000.0) is Reason.MINIMUM_ORDER
    assert objection(full, max_exposure_fraction=0.5) is Reason.EXPOSURE
    assert objection(full, max_exposure_fraction=1.0) is Reason.EXPOSURE
    assert objection(FLAT._replace(equity=-5.0)) is Reason.MINIMUM_ORDER
    assert objection(FLAT._replace(equity=float("nan"))) is Reason.MINIMUM_ORDER
    assert objection(held=500.0, max_position_usd=500.0) is Reason.MAX_POSITION_VALUE


def test_lots_round_units_down():
    size = full_size(Sizing(max_exposure_fraction=None), FLAT, 100.0, 3.0, 0.0, 0.0, 0.5)
    assert size.units == 33.0
    assert size.clipped_by == "lot"


@pytest.mark.parametrize(("units", "lot"), [(0.3, 0.1), (0.7, 0.1), (2.9, 0.1), (1.15, 0.05)])
def test_whole_lots_stay_whole(units, lot):
    sizing = Sizing("fixed_units", units=units, max_exposure_fraction=None, min_order_usd=0)
    size = full_size(sizing, FLAT, 100.0, 1.0, 0.0, 0.0, lot)
    assert (size.units, size.clipped_by) == (units, "")


def test_dust_is_no_order():
    sizing = Sizing(max_exposure_fraction=0.5, min_order_usd=0.0)
    almost_full = FLAT._replace(gross_exposure=5_000.0 - 1e-9)
    size = full_size(sizing, almost_full, 100.0, 1.0, 0.0, 0.0, None)
    assert size.objection is Reason.EXPOSURE


def test_a_decider_sees_the_same_drawdown_whatever_limits_are_on():
    def drawdowns(limits):
        seen = []

        class Spy(TakeAll):
            def decide(self, candidate, features, account):
                seen.append(account.drawdown)
                return super().decide(candidate, features, account)

        play(grid_bars(300, 6), limits=limits, decider=Spy(), costs=Costs(20, 20, 0, 0))
        return seen

    seen = drawdowns(NO_LIMITS)
    assert min(seen) < 0
    assert seen == drawdowns(replace(NO_LIMITS, max_drawdown_fraction=0.9))


def test_an_account_without_margin_never_holds_more_than_it_has():
    markets = [grid_bars(400, k, symbol=f"S{k}A/USDT") for k in range(4)]
    sizing = Sizing(risk_per_trade=0.05, min_order_usd=10.0)
    result = play(*markets, sizing=sizing, limits=replace(Limits(), max_drawdown_fraction=None))
    at_signal = {order.bar_time for order in result.orders if order.clipped_by}
    assert at_signal
    share = result.equity.exposure / result.equity.equity
    assert share.max() < 1.1  # prices move after the order; they are not re-sized


GOOD = Fill(7, 0, 0, 0, 1, True, 0, 0, 0, 2.0, 100.0, 100.0, 0.1, 0.0, -1, 95.0)


@pytest.mark.parametrize(
    "broken",
    [
        {"units": 0.0},
        {"units": float("nan")},
        {"price": -1.0},
        {"price": float("inf")},
        {"fee_usd": float("nan")},
        {"is_entry": False},
    ],
)
def test_a_fill_that_does_not_balance_is_refused_and_changes_nothing(broken):
    ledger = Ledger(1_000.0, 1)
    with pytest.raises(LedgerError, match="does not balance"):
        ledger.fold(GOOD._replace(**broken))
    assert (ledger.cash, ledger.positions, ledger.fills) == (1_000.0, {}, [])


@pytest.mark.parametrize("broken", [{"units": 1.0}, {"side": -1}, {"candidate_id": 8}])
def test_an_exit_must_close_what_is_open(broken):
    ledger = Ledger(1_000.0, 1)
    ledger.fold(GOOD)
    with pytest.raises(LedgerError):
        ledger.fold(GOOD._replace(is_entry=False, **broken))
    with pytest.raises(LedgerError, match="open already"):
        ledger.fold(GOOD)
    assert list(ledger.positions) == [7]


def test_fixed_units_are_what_they_say():
    result = play(grid_bars(100, 1), sizing=replace(ONE_UNIT, units=3.0), exits=Exits(1, 2, 5))
    assert {trade.units for trade in result.trades} == {3.0}
