"""One symbol of a live run: its features, its setups and its brackets, from bar to bar."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from darwin.core.candidate import CandidateTable
from darwin.core.facts import OutcomeFacts
from darwin.core.features import FeatureStream
from darwin.core.market import Bars, FloatArray, IntArray, Timeframe
from darwin.engine.proposals import Setup, scan_symbol, setup_keys
from darwin.engine.session import Session
from darwin.trading.tracked import NO_OUTCOMES, Ended, Opened, Tracked
from darwin.trading.tracker import Tracker

StreamOf = Callable[[Timeframe, Sequence[str]], FeatureStream]
"""Opens the features named of bars of one timeframe."""


class Instrument:
    """What a live run carries from one bar of a symbol to the next."""

    def __init__(
        self, number: int, market: Bars, session: Session, stream_of: StreamOf, tick: float | None
    ) -> None:
        """Start before the first bar of symbol `number`; of `market` its name and timeframe."""
        self._number, self._setups, self._quiet = number, session.setups, session.quiet
        self._feature_keys = session.feature_keys
        keys = (*keys_scanned(self._setups), *self._feature_keys)
        self._stream = stream_of(market.timeframe, tuple(dict.fromkeys(keys)))
        self._setup_keys = setup_keys(market, self._setups)
        self._bars = self._counted = 0
        self.tracker = Tracker(number, session.rules.costs, tick)

    def propose(self, bars: Bars, instant: IntArray, since: int | None) -> CandidateTable:
        """The candidates at the next `bars`, at least one, which stand at `instant` of the run.

        `since` is the open time of the bar before.
        """
        counts = self._quiet.bars_since_restart(bars, since, self._counted)
        first, self._bars = self._bars, self._bars + len(bars)
        self._counted = int(counts[-1]) + 1
        return scan_symbol(
            self._number, bars, self._setups, self._setup_keys, self._stream.push(bars),
            counts >= self._quiet.warmup_bars, instant, self._feature_keys, first,
        )  # fmt: skip


def keys_scanned(setups: Sequence[Setup]) -> tuple[str, ...]:
    """The features that `setups` look at: every playbook scans one bar that notes what it asks."""
    frame = _Noting()
    for setup in setups:
        setup.playbook.scan(frame)
        frame.asked[f"atr_{setup.exits.atr_period}"] = None
    return tuple(frame.asked)


class _Noting:
    """A frame of one bar of which nothing is known."""

    version = ""

    def __init__(self) -> None:
        self.asked: dict[str, None] = {}

    def __len__(self) -> int:
        return 1

    def __getitem__(self, key: str) -> FloatArray:
        self.asked[key] = None
        return np.full(1, np.nan)

    def take(self, keys: Sequence[str], rows: IntArray) -> FloatArray:
        """Note `keys`."""
        self.asked.update(dict.fromkeys(keys))
        return np.full((len(rows), len(keys)), np.nan)


class BracketEvents:
    """What brackets of all symbols meet over some instants, by instant."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._opened: dict[int, list[Opened]] = {}
        self._ended: dict[int, list[Ended]] = {}
        self._outcomes: list[OutcomeFacts] = []
        self._known: list[IntArray] = []
        self._sorted: tuple[OutcomeFacts, IntArray] | None = None

    def add(self, told: Tracked, instant: IntArray) -> None:
        """Add what one symbol's tracker told; `instant` is that of each bar it was told of."""
        at = instant.tolist()
        for bar, met in told.opened:
            self._opened.setdefault(at[bar], []).append(met)
        for bar, end in told.ended:
            self._ended.setdefault(at[bar], []).append(end)
        if len(told.outcomes):
            self._outcomes.append(told.outcomes)
            self._known.append(instant[told.known_bar])

    def instants(self) -> IntArray:
        """At which something happens, ascending."""
        return np.array(sorted(self._opened.keys() | self._ended.keys()), dtype=np.int64)

    def at(self, instant: int) -> tuple[Sequence[Opened], Sequence[Ended], OutcomeFacts]:
        """What happens at `instant`."""
        opened, ended = self._opened.get(instant, ()), self._ended.get(instant, ())
        if not self._outcomes or not (opened or ended):
            return opened, ended, NO_OUTCOMES
        if self._sorted is None:
            known = np.concatenate(self._known)
            order = np.argsort(known, kind="stable")
            self._sorted = OutcomeFacts.joined(self._outcomes).select(order), known[order]
        outcomes, known = self._sorted
        first, end = np.searchsorted(known, (instant, instant + 1)).tolist()
        return opened, ended, outcomes.select(np.arange(first, end))
