"""Candidates that carry every feature, as a replay and as a live run come by them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from darwin.core.candidate import CandidateTable, Exits
from darwin.core.clock import Clock
from darwin.core.market import Bars
from darwin.engine.instrument import keys_scanned
from darwin.engine.proposals import Quiet, Setup, propose, scan_symbol, setup_keys
from darwin.features.catalog import NAMES
from darwin.features.pipeline import Frame, Stream
from darwin.playbooks.breakout import Breakout
from darwin.playbooks.mean_reversion import MeanReversion
from darwin.playbooks.pullback import Pullback
from darwin.testing.builders import make_bars

SETUPS = (
    Setup("breakout", Breakout(), Exits()),
    Setup("pullback", Pullback(), Exits(target_atr=None)),
    Setup("mean_reversion", MeanReversion(), Exits(1.0, 1.5)),
    Setup("breakout#2", Breakout(lookback=10), Exits(2.0)),
    Setup("outside.rule:Mine", Breakout(lookback=15), Exits()),
)
PLAYBOOKS = tuple(setup.name for setup in SETUPS)
QUIET = Quiet(warmup_bars=380)


def market(seed: int = 5, bars: int = 700, volatility: float = 0.01) -> Bars:
    return make_bars(bars, seed=seed, volatility=volatility)


def replayed(bars: Bars) -> CandidateTable:
    """All candidates of a history at once."""
    return propose([bars], SETUPS, Clock.of([bars]), QUIET, Frame, NAMES)


def arriving(bars: Bars) -> list[CandidateTable]:
    """The same, a bar at a time, and cut into tables of one candidate."""
    keys = dict.fromkeys((*keys_scanned(SETUPS), *NAMES))
    stream, found = Stream(bars.timeframe, tuple(keys)), []
    ids = setup_keys(bars, SETUPS)
    allowed = QUIET.allows(bars)
    for t in range(len(bars)):
        bar = bars.slice(t, t + 1)
        table = scan_symbol(
            0, bar, SETUPS, ids, stream.push(bar), allowed[t : t + 1], np.array([t]), NAMES, t
        )
        order = np.lexsort((-table.side, table.playbook))
        found += [table.select(order[i : i + 1]) for i in range(len(table))]
    return found


def with_side(table: CandidateTable, side: int) -> CandidateTable:
    return replace(table, side=np.full(len(table), side))
