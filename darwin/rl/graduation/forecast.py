"""What would become of many agents with the same habits and the same skill, drawn by chance.

Each stream is an agent whose score ranks a winner above a loser with a chance of `auc` (the
binormal model of `stats.binormal`), and who acts on the share of decisions that is on record.
Sums of blocks are drawn, not decisions: the winners and losers of a block by Poisson's law, of
each how many are acted on, and what they come to by the mean and spread of R on record. Sums of
sizes are normal, with the means and the covariance of R on record sized by rank. As blocks on
record vary more than decisions with nothing in common would let them, so many decisions are drawn
as one. The e-processes of the product are told these sums.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from darwin.core.agents import GATE, PORTFOLIO
from darwin.core.market import FloatArray, IntArray
from darwin.rl.graduation.checklist import COST, LEAST_DAYS, LEAST_DECISIONS, VALUE
from darwin.rl.graduation.habits import Habits, Side, Spread
from darwin.rl.graduation.proof import LEAST_BLOCKS
from darwin.rl.graduation.trial import COST_SHARE, LEAST_M, MAIN_SHARE, MISS, SKILL, UTILITY
from darwin.stats.binormal import hits, separation
from darwin.stats.evidence import Horizon, first_crossing
from darwin.stats.evidence_arrays import log_e_of_misses, log_e_over_blocks
from darwin.stats.increments import GATE_EDGE_R
from darwin.stats.sharpe_evidence import log_e_of_sharpe

DEEPEST = 0.20
"""Of equity, that an account of the sizes alone may fall before the portfolio is promoted."""
TESTS = {VALUE: (SKILL, UTILITY), COST: (MISS, UTILITY)}
"""The tests that have to cross; an agent with one rule goes by the first."""
_REFERENCE = 100_000
_SEED = 20_240_101


@dataclass(frozen=True, slots=True)
class Draw:
    """Sums of blocks, arrays of shape (streams, blocks); what an agent has no test for is empty."""

    skill: FloatArray
    utility: FloatArray  # portfolio: empty
    relevant: float  # decisions expected in a block, as the tests count them
    missed: FloatArray | None = None  # gate: winners that were skipped
    winners: FloatArray | None = None  # gate: of those that the expert takes
    numbers: FloatArray | None = None  # portfolio: (streams, blocks, 5), of its Sharpe ratios
    brought: FloatArray | None = None  # portfolio: Σ w·R


def draw(habits: Habits, auc: float, streams: int, blocks: int, seed: int = _SEED) -> Draw:
    """Draw so many streams of so many blocks; the same seed gives the same."""
    chance = np.random.default_rng(seed)
    shape = (streams, blocks)
    if habits.agent == PORTFOLIO:
        return _sized(habits, auc, shape, chance)
    drawn = [_acted(habits, side, auc, shape, chance) for side in habits.sides]
    skill = np.sum([one.skill for one in drawn], axis=0)
    utility = np.sum([one.paid for one in drawn], axis=0)
    if habits.agent != GATE:
        overrides = sum(side.acts * side.per_day for side in habits.sides) * habits.block_days
        return Draw(skill, utility, max(1.5 * overrides, LEAST_M))
    (side,), (one,) = habits.sides, drawn
    taken = side.per_day * habits.block_days
    rest = max(habits.per_day * habits.block_days - taken, 0.0)
    others = chance.poisson(rest / habits.clustering, shape) * habits.clustering
    calls = one.acted + habits.acts * others
    utility = utility + habits.call_cost_r * calls + GATE_EDGE_R * (one.count + others)
    return Draw(skill, utility, max(taken, LEAST_M), one.acted_winners, one.winners)


def log_es(habits: Habits, drawn: Draw) -> dict[str, FloatArray]:
    """log E of each test after every block, (streams, blocks)."""
    horizon, relevant, sd = Horizon(habits.block_days), drawn.relevant, habits.sd
    found = {SKILL: log_e_over_blocks(drawn.skill, relevant, horizon, sd)}
    if drawn.numbers is not None:
        return found | {UTILITY: log_e_of_sharpe(drawn.numbers, horizon)}
    found[UTILITY] = log_e_over_blocks(drawn.utility, relevant, horizon, sd)
    if drawn.missed is not None and drawn.winners is not None:
        (side,) = habits.sides
        winners = max(side.wins * side.per_day * habits.block_days, LEAST_M)
        found[MISS] = log_e_of_misses(drawn.missed, drawn.winners, winners)
    return found


def promotions(
    habits: Habits, drawn: Draw, alpha_v: float, rules: tuple[str, ...]
) -> dict[str, IntArray]:
    """By rule: the block at whose end each stream is promoted, from 0, (streams,); -1: never."""
    found, told = {}, log_es(habits, drawn)
    least, blocks = least_blocks(habits), drawn.skill.shape[1]
    for rule in rules:
        tests, share = TESTS[rule], {MISS: COST_SHARE}
        at = np.stack(
            [first_crossing(told[one], share.get(one, MAIN_SHARE) * alpha_v) for one in tests]
        )
        last = np.maximum(at.max(axis=0), least - 1)
        never = (at < 0).any(axis=0) | (last >= blocks)
        if drawn.brought is not None:
            there = np.arange(len(last)), np.minimum(last, blocks - 1)
            never |= _fallen(drawn.brought, habits)[there]
        found[rule] = np.where(never, -1, last)
    return found


def least_blocks(habits: Habits) -> int:
    """Before so many no evidence is enough: 20, and what holds the checklist's decisions, days."""
    return max(
        LEAST_BLOCKS,
        math.ceil(LEAST_DECISIONS[habits.agent] / (habits.per_day * habits.block_days)),
        math.ceil(LEAST_DAYS[habits.agent] / habits.block_days),
    )


@dataclass(frozen=True, slots=True)
class _Acted:
    """One side of a draw, each of shape (streams, blocks)."""

    skill: FloatArray
    paid: FloatArray  # what acting brought
    count: FloatArray
    acted: FloatArray
    winners: FloatArray
    acted_winners: FloatArray


def _acted(
    habits: Habits, side: Side, auc: float, shape: tuple[int, int], chance: np.random.Generator
) -> _Acted:
    """Skill is (act - rate)·g·(Rw - m), what acting brings g·R as utility counts it."""
    on_winners, on_losers = acting_on(side, auc)
    expected = side.per_day * habits.block_days / habits.clustering
    skill, paid = np.zeros(shape), np.zeros(shape)
    counts: list[FloatArray] = []
    for share, hit, spread in (
        (side.wins, on_winners, side.winners),
        (1.0 - side.wins, on_losers, side.losers),
    ):
        count: IntArray = chance.poisson(share * expected, shape)
        acted: IntArray = chance.binomial(count, hit)
        for some, action in ((acted, 1.0), (count - acted, 0.0)):
            rw, counted = _sums(some, spread, chance)
            skill += (action - side.acts) * side.toward * (rw - side.mean * some)
            paid += action * side.toward * counted
        counts += [np.multiply(one, habits.clustering, dtype=np.float64) for one in (count, acted)]
    winners, acted_winners, losers, acted_losers = counts
    return _Acted(
        habits.clustering * skill, habits.clustering * paid, winners + losers,
        acted_winners + acted_losers, winners, acted_winners,
    )  # fmt: skip


def acting_on(side: Side, auc: float) -> tuple[float, float]:
    """What share of the winners, and of the losers, an agent acts on."""
    if not 0.0 < side.acts < 1.0:
        return side.acts, side.acts
    leaves = side.toward < 0
    found = hits(side.acts, 1.0 - side.wins if leaves else side.wins, auc)
    return (found.unwanted, found.wanted) if leaves else (found.wanted, found.unwanted)


def _sums(
    count: IntArray, spread: Spread, chance: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Σ clip(R) and Σ R as utility counts it, of so many, moving together."""
    root = np.sqrt(count) * chance.standard_normal(count.shape)
    return count * spread.mean + root * spread.sd, count * spread.paid + root * spread.paid_sd


def _sized(habits: Habits, auc: float, shape: tuple[int, int], chance: np.random.Generator) -> Draw:
    """Sums of (w - mean)·(Rw - m) and of the numbers of the Sharpe ratios, normal together."""
    w, r = sized_by_rank(habits, auc, chance)
    a = w * r
    each = np.stack([(w - w.mean()) * (r - r.mean()), np.ones_like(r), a, a * a, r, r * r], axis=-1)
    root = _root(np.cov(each, rowvar=False))
    trades = len(habits.r) / habits.days * habits.block_days
    count = chance.poisson(trades / habits.clustering, shape)[..., None]
    noise = chance.standard_normal((*shape, each.shape[1])) @ root.T
    sums = habits.clustering * (count * each.mean(axis=0) + np.sqrt(count) * noise)
    skill, numbers = sums[..., 0], sums[..., 1:]
    return Draw(
        skill, np.zeros((0, 0)), max(trades / 3.0, LEAST_M), numbers=numbers,
        brought=numbers[..., 1],
    )  # fmt: skip


def sized_by_rank(
    habits: Habits, auc: float, chance: np.random.Generator | None = None
) -> tuple[FloatArray, FloatArray]:
    """Trades of R on record, with the sizes on record given by the rank of a score: w and Rw."""
    chance = np.random.default_rng(_SEED) if chance is None else chance
    r = chance.choice(habits.r, _REFERENCE)
    score = chance.standard_normal(_REFERENCE) + separation(auc) * (r > 0.0)
    w = np.empty(_REFERENCE)
    w[np.argsort(score)] = np.quantile(habits.sizes, (np.arange(_REFERENCE) + 0.5) / _REFERENCE)
    return w, r


def _root(covariance: FloatArray) -> FloatArray:
    """A matrix whose square, with its transpose, is the covariance; what rounding left is 0."""
    values, vectors = np.linalg.eigh(covariance)
    found: FloatArray = vectors * np.sqrt(np.maximum(values, 0.0))
    return found


def _fallen(brought: FloatArray, habits: Habits) -> np.ndarray:
    """Whether an account of the sizes alone has ever fallen too far by a block's end."""
    risk = habits.terms.risk_per_trade or 0.0
    equity = np.multiply.accumulate(np.maximum(1.0 + risk * brought, 0.0), axis=1)
    peak = np.maximum(np.maximum.accumulate(equity, axis=1), 1.0)
    return np.asarray(np.maximum.accumulate(1.0 - equity / peak, axis=1) > DEEPEST)
