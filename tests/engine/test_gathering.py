"""Bars that come symbol by symbol leave instant by instant, each once and in order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from darwin.core.market import HOUR_MS, Bars, Timeframe
from darwin.engine.gathering import Gathering, Patience

HOUR = Timeframe.parse("1h")
GRACE_MS, MISSING_MS = 60_000, 2 * HOUR_MS


def bars_at(symbol: str, *hours: int) -> Bars:
    opens = np.array(hours, dtype=np.int64) * HOUR_MS
    price = np.full(len(hours), 100.0)
    return Bars(symbol, HOUR, opens, price, price, price, price, price)


def told(chunk: list[Bars]) -> list[list[int]]:
    return [(bars.time // HOUR_MS).tolist() for bars in chunk]


def gathering(*symbols: str, fed: int | None = None) -> Gathering:
    patience = Patience(GRACE_MS, MISSING_MS)
    return Gathering(symbols, HOUR, patience, None if fed is None else fed * HOUR_MS)


def ready(desk: Gathering, now: int, *at_stake: int) -> list[list[list[int]]]:
    return [told(one.bars) for one in desk.ready(now, lambda: at_stake)]


def test_an_instant_waits_for_all_symbols_but_no_longer_than_its_grace() -> None:
    desk = gathering("A", "B", fed=5)
    desk.take(0, bars_at("A", 6))
    assert ready(desk, 7 * HOUR_MS) == []
    assert ready(desk, 7 * HOUR_MS + GRACE_MS - 1) == []
    assert ready(desk, 7 * HOUR_MS + GRACE_MS) == [[[6], []]]
    assert desk.fed == 6 * HOUR_MS


def test_after_an_outage_a_symbol_has_the_same_time_to_answer() -> None:
    desk, late = gathering("A", "B", fed=5), 40 * HOUR_MS
    desk.take(0, bars_at("A", 6, 7))
    assert ready(desk, late) == ready(desk, late + GRACE_MS - 1) == []
    desk.take(1, bars_at("B", 6))
    assert ready(desk, late + GRACE_MS - 1) == [[[6], [6]]]
    assert ready(desk, late + 2 * GRACE_MS - 2) == []
    assert ready(desk, late + 2 * GRACE_MS - 1) == [[[7], []]]


def test_a_symbol_with_something_at_stake_is_waited_for_longer() -> None:
    desk, close = gathering("A", "B", "C", fed=5), 7 * HOUR_MS
    desk.take(0, bars_at("A", 6))
    assert ready(desk, close, 1) == ready(desk, close + MISSING_MS - 1, 1) == []
    assert (desk.held_for, desk.missing) == ((1,), ())
    desk.take(1, bars_at("B", 6))
    assert ready(desk, close + MISSING_MS - 1, 1) == [[[6], [6], []]]  # C had its grace
    assert (desk.held_for, desk.missing) == ((), ())


def test_after_that_instants_go_on_without_it_and_say_so_until_it_has_bars() -> None:
    desk, close = gathering("A", "B", fed=5), 7 * HOUR_MS
    desk.take(0, bars_at("A", 6, 7))
    assert ready(desk, close, 1) == []
    [six, seven] = desk.ready(close + MISSING_MS, lambda: (1,))
    assert (six.without, seven.without, desk.missing) == ((1,), (1,), (1,))
    assert ready(desk, close + MISSING_MS + 1, 1) == []
    assert desk.missing == (1,)  # also at a look that brings nothing
    desk.take(0, bars_at("A", 8))
    assert desk.take(1, bars_at("B", 6, 7, 8)).tolist() == [6 * HOUR_MS, 7 * HOUR_MS]
    [eight] = desk.ready(close + MISSING_MS, lambda: (1,))
    assert (told(eight.bars), eight.without, desk.missing) == ([[8], [8]], (), ())


def test_what_is_at_stake_is_asked_anew_before_each_instant() -> None:
    desk, at_stake = gathering("A", "B", fed=5), set[int]()
    desk.take(0, bars_at("A", 6, 7))
    assert ready(desk, 7 * HOUR_MS) == []
    went = []
    for one in desk.ready(8 * HOUR_MS + GRACE_MS, lambda: at_stake):
        went.append(told(one.bars))
        at_stake.add(1)
    assert went == [[[6], []]]
    assert desk.held_for == (1,)


def test_the_end_waits_for_what_is_held_or_at_stake() -> None:
    desk, end = gathering("A", "B", fed=5), 7 * HOUR_MS
    nothing, something = tuple, lambda: (1,)
    assert not desk.is_over(end, end + GRACE_MS - 1, nothing)
    assert desk.is_over(end, end + GRACE_MS, nothing)
    assert not desk.is_over(end, end + GRACE_MS, something)
    desk.take(0, bars_at("A", 6))
    assert not desk.is_over(end, end + 9 * MISSING_MS, nothing)
    assert ready(desk, end + 9 * MISSING_MS, 1) != []
    assert desk.is_over(end, end, nothing)


def test_taken_up_again_it_asks_for_what_each_symbol_had_last() -> None:
    patience, hour = Patience(GRACE_MS, MISSING_MS), HOUR_MS
    desk = Gathering("ABC", HOUR, patience, 9 * hour, [9 * hour, 7 * hour, None])
    assert [desk.wanted(number) for number in range(3)] == [10 * hour, 8 * hour, None]
    assert desk.take(1, bars_at("B", 8, 9)).tolist() == [8 * hour, 9 * hour]


def test_a_symbol_that_is_further_has_skipped_the_instant() -> None:
    desk = gathering("A", "B", fed=5)
    desk.take(0, bars_at("A", 6, 7))
    desk.take(1, bars_at("B", 7))
    assert ready(desk, 8 * HOUR_MS) == [[[6], []], [[7], [7]]]


def test_a_bar_that_is_skipped_is_asked_for_again_where_something_is_at_stake() -> None:
    desk, late = gathering("A", "B", fed=5), 8 * HOUR_MS
    desk.take(0, bars_at("A", 6, 7))
    desk.take(1, bars_at("B", 7))
    assert ready(desk, late, 1) == []
    assert (desk.held_for, desk.wanted(1)) == ((1,), 6 * HOUR_MS)
    assert desk.take(1, bars_at("B", 7)).tolist() == []  # still not there
    assert ready(desk, late + 1, 1) == []
    assert desk.take(1, bars_at("B", 6, 7)).tolist() == []
    assert ready(desk, late + 2, 1) == [[[6], [6]], [[7], [7]]]
    assert (desk.held_for, desk.missing, desk.wanted(1)) == ((), (), 8 * HOUR_MS)


def test_a_bar_that_is_skipped_for_long_is_a_gap() -> None:
    desk, late = gathering("A", fed=5), 8 * HOUR_MS
    desk.take(0, bars_at("A", 7))
    assert ready(desk, late, 0) == ready(desk, late + MISSING_MS - 1, 0) == []
    [seven] = desk.ready(late + MISSING_MS, lambda: (0,))
    assert (told(seven.bars), seven.without, seven.gaps) == ([[7]], (0,), (0,))
    assert (desk.held_for, desk.missing) == ((), ())


def test_a_bar_that_is_skipped_with_nothing_at_stake_has_its_grace() -> None:
    desk, close = gathering("A", fed=5), 7 * HOUR_MS
    desk.take(0, bars_at("A", 7))
    assert ready(desk, close + GRACE_MS - 1) == []
    assert ready(desk, close + HOUR_MS) == [[[7]]]


def test_what_comes_after_its_instant_is_left_out_and_named() -> None:
    desk = gathering("A", "B", fed=5)
    desk.take(0, bars_at("A", 6))
    ready(desk, 8 * HOUR_MS)
    ready(desk, 8 * HOUR_MS + GRACE_MS)
    assert desk.take(1, bars_at("B", 6, 7)).tolist() == [6 * HOUR_MS]
    desk.take(0, bars_at("A", 7))
    assert ready(desk, 8 * HOUR_MS) == [[[7], [7]]]


def test_it_wants_what_follows_the_last_bar_of_each_symbol() -> None:
    desk = gathering("A", "B", fed=5)
    desk.take(0, bars_at("A", 6, 7))
    assert (desk.wanted(0), desk.wanted(1)) == (8 * HOUR_MS, 6 * HOUR_MS)
    assert gathering("A").wanted(0) is None


@given(
    held=st.lists(st.sets(st.integers(0, 30)), min_size=1, max_size=3),
    cuts=st.lists(st.integers(0, 31), max_size=6),
)
@example(held=[set(), {2}, {0, 1}], cuts=[])
def test_however_they_come_all_bars_leave_once_and_in_order(
    held: list[set[int]], cuts: list[int]
) -> None:
    names = [f"S{number}" for number in range(len(held))]
    desk, out, left_out = gathering(*names), [], 0
    for start, stop in zip([0, *sorted(cuts)], [*sorted(cuts), 31], strict=True):
        for number, hours in enumerate(held):
            some = bars_at(names[number], *sorted(h for h in hours if start <= h < stop))
            left_out += len(desk.take(number, some))
        # closed, and no grace has gone by for the last
        out += [one.bars for one in desk.ready(stop * HOUR_MS, tuple)]
    out += [one.bars for now in (99, 100) for one in desk.ready(now * HOUR_MS, tuple)]
    opens = [min(int(bars.time[0]) for bars in chunk if len(bars)) for chunk in out]
    assert opens == sorted(set(opens))
    left = [
        sorted(int(t) // HOUR_MS for chunk in out for t in chunk[i].time) for i in range(len(held))
    ]
    assert sum(map(len, left)) + left_out == sum(map(len, held))
    assert all(set(mine) <= hours for mine, hours in zip(left, held, strict=True))
    if left_out == 0:
        assert left == [sorted(hours) for hours in held]


def test_joined_bars_keep_every_column() -> None:
    desk = gathering("A", "B", fed=0)
    first, second = bars_at("A", 1), bars_at("A", 2)
    for place, name in enumerate(("open", "high", "low", "close", "volume"), start=1):
        first = replace(first, **{name: np.array([10.0 * place])})
        second = replace(second, **{name: np.array([10.0 * place + 1])})
    desk.take(0, first)
    desk.take(0, second)
    assert ready(desk, 98 * HOUR_MS) == []
    one, two = ([*each.bars[0].row(0)] for each in desk.ready(99 * HOUR_MS, tuple))
    assert one == [HOUR_MS, 10.0, 20.0, 30.0, 40.0, 50.0]
    assert two == [2 * HOUR_MS, 11.0, 21.0, 31.0, 41.0, 51.0]
