"""The suite that every playbook inherits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass, replace
from typing import Any

import numpy as np
import pytest

from darwin.core.candidate import Exits
from darwin.core.market import Bars, FloatArray, IntArray
from darwin.core.ports import Playbook
from darwin.engine.proposals import Setup
from darwin.features.pipeline import Frame, Stream
from darwin.testing.contract_samples import sample_markets

_PRICES = ("open", "high", "low", "close")


class PlaybookContract:
    """What a playbook keeps. Fixture: `playbook`. Override `markets` for bars that wake it."""

    def markets(self) -> Mapping[str, Bars]:
        """The bars it is tried on, each with a name for the messages."""
        return sample_markets()

    def test_a_scan_says_yes_or_no_for_every_bar_and_side(self, playbook: Playbook) -> None:
        """Two arrays of bool, one value per bar."""
        for name, bars in self.markets().items():
            scan = playbook.scan(Frame(bars))
            for side in ("long", "short"):
                seen = getattr(scan, side, None)
                assert isinstance(seen, np.ndarray), (
                    f"scan() gives no array `{side}`; return Scan(long, short)"
                )
                assert seen.dtype == np.bool_ and seen.shape == (len(bars),), (
                    f"scan().{side} over {name} is {seen.dtype} of shape {seen.shape} where bool "
                    f"of shape ({len(bars)},) is wanted; compare whole columns of the frame"
                )

    def test_it_proposes_something_somewhere(self, playbook: Playbook) -> None:
        """A playbook that stays silent would keep every other promise."""
        found = sum(int(np.sum(_scanned(playbook, bars))) for bars in self.markets().values())
        assert found > 0, (
            "it proposes nothing on any of these bars, so nothing is proven; override `markets` "
            "with bars on which its setup occurs"
        )

    def test_single_rows_give_what_whole_columns_give(self, playbook: Playbook) -> None:
        """Live, bars arrive one by one; a replay scans whole columns."""
        for name, bars in self.markets().items():
            handed = _Handed(Frame(bars))
            whole = np.array(playbook.scan(handed))
            stream = Stream(bars.timeframe, tuple(handed.columns))
            single = [
                np.array(playbook.scan(stream.push(bars.slice(t, t + 1)))).ravel()
                for t in range(len(bars))
            ]
            differs = np.flatnonzero((whole != np.column_stack(single)).any(axis=0))
            assert not len(differs), (
                f"over {name} it says something else of bar {differs[0]} when it sees that row "
                "alone; do not shift, accumulate or count rows in scan(): what looks back is a "
                "feature (donchian_high_20, highest_7, …)"
            )

    def test_the_future_changes_nothing(self, playbook: Playbook) -> None:
        """What it says of a bar stands when later bars arrive."""
        for name, bars in self.markets().items():
            whole = _scanned(playbook, bars)
            for cut in (1, len(bars) // 3, len(bars) // 2, len(bars) - 1):
                differs = np.flatnonzero(
                    (_scanned(playbook, bars.slice(0, cut)) != whole[:, :cut]).any(axis=0)
                )
                assert not len(differs), (
                    f"over {name} the proposal at bar {differs[0]} changes once bars after "
                    f"{cut - 1} are known; compare each row with levels of that row, never with "
                    "the mean or extreme of a whole column"
                )

    def test_what_is_not_known_yet_proposes_nothing(self, playbook: Playbook) -> None:
        """NaN stands for warm-up and must fail every comparison."""
        for name, bars in self.markets().items():
            handed = _Handed(Frame(bars))
            long, short = playbook.scan(handed)
            seen = long | short
            for key, column in handed.columns.items():
                known = ~np.isnan(column)
                warmup = int(known.argmax()) if known.any() else 0  # 0: never known, no warm-up
                assert not seen[:warmup].any(), (
                    f"over {name} it proposes at bar {int(seen.argmax())} where {key} is still NaN "
                    f"(until bar {warmup}); write conditions that NaN fails: `a > b`, not "
                    "`~(a <= b)`"
                )
            blind = np.array(playbook.scan(_Handed(Frame(bars), fill=np.nan)))
            assert not blind.any(), (
                f"over {name} it proposes although every column is NaN; write conditions that NaN "
                "fails: `a > b`, not `~(a <= b)`"
            )

    def test_the_same_bars_give_the_same_proposals(self, playbook: Playbook) -> None:
        """No hidden state, no chance, no clock."""
        first = [_scanned(playbook, bars) for bars in self.markets().values()]
        again = [_scanned(playbook, bars) for bars in [*self.markets().values()][::-1]]
        for name, one, two in zip(self.markets(), first, reversed(again), strict=True):
            assert np.array_equal(one, two), (
                f"asked again, it proposes otherwise over {name}; keep nothing between scans and "
                "take chance from nowhere"
            )

    def test_its_parameters_are_frozen_and_can_be_written_down(self, playbook: Playbook) -> None:
        """Candidate ids are made from them."""
        assert is_dataclass(playbook), (
            "it is no dataclass, so that two sets of parameters would give the same candidate "
            "ids; decorate it with @dataclass(frozen=True, slots=True)"
        )
        parameters: Any = playbook
        assert parameters.__dataclass_params__.frozen, (
            "its parameters can change during a run; decorate it with @dataclass(frozen=True)"
        )
        try:
            Setup("contract", playbook, Exits()).params_text()
        except TypeError as fault:
            raise AssertionError(
                f"its parameters cannot be written as JSON ({fault}); use numbers, strings, bools "
                "and tuples of them"
            ) from fault

    @pytest.mark.parametrize("power", [-4, 9])
    def test_the_unit_of_price_does_not_matter(self, playbook: Playbook, power: int) -> None:
        """Prices times a power of two are the same market in another currency."""
        for name, bars in self.markets().items():
            scaled = replace(bars, **{key: getattr(bars, key) * 2.0**power for key in _PRICES})
            differs = np.flatnonzero(
                (_scanned(playbook, scaled) != _scanned(playbook, bars)).any(axis=0)
            )
            assert not len(differs), (
                f"over {name} in another currency (prices × 2^{power}) it decides otherwise at bar "
                f"{differs[0]}; measure distances in ATR (atr_14) or as ratios, not in price units"
            )

    def test_it_leaves_the_columns_as_they_are(self, playbook: Playbook) -> None:
        """Other playbooks read the same columns after it."""
        for name, bars in self.markets().items():
            frame = Frame(bars)
            handed = _Handed(frame)
            playbook.scan(handed)
            for key, column in handed.columns.items():
                assert np.array_equal(column, frame[key], equal_nan=True), (
                    f"over {name} it writes into column {key}; work on a copy: `level = frame[key] "
                    "+ margin`, not `level += margin`"
                )


def _scanned(playbook: Playbook, bars: Bars) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """What it says of `bars`, shape (2, n), on a frame of its own."""
    return np.array(playbook.scan(Frame(bars)))


class _Handed:
    """A frame that remembers which columns it handed out; its reader may write into them."""

    def __init__(self, frame: Frame, fill: float | None = None) -> None:
        """Hand out copies of the columns of `frame`, or with `fill` that value throughout."""
        self._frame, self._fill = frame, fill
        self.columns: dict[str, FloatArray] = {}

    @property
    def version(self) -> str:
        return self._frame.version

    def __len__(self) -> int:
        return len(self._frame)

    def __getitem__(self, key: str) -> FloatArray:
        if key not in self.columns:
            column = self._frame[key].copy()
            self.columns[key] = column if self._fill is None else np.full_like(column, self._fill)
        return self.columns[key]

    def take(self, keys: Sequence[str], rows: IntArray) -> FloatArray:
        return np.column_stack([self[key][rows] for key in keys])
