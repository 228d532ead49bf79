"""Walk-forward windows: tests side by side, training before each, nothing on both sides."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darwin.errors import ConfigError
from darwin.stats.walk_forward import Window, walk_forward


@given(
    st.integers(20, 500), st.integers(5, 15), st.integers(1, 4), st.integers(0, 4),
    st.none() | st.integers(1, 50),
)  # fmt: skip
def test_tests_follow_each_other_and_training_ends_an_embargo_before(
    bars, start, count, embargo, train
):
    if bars - start < 2 * count:
        return
    windows = walk_forward(bars, start, count, embargo, train)
    assert windows[0].test_from == start
    assert windows[-1].test_to == bars
    for one, after in pairwise(windows):
        assert one.test_to == after.test_from
    for one in windows:
        assert one.train_from < one.train_to == one.test_from - embargo
        assert one.test_to - one.test_from >= 2
        assert train is None or one.train_to - one.train_from <= train


def test_windows_by_hand():
    assert walk_forward(100, 60, 2, 5, 30) == (Window(25, 55, 60, 80), Window(45, 75, 80, 100))


@pytest.mark.parametrize(
    ("bars", "start", "count", "embargo", "told"),
    [
        (100, 5, 1, 5, "nothing to train on"),
        (100, 98, 2, 1, "cannot be cut into 2"),
        (100, 200, 1, 1, "0 bars of test"),
        (100, 50, 0, 1, "one window or more"),
        (100, 50, 1, -1, "no embargo"),
    ],
)
def test_windows_that_do_not_fit_are_refused(bars, start, count, embargo, told):
    with pytest.raises(ConfigError) as refused:
        walk_forward(bars, start, count, embargo)
    assert told in str(refused.value)
