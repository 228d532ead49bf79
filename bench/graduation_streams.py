"""From the actions of an agent to its verdict, over many streams at once: all by `darwin.stats`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bench import graduation_world as world
from bench.graduation_world import BLOCK_DAYS, TAKE_PROFIT_R, Market, Pace
from darwin.core.agents import GATE, META_LEARNER, PORTFOLIO
from darwin.core.market import BoolArray, FloatArray, IntArray
from darwin.stats import increments as inc
from darwin.stats.evidence import Horizon, first_crossing
from darwin.stats.evidence_arrays import log_e_of_misses, log_e_over_blocks
from darwin.stats.increments import running_mean, sums_by_block
from darwin.stats.sharpe_evidence import log_e_of_sharpe

HORIZON = Horizon(float(BLOCK_DAYS))
SKIPS, OVERRIDES, CALL_COST_R = 0.30, 0.10, 0.002
SAVED, AGREEMENT, LEAST_BLOCKS = (0.20, 0.40), (0.80, 0.95), 20
MAIN_SHARE, COST_SHARE = 0.8, 0.2
FIRST_M, M_WEIGHT = {GATE: 8.0, META_LEARNER: 3.0, PORTFOLIO: 3.0}, 2.0
INDEPENDENT, PERSISTENT, SKIP_ONLY = "independent", "persistent", "skip-only"


class Told(NamedTuple):
    """The blocks of many streams, (streams, blocks). What an agent has not is None."""

    skill: FloatArray
    relevant: FloatArray  # decisions expected in a block from those before
    utility: FloatArray | None = None
    sharpe: FloatArray | None = None  # five numbers of each block
    missed: FloatArray | None = None
    winners: FloatArray | None = None
    share: FloatArray | None = None  # saved calls, or agreement, of all decisions so far


def score_of(
    rng: np.random.Generator, market: Market, kind: str | float, shift: float
) -> FloatArray:
    """Score of an agent: of a null that knows nothing, or of one with an AUC."""
    shape = market.r.shape
    if isinstance(kind, float):
        return world.tells(rng, market.latent, kind, shift, world.SKILLED_LASTS)
    return world.lasting(rng, *shape, world.PERSISTENT_LASTS if kind == PERSISTENT else 0.0)


def actions_of(agent: str, score: FloatArray, market: Market, kind: str | float) -> FloatArray:
    """What the agent does: skip or override 0/1, or a size 0..1.

    *skip-only* has one kind of action alone, by chance: a gate that skips nothing but what the
    expert takes, a meta-learner that overrides nothing else, sizes that are none or full.
    """
    if agent == PORTFOLIO:
        if kind == SKIP_ONLY:
            return (score > world.quantile(SKIPS)).astype(np.float64)
        return world.uniform(score)
    often = SKIPS if agent == GATE else OVERRIDES
    if kind == SKIP_ONLY:
        acts = market.expert & (score < world.quantile(often / world.TAKES))
    elif agent == GATE:
        acts = score < world.quantile(often)
    else:
        acts = np.where(market.expert, score, -score) < world.quantile(often)
    return acts.astype(np.float64)


def told_of(agent: str, acts: FloatArray, market: Market, pace: Pace) -> Told:
    """Centre, weigh and sum up, as the product does: nothing is known before it is."""
    n = acts.shape[1]
    known, blocks = np.arange(n) + pace.overlap, whole_blocks(n, pace)
    take = market.expert.astype(np.float64)
    rw = inc.clipped(market.r, TAKE_PROFIT_R)

    def by_block(values: FloatArray) -> FloatArray:
        return sums_by_block(values, np.arange(n) // per_block(pace))[:, :blocks]

    def expected(counts: FloatArray, first: float) -> FloatArray:
        return running_mean(by_block(counts), first, weight=M_WEIGHT)

    def outcomes(of: BoolArray | bool) -> FloatArray:
        return running_mean(rw, inc.OUTCOME_PRIOR, known, of)

    if agent == PORTFOLIO:
        usual = running_mean(acts, inc.SIZE_PRIOR)
        x = inc.portfolio_selectivity(acts, usual, outcomes(True), rw)
        a = acts * rw
        numbers = [by_block(v) for v in (np.ones_like(a), a, a * a, rw, rw * rw)]
        relevant = expected(np.full(acts.shape, 1.0 / 3.0), FIRST_M[agent])
        return Told(by_block(x), relevant, sharpe=np.stack(numbers, axis=-1))
    share = np.cumsum(acts, axis=1) / np.arange(1, n + 1)
    ends = np.arange(1, blocks + 1) * per_block(pace) - 1
    if agent == GATE:
        s = running_mean(acts, inc.SKIP_PRIOR, counts=market.expert)
        x = inc.gate_skill(take, acts, s, outcomes(market.expert), rw)
        u = inc.gate_utility(take, acts, market.r, CALL_COST_R)
        winners = take * market.won
        return Told(
            by_block(x), expected(take, FIRST_M[agent]), by_block(u),
            missed=by_block(winners * acts), winners=by_block(winners), share=share[:, ends],
        )  # fmt: skip
    g, o, m = inc.direction(take), np.empty_like(rw), np.empty_like(rw)
    for said in (market.expert, ~market.expert):
        o[said] = running_mean(acts, inc.OVERRIDE_PRIOR, counts=said)[said]
        m[said] = outcomes(said)[said]
    x = inc.meta_learner_skill(acts, o, g, m, rw)
    u = inc.meta_learner_utility(acts, g, market.r, TAKE_PROFIT_R)
    relevant = expected(1.5 * acts, FIRST_M[agent])
    return Told(by_block(x), relevant, by_block(u), share=1.0 - share[:, ends])


def per_block(pace: Pace) -> int:
    return pace.per_day * BLOCK_DAYS


def whole_blocks(decisions: int, pace: Pace) -> int:
    """Blocks all of whose brackets have ended by then."""
    return (decisions - pace.overlap) // per_block(pace)


def decisions_by(block: IntArray, pace: Pace) -> IntArray:
    """Decisions made when a block counts: its brackets have ended."""
    return (block + 1) * per_block(pace) + pace.overlap


class Evidence(NamedTuple):
    """log E of each test after every block."""

    skill: FloatArray
    utility: FloatArray
    miss: FloatArray | None


def evidence_of(told: Told) -> Evidence:
    """Run the tests of an agent."""
    skill = log_e_over_blocks(told.skill, told.relevant, HORIZON)
    if told.sharpe is not None:
        return Evidence(skill, log_e_of_sharpe(told.sharpe, HORIZON), None)
    utility = log_e_over_blocks(told.utility, told.relevant, HORIZON)
    if told.winners is None:
        return Evidence(skill, utility, None)
    usual = running_mean(told.winners, FIRST_M[GATE] * 0.4, weight=M_WEIGHT)
    return Evidence(skill, utility, log_e_of_misses(told.missed, told.winners, usual))


def promoted_at(agent: str, told: Told, found: Evidence, alpha_v: float) -> IntArray:
    """Block at which all that this world knows of a rule first holds, (streams,); -1 for never.

    Value and portfolio and meta-learner at 0.8·α_v. The gate may also pass by cost, its misses at
    0.2·α_v: whoever has no utility fails both rules on one test, whoever has no skill and misses
    winners fails two tests whose levels add up to α_v.
    """
    level = MAIN_SHARE * alpha_v
    enough = np.arange(told.skill.shape[1]) >= LEAST_BLOCKS - 1
    useful = held(found.utility, level)
    rule = held(found.skill, level) & useful & enough
    if agent == META_LEARNER:
        rule &= within(told.share, AGREEMENT)
    if agent == GATE:
        cost = held(found.miss, COST_SHARE * alpha_v) & useful & enough
        rule = rule & within(told.share, SAVED) | cost & (told.share >= SAVED[0])
    return np.where(rule.any(axis=1), rule.argmax(axis=1), -1)


def held(log_e: FloatArray, level: float) -> BoolArray:
    """Whether a test has crossed by each block; a crossing holds for good."""
    crossed = first_crossing(log_e, level)[:, None]
    return (crossed >= 0) & (np.arange(log_e.shape[1]) >= crossed)


def within(share: FloatArray, band: tuple[float, float]) -> BoolArray:
    return (share >= band[0]) & (share <= band[1])


LEAST = {GATE: (100, 7), PORTFOLIO: (50, 7), META_LEARNER: (200, 14)}


def checklist_passes(
    agent: str, acts: FloatArray, market: Market, pace: Pace, *, of_all: bool = False
) -> BoolArray:
    """Whether the checklist's plain thresholds all hold at the end of some day, (streams,).

    Misses are of the winners that the expert takes; `of_all`: of all decisions.
    """
    n = acts.shape[1]
    days = np.arange(1, n // pace.per_day + 1)
    made = days * pace.per_day
    least, least_days = LEAST[agent]
    enough = (made >= least) & (days >= least_days) & (made > pace.overlap)
    made = made[enough]

    def upto(values: FloatArray, ends: IntArray) -> FloatArray:
        return np.cumsum(values, axis=1, dtype=np.float64)[:, ends - 1]

    settled = made - pace.overlap  # decisions whose brackets have ended
    with np.errstate(divide="ignore", invalid="ignore"):
        if agent == PORTFOLIO:
            x = acts * market.r
            mean = upto(x, settled) / settled
            variance = (upto(x * x, settled) - settled * mean * mean) / (settled - 1)
            holds = mean / np.sqrt(variance) * np.sqrt(365.0 * pace.per_day) > 1.5
        elif agent == GATE:
            winners = market.expert & market.won
            missed = upto(winners * acts, settled)
            missed /= settled if of_all else upto(winners, settled)
            holds = within(upto(acts, made) / made, SAVED) & (missed < 0.10)
        else:
            right = np.where(market.expert, ~market.won, market.won)
            accuracy = upto(acts * right, settled) / upto(acts, settled)
            holds = within(1.0 - upto(acts, made) / made, AGREEMENT) & (accuracy > 0.60)
    return holds.any(axis=1)
