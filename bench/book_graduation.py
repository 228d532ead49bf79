"""How often graduation promotes agents of books without skill, and how soon one with.

Streams of daily rebalances over a simulated market are told to the very trials that runs keep, and
promoted is who crosses all tests of its agent at its level; the conditions beside them (decisions,
blocks, drawdown) are left out and could only refuse more. The market: asset returns of a common
factor and their own part, Student-t with four degrees of freedom, volatility in regimes, a drift in
regimes (AR(.9) a day, as large as a tenth of a day's spread) and a steady one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from bench.tables import table
from darwin.core.agents import Model
from darwin.core.market import DAY_MS, FloatArray
from darwin.core.rebalance import ALLOCATOR, MARKET
from darwin.rl.graduation.book_reading import entry_of
from darwin.rl.graduation.contract import ALPHA, Contract, Terms
from darwin.rl.graduation.increments import Outcome
from darwin.rl.graduation.promoter import has_crossed
from darwin.rl.graduation.record import DEPLOYMENT
from darwin.rl.graduation.trial import Trial
from darwin.rl.serving.heads import DECIMALS

SEED, DAYS, ASSETS, COST_RATE = 20_268, 1_000, 5, 0.0007
DAILY_SD = 0.03
METHOD, FIRST_VERSION = 0.05, 0.01
LEVELS = (METHOD, FIRST_VERSION)
SIDEWAYS, RISING, FALLING = 0.0, 0.002, -0.002
"""Steady drift of a day."""
DRIFTS = {"sideways": SIDEWAYS, "rising": RISING, "falling": FALLING}


class Market(NamedTuple):
    """Returns of each asset over each day, (t, n), and what may be known of them before."""

    returns: FloatArray
    hint: FloatArray  # correlated with the return that follows, (t, n), unit variance


def market(rng: np.random.Generator, days: int, assets: int, drift: float, skill: float) -> Market:
    """Draw a market; a hint has correlation `skill` with what is the asset's own."""
    calm = _regimes(rng, days, 0.97)
    sd = DAILY_SD * np.exp(0.4 * calm)[:, None]
    wave = 0.1 * DAILY_SD * _regimes(rng, days, 0.9)[:, None]
    common = _student(rng, (days, 1))
    own = _student(rng, (days, assets))
    returns = sd * (0.6 * common + 0.8 * own) + wave + drift
    noise = rng.standard_normal((days, assets))
    hint = skill * own + np.sqrt(1.0 - skill * skill) * noise
    return Market(np.clip(returns, -0.6, 1.5), hint)


def _student(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    drawn: FloatArray = rng.standard_t(4, shape) / np.sqrt(2.0)
    return drawn


def _regimes(rng: np.random.Generator, days: int, stays: float, width: int = 0) -> FloatArray:
    """An AR(1) of unit variance, (t,) or (t, width)."""
    shape = (days, width) if width else (days,)
    noise = rng.standard_normal(shape) * np.sqrt(1.0 - stays * stays)
    path = np.empty(shape)
    path[0] = rng.standard_normal(shape[1:])
    for day in range(1, days):
        path[day] = stays * path[day - 1] + noise[day]
    return path


def shares(logits: FloatArray) -> FloatArray:
    """The softmax of logits, (t, n)."""
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.round(raised / raised.sum(axis=1, keepdims=True), DECIMALS)


Agent = Callable[[np.random.Generator, Market], FloatArray]
"""The weights that an agent asks for, (t, n)."""


def _independent(rng: np.random.Generator, seen: Market) -> FloatArray:
    return shares(rng.standard_normal(seen.hint.shape))


def _persistent(rng: np.random.Generator, seen: Market) -> FloatArray:
    return shares(_regimes(rng, *seen.hint.shape[:1], 0.97, seen.hint.shape[1]))


def _tilted(rng: np.random.Generator, seen: Market) -> FloatArray:
    return shares(np.broadcast_to(2.0 * rng.standard_normal(seen.hint.shape[1]), seen.hint.shape))


def _invested(rng: np.random.Generator, seen: Market) -> FloatArray:
    """As much of equal weights as it likes that day, the rest in cash: slowly changing."""
    share = 1.0 / (1.0 + np.exp(-2.0 * _regimes(rng, len(seen.hint), 0.97)))
    return np.round(np.repeat(share[:, None], seen.hint.shape[1], 1) / seen.hint.shape[1], DECIMALS)


def _allocates(rng: np.random.Generator, seen: Market) -> FloatArray:
    return shares(1.5 * seen.hint)


def _tosses(rng: np.random.Generator, seen: Market) -> FloatArray:
    return rng.integers(-1, 2, seen.hint.shape).astype(np.float64)


def _moods(rng: np.random.Generator, seen: Market) -> FloatArray:
    return np.round(np.clip(1.2 * _regimes(rng, *seen.hint.shape[:1], 0.97, 1), -1, 1))


def _holds(rng: np.random.Generator, seen: Market) -> FloatArray:
    return np.ones(seen.hint.shape)


def _times(rng: np.random.Generator, seen: Market) -> FloatArray:
    return np.where(np.abs(seen.hint) > 0.5, np.sign(seen.hint), 0.0)


NULLS: dict[str, dict[str, Agent]] = {
    ALLOCATOR: {
        "independent": _independent, "persistent": _persistent, "constant tilt": _tilted,
        "in and out of cash": _invested,
    },
    MARKET: {"independent": _tosses, "persistent": _moods, "always long": _holds},
}  # fmt: skip
SKILLS = (0.1, 0.2, 0.4)
"""Correlation of what a skilled agent sees with what is the asset's own in a day's return."""
SKILLED: dict[str, Agent] = {ALLOCATOR: _allocates, MARKET: _times}


def trial_of(agent: str, seen: Market, weights: FloatArray, alpha_v: float) -> Trial:
    """The trial of one stream at the level of `alpha_v`, each day told as a run tells it."""
    assets = seen.returns.shape[1]
    trial = Trial(contract(agent, alpha_v))
    parts = [np.full(assets, 1.0 / assets)] if agent == ALLOCATOR else [np.zeros(1), np.ones(1)]
    mine = net(seen.returns, weights)
    others = [net(seen.returns, np.broadcast_to(one, weights.shape)) for one in parts]
    for day in range(len(weights)):
        key, time_ms = f"{day:016x}", day * DAY_MS
        trial.hear(key, entry_of(key, time_ms, weights[day].tolist()))
        against = tuple(float(one[day]) for one in others)
        outcome = Outcome(
            time_ms + DAY_MS, float(mine[day]), against, tuple(seen.returns[day].tolist())
        )
        trial.hear(key, outcome)
    return trial


def net(returns: FloatArray, weights: FloatArray) -> FloatArray:
    """What a book of these weights returns each day, costs of changing them paid, (t,)."""
    gross = (weights * returns).sum(axis=1)
    drifted = weights * (1.0 + returns) / np.maximum(1.0 + gross, 1e-9)[:, None]
    held = np.vstack([np.zeros((1, weights.shape[1])), drifted[:-1]])
    cost = COST_RATE * np.abs(weights - held).sum(axis=1)
    made: FloatArray = (1.0 - cost) * (1.0 + gross) - 1.0
    return made


def contract(agent: str, alpha_v: float) -> Contract:
    """One whose version may be promoted by luck with a chance of `alpha_v`."""
    model = Model("20260101_000000", "0" * 64)
    terms = Terms(
        agent=agent, version=model.version, manifest_sha256=model.sha256, feature_schema="0" * 64,
        action_threshold=None, training_end_ms=None, bar_ms=DAY_MS, life_ms=DAY_MS,
        block_ms=3 * DAY_MS, take_profit_r={}, call_cost_r=0.0, risk_per_trade=1.0,
        alpha=ALPHA * alpha_v / FIRST_VERSION, world="0" * 64,
    )  # fmt: skip
    return Contract(terms, DEPLOYMENT, 1, 0, datetime(2026, 1, 1, tzinfo=UTC))


class Cell(NamedTuple):
    """What became of streams of one agent in one market."""

    agent: str
    name: str
    drift: str
    streams: int
    skill_alone: float  # share that crossed the test of skill, at the level of the method
    promoted: dict[float, float]  # by level
    median_days: float  # until promotion at the level of the first version; inf: more than half not


def cell(
    agent: str, name: str, does: Agent, drift: str, streams: int, skill: float, days: int = DAYS
) -> Cell:
    """Run so many streams; each test's highest E says what either level would have done."""
    assets = ASSETS if agent == ALLOCATOR else 1
    crossed = {level: np.full(streams, np.inf) for level in LEVELS}
    skilled = 0
    for number in range(streams):
        rng = np.random.default_rng((SEED, number, *name.encode(), *drift.encode()))
        seen = market(rng, days, assets, DRIFTS[drift], skill)
        for level in LEVELS:
            trial = trial_of(agent, seen, does(np.random.default_rng((SEED, number)), seen), level)
            if level == METHOD:
                skilled += trial.tracks["skill"].crossed is not None
            if has_crossed(trial):
                last = max(t.crossed.end_ms for t in trial.tracks.values() if t.crossed)
                crossed[level][number] = last / DAY_MS
            elif level == METHOD:
                break  # nor at the stricter one
    shares = {level: float(np.isfinite(days_).mean()) for level, days_ in crossed.items()}
    median = float(np.median(crossed[FIRST_VERSION]))
    return Cell(agent, name, drift, streams, skilled / streams, shares, median)


def run(streams: int = 400, skilled_streams: int = 60) -> list[Cell]:
    """All cells."""
    cells = []
    for agent, nulls in NULLS.items():
        for drift in DRIFTS:
            for name, does in nulls.items():
                cells.append(cell(agent, name, does, drift, streams, 0.0))
                print(_line(cells[-1]), flush=True)
            for skill in SKILLS:
                name = f"skilled, {skill:g}"
                cells.append(cell(agent, name, SKILLED[agent], drift, skilled_streams, skill))
                print(_line(cells[-1]), flush=True)
    return cells


def _line(one: Cell) -> str:
    return (
        f"{one.agent} {one.drift} {one.name}: {one.promoted}, skill alone {one.skill_alone:.3f},"
        f" median {one.median_days:.0f} days"
    )


def main(streams: int = 400) -> None:
    """Print the table."""
    began = time.monotonic()
    rows = [
        [
            f"{one.agent}, {one.name}", one.drift, f"{one.streams}", f"{one.skill_alone:.1%}",
            *(f"{one.promoted[level]:.1%}" for level in LEVELS),
            "never" if not np.isfinite(one.median_days) else f"{one.median_days:,.0f}",
        ]
        for one in run(streams)
    ]  # fmt: skip
    heads = ["agent", "market", "streams", "skill crosses", "at 5%", "at 1%", "median days"]
    table(f"promoted within {DAYS} days, {time.monotonic() - began:.0f} s", heads, rows)


if __name__ == "__main__":
    import sys

    main(*map(int, sys.argv[1:2]))
