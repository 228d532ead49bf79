"""A market without an edge pays nobody: all earn zero less the price of the stop-first rule.

The seeds 101, 102, … were written down before any of these tests was run, and are never changed
because of a result.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from darwin.core.account import Account
from darwin.core.candidate import LONG, SHORT, SIDE_NAME, Candidate, CandidateTable, Exits, Trailing
from darwin.core.clock import Clock
from darwin.core.market import Timeframe
from darwin.core.ports import Playbook
from darwin.core.trade import OutcomeTable, Status
from darwin.data.synthetic import SyntheticProvider
from darwin.deciders.rules import RulesDecider
from darwin.engine.proposals import Quiet, Setup, propose
from darwin.features.pipeline import Frame
from darwin.playbooks.breakout import Breakout
from darwin.playbooks.mean_reversion import MeanReversion
from darwin.playbooks.pullback import Pullback
from darwin.trading.brackets import resolve
from darwin.trading.costs import FREE

pytestmark = pytest.mark.slow

BARS = 70_000
BLOCK_BARS = 500
LONGEST_BRACKET = 32
SIGMAS = 4.0

DEFAULTS = {
    "breakout": (Breakout(), Exits()),
    "pullback": (Pullback(), Exits()),
    "mean_reversion": (MeanReversion(), Exits()),
}
BARE = {
    "breakout": (Breakout(lookback=20, buffer_atr=0.0, min_adx=0.0), Exits()),
    "pullback": (Pullback(min_adx=0.0, min_separation_atr=0.0), Exits()),
    "mean_reversion": (MeanReversion(rsi_extreme=0.0, max_adx=0.0), Exits()),
}
EXITS_OF_ALL_KINDS = {
    f"{name}, {kind}": (rule, exits)
    for name, rule in (("breakout", Breakout()), ("mean_reversion", MeanReversion(max_adx=None)))
    for kind, exits in {
        "trailing": Exits(1.2, 2.4, 32, Trailing(1.0, 1.2)),
        "trailing alone": Exits(1.0, None, 32, Trailing(0.5, 1.5)),
        "no target": Exits(2.0, None, 32),
        "anchored at the fill": Exits(1.2, 2.4, 32, anchor="fill"),
        "one bar": Exits(0.7, 0.7, 1),
        "far target, near stop": Exits(0.3, 3.0, 24),
    }.items()
}


@dataclass(frozen=True)
class Seen:
    """What became of the candidates of one playbook and side, series after series; (m,) each."""

    r: np.ndarray
    if_target_first: np.ndarray  # R had the ambiguous bar gone to the target
    block: np.ndarray  # which 500 bars of which series
    confidence: np.ndarray  # of the rules expert

    def mean_and_error(self, values: np.ndarray) -> tuple[float, float]:
        """The mean of `values`, and its standard error over independent blocks."""
        _, block = np.unique(self.block, return_inverse=True)
        sums = np.bincount(block, values - values.mean())
        return float(values.mean()), float(np.sqrt(np.sum(sums**2)) / len(values))


@pytest.mark.parametrize(
    ("rules", "seeds", "least"),
    [
        pytest.param(DEFAULTS, range(101, 121), 20_000, id="the default playbooks"),
        pytest.param(BARE, range(131, 134), 5_000, id="their bare rules"),
        pytest.param(EXITS_OF_ALL_KINDS, range(141, 144), 2_500, id="exits of all kinds"),
    ],
)
def test_nobody_earns_in_the_null_world(rules, seeds, least):
    told = []
    for (name, side), seen in played(rules, seeds, 0.0).items():
        assert len(seen.r) >= least, f"{name} has only {len(seen.r)} candidates"
        mean, error = seen.mean_and_error(seen.r)
        price = float(np.mean(seen.if_target_first - seen.r))
        figures = f"n {len(seen.r)}, mean R {mean:+.4f}, error {error:.4f}, price {price:.4f}"
        told.append(f"{name}, {SIDE_NAME[side]}: {figures}")
        assert 0.0 <= price < 0.2, told[-1]
        assert -price - SIGMAS * error <= mean <= SIGMAS * error, "\n".join(told)
    print(*told, sep="\n")


def test_entering_a_bar_early_would_be_seen():
    """The measure has teeth: fills at the signal bar's own open, which the signal has seen."""
    bars = market(151, 0.0)
    setups = [Setup(name, rule, exits) for name, (rule, exits) in DEFAULTS.items()]
    table = propose([bars], setups, Clock.of([bars]), Quiet(), Frame)
    early = replace(table, bar=table.bar - 1, from_fill=np.ones(len(table), dtype=bool))
    outcomes = resolve(early, bars, FREE)
    for i, name in enumerate(DEFAULTS):
        rows = np.flatnonzero((table.playbook == i) & (outcomes.status == Status.RESOLVED))
        r = outcomes.r[rows]
        seen = Seen(r, r, table.bar[rows] // BLOCK_BARS, r)
        mean, error = seen.mean_and_error(r)
        assert abs(mean) > 2 * SIGMAS * error, name


@pytest.mark.sweep
def test_the_experts_confidence_tells_something_in_the_planted_world_alone():
    """Correlation of confidence with R over all candidates, blocks of 500 bars independent."""
    z = {}
    for edge in (0.0, 0.2):
        parts = played(DEFAULTS, range(161, 169), edge).values()
        r, confidence, block = (
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("r", "confidence", "block")
        )
        both = Seen(r, r, block, confidence)
        product = (confidence - confidence.mean()) * (r - r.mean())
        mean, error = both.mean_and_error(product)
        z[edge] = mean / error
        correlation = mean / (confidence.std() * r.std())
        print(f"edge {edge}: correlation {correlation:.4f}, z {z[edge]:.1f}, n {len(r)}")
        assert abs(correlation) < 0.5  # imperfect, as promised
    assert abs(z[0.0]) < SIGMAS
    assert z[0.2] > 2 * SIGMAS


def played(
    rules: dict[str, tuple[Playbook, Exits]], seeds: range, edge: float
) -> dict[tuple[str, int], Seen]:
    """Play `rules` over one series per seed, one after the other, without costs."""
    expert = RulesDecider()
    setups = [Setup(name, rule, exits) for name, (rule, exits) in rules.items()]
    parts: dict[tuple[str, int], list[Seen]] = {}
    for number, seed in enumerate(seeds):
        bars = market(seed, edge)
        table = propose([bars], setups, Clock.of([bars]), Quiet(), Frame, expert.needs)
        whole = table.select(table.bar < BARS - LONGEST_BRACKET - 2)  # all of them can be resolved
        outcomes = resolve(whole, bars, FREE)
        assert not (outcomes.status == Status.UNRESOLVED).any()
        for i, setup in enumerate(setups):
            for side in (LONG, SHORT):
                rows = np.flatnonzero(
                    (whole.playbook == i)
                    & (whole.side == side)
                    & (outcomes.status == Status.RESOLVED)
                )
                seen = became(whole.select(rows), outcomes.select(rows), expert, number)
                parts.setdefault((setup.name, side), []).append(seen)
    names = Seen.__dataclass_fields__
    return {
        key: Seen(**{name: np.concatenate([getattr(one, name) for one in many]) for name in names})
        for key, many in parts.items()
    }


def became(table: CandidateTable, outcomes: OutcomeTable, expert: RulesDecider, series: int):
    won = np.abs(outcomes.target_price - outcomes.entry_price)
    risk = np.abs(outcomes.entry_price - outcomes.stop_price)
    return Seen(
        r=outcomes.r,
        if_target_first=np.where(outcomes.ambiguous, won / risk, outcomes.r),
        block=series * BARS + table.bar // BLOCK_BARS,
        confidence=confidence_of(expert, table),
    )


def confidence_of(expert: RulesDecider, table: CandidateTable) -> np.ndarray:
    account = Account(10_000.0, 0.0, 0.0, 0, 0.0)
    blank = Candidate(0, 0, 0, 0, LONG, 0, 0, 1.0, 1.0, 1.0)
    of_side = {side: blank._replace(side=side) for side in (LONG, SHORT)}
    return np.array(
        [
            expert.decide(of_side[side], features, account).confidence
            for side, features in zip(table.side.tolist(), table.features, strict=True)
        ]
    )


def market(seed: int, edge: float):
    provider = SyntheticProvider(
        bars=BARS,
        seed=seed,
        edge=edge,
        start_ms=0,
        timeframe=Timeframe.parse("1h"),
        symbols=("BTC/USDT",),
    )
    return provider.bars("BTC/USDT")
