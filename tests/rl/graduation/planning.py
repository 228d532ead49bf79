"""Habits to plan on; a test names only what matters to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from darwin.core.agents import GATE, META_LEARNER, PORTFOLIO
from darwin.core.market import DAY_MS, HOUR_MS
from darwin.rl.graduation.contract import ALPHA, Terms
from darwin.rl.graduation.habits import Habits, Side, Spread
from tests.rl.graduation.desk import START

WINS, TAKES = 0.38, 0.6
WON, LOST = 1.8, -1.15
SPREAD = 0.2
TP = 3.0
COST_R = 0.002
USUAL = {GATE: 0.3, META_LEARNER: 0.1, PORTFOLIO: 0.5}


def terms(agent: str = GATE, **other: Any) -> Terms:
    plain = {
        "agent": agent, "version": "v", "manifest_sha256": "a" * 64, "feature_schema": "s",
        "action_threshold": None, "training_end_ms": None, "bar_ms": HOUR_MS,
        "life_ms": 8 * HOUR_MS, "block_ms": (3 if agent == PORTFOLIO else 2) * DAY_MS,
        "take_profit_r": {"p": TP}, "call_cost_r": COST_R, "risk_per_trade": 0.0025,
        "alpha": ALPHA, "world": "w",
    }  # fmt: skip
    return Terms(**(plain | other))  # type: ignore[arg-type]


def habits(agent: str = GATE, *, per_day: float = 10.0, acts: float | None = None, **other: Any):
    """Those of an agent that is asked ten times a day; of its candidates the expert takes 60 %."""
    acts = USUAL[agent] if acts is None else acts
    won, lost = Spread(WON, SPREAD, WON, SPREAD), Spread(LOST, SPREAD, LOST, SPREAD)
    sides = {
        GATE: ((-1.0, TAKES),),
        META_LEARNER: ((-1.0, TAKES), (1.0, 1.0 - TAKES)),
        PORTFOLIO: (),
    }[agent]
    chance = np.random.default_rng(5)
    winner = chance.random(20_000) < WINS
    r = np.where(winner, WON, LOST) + SPREAD * chance.standard_normal(20_000)
    sd = float(np.sqrt(WINS * (1 - WINS) * (WON - LOST) ** 2 + SPREAD**2))
    found = Habits(
        agent=agent, run_id="one", mode="replay", advises=True, newest=START,
        decisions=int(365 * per_day), days=365.0, takes=TAKES, acts=acts,
        sides=tuple(Side(to, share * per_day, acts, WINS, won, lost) for to, share in sides),
        sizes=np.linspace(0.0, 1.0, 101), r=r, settled=int(365 * per_day), wins=WINS, sd=sd,
        clustering=1.0, blocks=180, call_cost_r=COST_R, terms=terms(agent),
    )  # fmt: skip
    if agent == PORTFOLIO:  # trades a day, by which blocks are filled
        found = replace(found, r=chance.choice(r, int(365 * per_day)))
    return replace(found, **other)
