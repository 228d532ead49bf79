"""A playbook that breaks a promise makes the test of that promise fail, with the mend."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from darwin.core.candidate import Scan
from darwin.core.features import FeatureFrame
from darwin.core.market import FloatArray
from darwin.testing.contracts import PlaybookContract
from tests.contracts.caught import assert_caught


@dataclass(frozen=True)
class Numbers:
    def scan(self, frame: FeatureFrame) -> Scan:
        return Scan(frame["close"] - frame["ema_5"], frame["ema_5"] - frame["close"])


@dataclass(frozen=True)
class OneShort:
    def scan(self, frame: FeatureFrame) -> Scan:
        rises = np.diff(frame["close"]) > 0
        return Scan(rises, rises)


@dataclass(frozen=True)
class NoScan:
    def scan(self, frame: FeatureFrame) -> FloatArray:
        return frame["close"] > frame["ema_5"]


@dataclass(frozen=True)
class Silent:
    def scan(self, frame: FeatureFrame) -> Scan:
        never = frame["close"] < 0
        return Scan(never, never)


@dataclass(frozen=True)
class Shifts:
    def scan(self, frame: FeatureFrame) -> Scan:
        close = frame["close"]
        before = np.concatenate((close[:1], close[:-1]))
        return Scan(close > before, close < before)


@dataclass(frozen=True)
class Peeks:
    """Buys below the mean of the whole history, and knows tomorrow's close."""

    def scan(self, frame: FeatureFrame) -> Scan:
        close = frame["close"]
        return Scan(close < close.mean(), close > np.concatenate((close[1:], close[-1:])))


@dataclass(frozen=True)
class AlwaysUnless:
    """NaN makes the comparison false, so that the negation proposes."""

    def scan(self, frame: FeatureFrame) -> Scan:
        low = frame["close"] <= frame["donchian_high_20"]
        return Scan(~low, low)


@dataclass(frozen=True)
class FillsIn:
    """Treats what is not known as zero, row by row, and proposes only late."""

    def scan(self, frame: FeatureFrame) -> Scan:
        ratio = np.nan_to_num(frame["volume_ratio_20"], nan=9.0)
        return Scan(ratio > 2.0, ratio > 3.0)


@dataclass(frozen=True)
class Remembers:
    calls: list[int] = field(default_factory=list)

    def scan(self, frame: FeatureFrame) -> Scan:
        self.calls.append(len(frame))
        up = frame["close"] > frame["ema_5"]
        return Scan(up, ~up) if len(self.calls) % 2 else Scan(~up, up)


@dataclass(frozen=True)
class Rolls:
    def scan(self, frame: FeatureFrame) -> Scan:
        draw = np.random.random((2, len(frame)))  # noqa: NPY002
        return Scan(draw[0] > 0.5, draw[1] > 0.5)


class NoDataclass:
    def __init__(self, lookback: int) -> None:
        self.lookback = lookback

    def scan(self, frame: FeatureFrame) -> Scan:
        up = frame["close"] > frame[f"ema_{self.lookback}"]
        return Scan(up, up)


@dataclass
class Thawed(NoDataclass):
    lookback: int


@dataclass(frozen=True)
class Unwritable(NoDataclass):
    lookback: int = 5
    chance: object = field(default_factory=lambda: np.random.default_rng(0))


@dataclass(frozen=True)
class InDollars:
    def scan(self, frame: FeatureFrame) -> Scan:
        return Scan(frame["close"] > frame["ema_20"] + 1.5, frame["close"] < frame["ema_20"] - 1.5)


@dataclass(frozen=True)
class Scribbles:
    def scan(self, frame: FeatureFrame) -> Scan:
        level = frame["ema_20"]
        level += 1.0
        return Scan(frame["close"] > level, frame["close"] < level)


SHAPE = "test_a_scan_says_yes_or_no_for_every_bar_and_side"
ROWS = "test_single_rows_give_what_whole_columns_give"
FUTURE = "test_the_future_changes_nothing"
UNKNOWN = "test_what_is_not_known_yet_proposes_nothing"
SAME = "test_the_same_bars_give_the_same_proposals"
FROZEN = "test_its_parameters_are_frozen_and_can_be_written_down"
BROKEN_PLAYBOOKS = (
    (Numbers(), SHAPE, "compare whole columns"),
    (OneShort(), SHAPE, r"of shape \(499,\)"),
    (NoScan(), SHAPE, r"return Scan\(long, short\)"),
    (Silent(), "test_it_proposes_something_somewhere", "override `markets`"),
    (Shifts(), ROWS, "what looks back is a feature"),
    (Peeks(), ROWS, "sees that row alone"),
    (Peeks(), FUTURE, "never with the mean or extreme"),
    (AlwaysUnless(), UNKNOWN, "at bar 0 where donchian_high_20 is still NaN"),
    (FillsIn(), UNKNOWN, "conditions that NaN fails"),
    (Remembers(), SAME, "keep nothing between scans"),
    (Rolls(), SAME, "take chance from nowhere"),
    (NoDataclass(5), FROZEN, "it is no dataclass"),
    (Thawed(5), FROZEN, "can change during a run"),
    (Unwritable(), FROZEN, "cannot be written as JSON"),
    (Scribbles(), "test_it_leaves_the_columns_as_they_are", "writes into column ema_20"),
)


@pytest.mark.parametrize(
    ("playbook", "promise", "mend"),
    BROKEN_PLAYBOOKS,
    ids=[f"{type(playbook).__name__}-{promise}" for playbook, promise, _ in BROKEN_PLAYBOOKS],
)
def test_a_broken_playbook_is_caught(playbook, promise, mend):
    assert_caught(PlaybookContract, promise, mend, playbook)


@pytest.mark.parametrize("power", [-4, 9])
def test_a_playbook_that_counts_in_dollars_is_caught(power):
    promise = "test_the_unit_of_price_does_not_matter"
    assert_caught(PlaybookContract, promise, "measure distances in ATR", InDollars(), power)
