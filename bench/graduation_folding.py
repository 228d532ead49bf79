"""How long it takes to fold the decisions of one stream into a verdict."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import islice

import numpy as np

from bench import graduation_streams as streams
from bench import graduation_world as world
from bench.graduation_world import CANDIDATES, TAKE_PROFIT_R, TRADES, Market
from bench.tables import met, table
from darwin.core.agents import GATE, META_LEARNER, PORTFOLIO
from darwin.core.market import FloatArray
from darwin.stats import increments as inc
from darwin.stats.evidence import EProcess
from darwin.stats.increments import RunningMean

DECISIONS, SHIFT, AUC, ALPHA_V = 5_000, 0.05, 0.60, 0.01
GOAL_MS, TIMES = 50.0, 9


def main() -> None:
    """Print how long it takes: over arrays, and for the gate decision by decision as well."""
    rng = np.random.default_rng(7)
    rows = []
    for agent in (GATE, PORTFOLIO, META_LEARNER):
        pace = TRADES if agent == PORTFOLIO else CANDIDATES
        drawn = world.market(rng, 1, DECISIONS, pace, SHIFT)
        score = streams.score_of(rng, drawn, AUC, SHIFT)
        acts = streams.actions_of(agent, score, drawn, AUC)

        def arrays(agent=agent, acts=acts, drawn=drawn, pace=pace) -> None:
            told = streams.told_of(agent, acts, drawn, pace)
            streams.promoted_at(agent, told, streams.evidence_of(told), ALPHA_V)

        rows.append(_row(f"{agent}, arrays", arrays))
        if agent == GATE:
            rows.append(_row(f"{agent}, one by one", lambda a=acts, m=drawn: one_by_one(a[0], m)))
    table(
        f"Folding {DECISIONS:,} decisions of one stream into a verdict, median of {TIMES}",
        ("agent", "ms", "goal", ""),
        rows,
    )


def _row(name: str, fold: Callable[[], object]) -> list[str]:
    took = []
    for _ in range(TIMES):
        began = time.perf_counter()
        fold()
        took.append((time.perf_counter() - began) * 1e3)
    median = float(np.median(took))
    return [name, f"{median:.1f}", f"<= {GOAL_MS:.0f}", met(median <= GOAL_MS)]


def one_by_one(acts: FloatArray, market: Market) -> tuple[EProcess, EProcess]:
    """The skill and the utility of a gate as they go on, for one stream."""
    skill, utility = EProcess(streams.HORIZON), EProcess(streams.HORIZON)
    s, m = RunningMean(inc.SKIP_PRIOR), RunningMean(inc.OUTCOME_PRIOR)
    expected = RunningMean(streams.FIRST_M[GATE], streams.M_WEIGHT)
    size = streams.per_block(CANDIDATES)
    block: list[tuple[float, ...]] = []  # of each decision: take, skip, s, m, Rw, R
    rows = zip(acts.tolist(), market.r[0].tolist(), market.expert[0].tolist(), strict=True)
    whole = streams.whole_blocks(len(acts), CANDIDATES) * size
    for i, (skip, r, take) in enumerate(islice(rows, whole)):
        rw = min(max(r, inc.DEEPEST_R), TAKE_PROFIT_R)
        block.append((float(take), skip, s.at(i), m.at(i), rw, r))
        if take:
            s.add(skip, i)
            m.add(rw, i, i + CANDIDATES.overlap)
        if len(block) == size:
            takes, skips, s_then, m_then, rws, rs = np.array(block).T
            relevant = expected.at(i // size)
            expected.add(float(takes.sum()), i // size)
            x = inc.gate_skill(takes, skips, s_then, m_then, rws)
            skill.add(float(x.sum()), relevant)
            u = inc.gate_utility(takes, skips, rs, streams.CALL_COST_R)
            utility.add(float(u.sum()), relevant)
            block.clear()
    return skill, utility
