"""Bars that come symbol by symbol leave instant by instant, each once and in order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from darwin.core.market import HOUR_MS, Bars, Timeframe
from darwin.engine.gathering import Gathering

HOUR = Timeframe.parse("1h")
GRACE_MS = 60_000


def bars_at(symbol: str, *hours: int) -> Bars:
    opens = np.array(hours, dtype=np.int64) * HOUR_MS
    price = np.full(len(hours), 100.0)
    return Bars(symbol, HOUR, opens, price, price, price, price, price)


def told(chunk: list[Bars]) -> list[list[int]]:
    return [(bars.time // HOUR_MS).tolist() for bars in chunk]


def gathering(*symbols: str, fed: int | None = None) -> Gathering:
    return Gathering(symbols, HOUR, GRACE_MS, None if fed is None else fed * HOUR_MS)


def test_an_instant_waits_for_all_symbols_but_no_longer_than_its_grace() -> None:
    desk = gathering("A", "B")
    desk.take(0, bars_at("A", 5, 6))
    assert list(desk.ready(7 * HOUR_MS)) != []  # hour 5 is long over, B said nothing of it
    desk = gathering("A", "B", fed=5)
    desk.take(0, bars_at("A", 6))
    assert list(desk.ready(7 * HOUR_MS + GRACE_MS - 1)) == []
    assert [told(one) for one in desk.ready(7 * HOUR_MS + GRACE_MS)] == [[[6], []]]
    assert desk.fed == 6 * HOUR_MS


def test_a_symbol_that_is_further_has_skipped_the_instant() -> None:
    desk = gathering("A", "B", fed=5)
    desk.take(0, bars_at("A", 6, 7))
    desk.take(1, bars_at("B", 7))
    assert [told(one) for one in desk.ready(8 * HOUR_MS)] == [[[6], []], [[7], [7]]]


def test_what_comes_after_its_instant_is_left_out_and_counted() -> None:
    desk = gathering("A", "B", fed=5)
    desk.take(0, bars_at("A", 6))
    list(desk.ready(8 * HOUR_MS))
    desk.take(1, bars_at("B", 6, 7))
    desk.take(0, bars_at("A", 7))
    assert [told(one) for one in desk.ready(8 * HOUR_MS)] == [[[7], [7]]]
    assert desk.came_too_late == 1


def test_it_wants_what_follows_the_last_bar_of_each_symbol() -> None:
    desk = gathering("A", "B", fed=5)
    desk.take(0, bars_at("A", 6, 7))
    assert (desk.wanted(0), desk.wanted(1)) == (8 * HOUR_MS, 6 * HOUR_MS)
    assert gathering("A").wanted(0) is None


@given(
    held=st.lists(st.sets(st.integers(0, 30)), min_size=1, max_size=3),
    cuts=st.lists(st.integers(0, 31), max_size=6),
)
def test_however_they_come_all_bars_leave_once_and_in_order(
    held: list[set[int]], cuts: list[int]
) -> None:
    names = [f"S{number}" for number in range(len(held))]
    desk, out = gathering(*names), []
    for start, stop in zip([0, *sorted(cuts)], [*sorted(cuts), 31], strict=True):
        for number, hours in enumerate(held):
            desk.take(
                number, bars_at(names[number], *sorted(h for h in hours if start <= h < stop))
            )
        out += list(desk.ready(stop * HOUR_MS))  # closed, and no grace has gone by for the last
    out += list(desk.ready(99 * HOUR_MS))
    opens = [min(int(bars.time[0]) for bars in chunk if len(bars)) for chunk in out]
    assert opens == sorted(set(opens))
    left = [
        sorted(int(t) // HOUR_MS for chunk in out for t in chunk[i].time) for i in range(len(held))
    ]
    assert sum(map(len, left)) + desk.came_too_late == sum(map(len, held))
    assert all(set(mine) <= hours for mine, hours in zip(left, held, strict=True))
    if desk.came_too_late == 0:
        assert left == [sorted(hours) for hours in held]


def test_joined_bars_keep_every_column() -> None:
    desk = gathering("A", "B", fed=0)
    first, second = bars_at("A", 1), bars_at("A", 2)
    for place, name in enumerate(("open", "high", "low", "close", "volume"), start=1):
        first = replace(first, **{name: np.array([10.0 * place])})
        second = replace(second, **{name: np.array([10.0 * place + 1])})
    desk.take(0, first)
    desk.take(0, second)
    one, two = ([*chunk[0].row(0)] for chunk in desk.ready(99 * HOUR_MS))
    assert one == [HOUR_MS, 10.0, 20.0, 30.0, 40.0, 50.0]
    assert two == [2 * HOUR_MS, 11.0, 21.0, 31.0, 41.0, 51.0]
