"""Walk-forward windows: train, wait out an embargo, test, and go on to the next."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from darwin.errors import ConfigError


class Window(NamedTuple):
    """What may be learned from, and what is judged after it, as places of bars.

    Training sees the bars [train_from, train_to), the test decides at [test_from, test_to). What
    lies between is the embargo. Nothing that follows from a decision in training can reach into
    the test: training sees no bar from `train_to` on.
    """

    train_from: int
    train_to: int
    test_from: int
    test_to: int


def walk_forward(
    bars: int, test_from: int, count: int, embargo: int, train_bars: int | None = None
) -> tuple[Window, ...]:
    """Cut bars [test_from, bars) into `count` tests that follow each other without a gap.

    Each is preceded by an `embargo` of bars and by training on all bars before that, or on the
    last `train_bars` of them. Raises ConfigError where a window would be empty.
    """
    if not (count >= 1 and embargo >= 0 and (train_bars is None or train_bars >= 1)):
        raise ConfigError(
            f"{count} windows with an embargo of {embargo} bars and {train_bars} bars of training",
            mend="give one window or more, and no embargo or training below zero",
        )
    if test_from - embargo < 1:
        raise ConfigError(
            f"nothing to train on is left before bar {test_from} with an embargo of {embargo} bars",
            mend="begin the test later, or take a shorter embargo",
        )
    if bars - test_from < 2 * count:
        raise ConfigError(
            f"{max(bars - test_from, 0)} bars of test cannot be cut into {count} windows",
            mend="begin the test earlier, or take fewer windows",
        )
    edges = [test_from + (bars - test_from) * at // count for at in range(count + 1)]
    return tuple(
        Window(
            0 if train_bars is None else max(start - embargo - train_bars, 0),
            start - embargo, start, stop,
        )
        for start, stop in pairwise(edges)
    )  # fmt: skip
