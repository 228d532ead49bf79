"""What each action of each agent earns, written down a second time.

Pages have their own arithmetic; this is double entry. The figures are those of docs/training.md:
who changes a page's reward on purpose changes them here too.
"""

from __future__ import annotations

import numpy as np

from darwin.core.agents import GATE, META_LEARNER
from darwin.core.market import BoolArray, FloatArray
from darwin.rl.agents.spec import Consequences
from darwin.rl.training.canaries.finding import Finding, counted
from darwin.rl.training.rows import Rows

_OVERRIDE = 0.02  # R, where a verdict was set aside
_FALL, _PER_FALL = 0.10, 2.0  # drawdown beyond that costs so many R for each unit of peak equity
_PER_EXPOSURE = 0.02  # R, of an exposure as large as equity
_CLOSE = 1e-9


def paid(
    agent: str,
    action: float,
    r: float,
    take: bool,
    call_r: float,
    drawdown: float = 0.0,
    exposure: float = 0.0,
) -> float:
    """What one action earned, in R, after what followed of it."""
    if agent == GATE:
        return 0.0 if action == 0.0 else (r if take else 0.0) - call_r
    if agent == META_LEARNER:
        traded = take if action == 0.0 else action == 2.0
        return (r if traded else 0.0) - (_OVERRIDE if traded != take else 0.0)
    fallen = max(0.0, -drawdown - _FALL)
    return (action * r if action else 0.0) - _PER_FALL * fallen - _PER_EXPOSURE * exposure


def table(rows: Rows) -> FloatArray:
    """What each action of a page with codes earns, shape (n, actions); of sizes R, (n, 1)."""
    if rows.page.is_continuous:
        return rows.r[:, None]
    facts = list(zip(rows.r.tolist(), rows.take.tolist(), rows.call_cost_r.tolist(), strict=True))
    agent, codes = rows.page.name, range(len(rows.page.actions))
    return np.array([[paid(agent, float(code), *fact) for code in codes] for fact in facts])


def rewards_are_paid(rows: Rows) -> Finding:
    """Every action of every row is paid what double entry pays."""
    clean = f"every action of {len(rows):,} rows is paid what was reckoned again"
    if not rows.page.is_continuous:
        away = ~(np.abs(rows.rewards - table(rows)) <= _CLOSE)
        return counted("rewards", _by_action(rows, away), clean)
    rng, n = np.random.default_rng(0), len(rows)
    size = np.where(rng.random(n) < 0.1, 0.0, rng.random(n))
    fall, exposure = -0.4 * rng.random(n), 3.0 * rng.random(n)
    given = rows.page.reward(
        size, Consequences(rows.r, rows.take, rows.call_cost_r, fall, exposure)
    )
    own = [
        paid(rows.page.name, *fact)
        for fact in zip(
            size.tolist(), rows.r.tolist(), rows.take.tolist(), rows.call_cost_r.tolist(),
            fall.tolist(), exposure.tolist(), strict=True,
        )
    ]  # fmt: skip
    wrong = int(np.count_nonzero(~(np.abs(given - np.array(own)) <= _CLOSE)))
    return counted("rewards", [(wrong, "rows whose size is paid something else")], clean)


def _by_action(rows: Rows, away: BoolArray) -> list[tuple[int, str]]:
    return [
        (int(np.count_nonzero(away[:, code])), f"rows whose '{name}' is paid something else")
        for code, name in enumerate(rows.page.actions)
    ]
