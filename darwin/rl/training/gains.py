"""What a policy gains on rows: against a rival that is as busy but blind, and over the baseline.

The *rival* departs from the baseline as often as the policy does, but at random: the same skip rate
(gate), the same override rates among takes and among skips (meta-learner), the same mean size
(portfolio). What it earns is not simulated but reckoned from the rows. Where costs make every
trade a loss, "always skip" beats the baseline without any skill; it does not beat its rival.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from darwin.core.agents import META_LEARNER
from darwin.core.market import DAY_MS, FloatArray, IntArray
from darwin.rl.training.rows import Rows
from darwin.stats.deflated import DailySharpe, daily_sharpe, daily_sums
from darwin.stats.intervals import FEWEST_GROUPS, student_quantile

RESAMPLES = 2000
REPORTED, DECISIVE = 0.95, 0.99
"""Levels of intervals: of each figure, and of the learned gain that a verdict goes by."""
_SEED = 20_260_101  # of the bootstrap: a report comes out the same each time


class Interval(NamedTuple):
    """A figure with its two-sided interval."""

    value: float
    low: float
    high: float


class Gains(NamedTuple):
    """What a policy earns per decision, R."""

    learned: Interval  # beyond its rival
    over_baseline: Interval
    decisive: Interval  # the learned gain with the interval that a verdict goes by
    departures: float  # share of decisions that leave the baseline; of sizes: 1 − mean size
    mean_reward: float


class Resampled(NamedTuple):
    """Gains per decision in each resample, R, both of shape (resamples,)."""

    learned: FloatArray
    over_baseline: FloatArray
    blocks: int  # of time, that were drawn from


def groups_of(rows: Rows) -> IntArray:
    """Within what the rival is as busy as the policy, shape (n,): the verdict, after the expert."""
    return (
        rows.take.astype(np.int64) if rows.page.name == META_LEARNER else np.zeros(len(rows), int)
    )


def earned(rows: Rows, actions: FloatArray) -> FloatArray:
    """What actions earn on their own, shape (n,): of sizes the part that no account decides."""
    if rows.page.is_continuous:
        return np.asarray(actions * rows.r, dtype=np.float64)
    return np.asarray(rows.rewards[np.arange(len(rows)), actions.astype(np.int64)])


def rivals(rows: Rows, actions: FloatArray) -> FloatArray:
    """What the rival of these actions earns on average, shape (n,)."""
    if rows.page.is_continuous:
        return np.asarray(actions.mean() * rows.r)
    groups, expected = groups_of(rows), np.empty(len(rows))
    for group in np.unique(groups):
        mine = groups == group
        codes = actions[mine].astype(np.int64)
        share = np.bincount(codes, minlength=len(rows.page.actions)) / len(codes)
        expected[mine] = rows.rewards[mine] @ share
    return expected


def departs(rows: Rows, actions: FloatArray) -> FloatArray:
    """How far each action leaves the baseline, 0..1, shape (n,)."""
    page = rows.page
    if page.is_continuous:
        return 1.0 - actions
    stays = np.array([
        [page.leaves(float(code), take) == page.leaves(page.baseline, take)
         for code in range(len(page.actions))]
        for take in (False, True)
    ])  # fmt: skip
    left: FloatArray = 1.0 - stays[rows.take.astype(np.int64), actions.astype(np.int64)]
    return left


def gains(rows: Rows, actions: FloatArray) -> Gains:
    """Reckon gains of `actions`, shape (n,), with intervals by a bootstrap of blocks of time.

    Decisions that are near in time share its shocks; the rival's rates are reckoned anew in each
    resample. Davison and Hinkley 1997, chapter 8. NaN bounds below ten blocks.
    """
    paid = earned(rows, actions)
    over = paid - earned(rows, np.full(len(rows), rows.page.baseline))
    drawn, learned = resampled(rows, actions), learned_gain(rows, actions)
    return Gains(
        interval_of(learned, drawn.learned, drawn.blocks),
        interval_of(float(over.mean()), drawn.over_baseline, drawn.blocks),
        interval_of(learned, drawn.learned, drawn.blocks, DECISIVE),
        float(departs(rows, actions).mean()),
        float(paid.mean()),
    )


def resampled(rows: Rows, actions: FloatArray) -> Resampled:
    """What `actions`, shape (n,), gain in each of `RESAMPLES` draws of blocks of time.

    The draws hang on the rows alone, so those of several policies on the same rows go together.
    """
    blocks = blocks_of(rows)
    drawn = weights(blocks)
    count = drawn @ _sums(blocks, np.ones(len(rows)))
    paid = earned(rows, actions)
    base = earned(rows, np.full(len(rows), rows.page.baseline))
    over: FloatArray = (drawn @ _sums(blocks, paid - base)) / count
    return Resampled(_learned(rows, actions, paid, blocks, drawn), over, drawn.shape[1])


def learned_gain(rows: Rows, actions: FloatArray) -> float:
    """The learned gain alone, R per decision."""
    return float(gain_of_each(rows, actions).mean())


def gain_of_each(rows: Rows, actions: FloatArray) -> FloatArray:
    """What each decision earns beyond its rival, R, shape (n,)."""
    return earned(rows, actions) - rivals(rows, actions)


def gain_sharpe(rows: Rows, actions: FloatArray) -> DailySharpe:
    """The Sharpe ratio of the learned gain, by the UTC days on which it was known.

    Days are taken to hang together over as many as a block of time lasts (`blocks_of`).
    """
    lags = math.ceil(_block_ms(rows) / DAY_MS)
    return daily_sharpe(daily_sums(gain_of_each(rows, actions), rows.settled), lags)


def blocks_of(rows: Rows) -> IntArray:
    """Which block of time each decision is in, shape (n,), numbered from 0.

    A block lasts two days, or twice as long as 99 of 100 brackets where that is longer: what
    happens in one tells little of the next.
    """
    _, block = np.unique(rows.decided // int(_block_ms(rows)), return_inverse=True)
    return block.astype(np.int64)


def _block_ms(rows: Rows) -> float:
    life_ms = float(np.quantile(rows.settled - rows.decided, 0.99)) if len(rows) else 0.0
    return max(2.0 * life_ms, 2.0 * DAY_MS)


def weights(blocks: IntArray, resamples: int = RESAMPLES) -> FloatArray:
    """How often each block is drawn in each resample, shape (resamples, blocks)."""
    rng = np.random.default_rng(_SEED)
    count = int(blocks.max()) + 1
    drawn: FloatArray = rng.multinomial(count, np.full(count, 1.0 / count), size=resamples).astype(
        np.float64
    )
    return drawn


def _sums(blocks: IntArray, values: FloatArray) -> FloatArray:
    return np.bincount(blocks, weights=values, minlength=int(blocks.max()) + 1).astype(np.float64)


def _learned(
    rows: Rows, actions: FloatArray, paid: FloatArray, blocks: IntArray, drawn: FloatArray
) -> FloatArray:
    """Σ paid − Σ over groups and actions of share × Σ of that action's reward, each resampled."""
    count = drawn @ _sums(blocks, np.ones(len(rows)))
    total = drawn @ _sums(blocks, paid)
    if rows.page.is_continuous:
        size = drawn @ _sums(blocks, actions)
        rival = size / count * (drawn @ _sums(blocks, rows.r))
    else:
        groups, rival = groups_of(rows), np.zeros(len(drawn))
        for group in np.unique(groups):
            mine = groups == group
            of_group = np.maximum(drawn @ _sums(blocks, mine.astype(float)), 1e-12)
            for code in range(len(rows.page.actions)):
                chosen = drawn @ _sums(blocks, (mine & (actions == code)).astype(float))
                rewards = drawn @ _sums(blocks, np.where(mine, rows.rewards[:, code], 0.0))
                rival = rival + chosen / of_group * rewards
    found: FloatArray = (total - rival) / count
    return found


def interval_of(
    value: float, resampled: FloatArray, blocks: int, level: float = REPORTED
) -> Interval:
    """Student's t on the spread of resamples: with few blocks their percentiles are too near."""
    if blocks < FEWEST_GROUPS:
        return Interval(value, float("nan"), float("nan"))
    half = student_quantile((1.0 + level) / 2.0, blocks - 1) * float(resampled.std(ddof=1))
    return Interval(value, value - half, value + half)
