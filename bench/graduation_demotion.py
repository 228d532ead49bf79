"""How soon a meta-learner that has lost its edge is noticed, and how often one that has not."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bench import graduation_streams as streams
from bench import graduation_world as world
from bench.graduation_streams import Told, decisions_by, evidence_of, promoted_at, told_of
from bench.graduation_world import CANDIDATES, Market
from darwin.core.agents import META_LEARNER
from darwin.core.market import FloatArray, IntArray
from darwin.stats.detector import EDGE_BLOCKS, HARM_BLOCKS, first_alarm, log_m_over_blocks

SHIFT = 0.05
UNTIL, WATCHED, CALM, AFTER = 5_000, 20_000, 2_000, 8_000
"""Decisions: until it is promoted, watched with its edge, and before and after it has lost it."""
SHRINKAGE, REMAINING = 1.5, 0.5
REVERSED, GONE = "edge reversed", "edge gone"
NEVER = np.iinfo(np.int64).max
SOFT, HARD, FIRST = ALARMS = ("soft", "hard", "first")


class Watched(NamedTuple):
    """Streams of one AUC, promoted and watched from then on; blocks are those of the watch."""

    held: Told  # that keep their edge
    lost: dict[str, Told]
    true_edge: float  # mean sum of skill per block, over all streams
    promoted: np.ndarray  # whether it was, of the streams that keep it
    edge: FloatArray  # what they showed when they were
    promoted_then: dict[str, tuple[np.ndarray, FloatArray]]  # the same of those that lose it


def watch(seed: int, auc: float, repetitions: int, chunk: int, alpha_v: float) -> Watched:
    """Draw streams that keep their edge, and such whose score turns round or becomes noise."""
    found: dict[str, list] = {"held": [], REVERSED: [], GONE: []}
    for at in range(0, repetitions, chunk):
        rng = np.random.default_rng((seed, at))
        for name, parts in found.items():
            after = WATCHED if name == "held" else CALM + AFTER
            told = _told(rng, name, auc, chunk, UNTIL + after)
            parts.append((told, *_promotion(told, alpha_v)))
    held, promoted, edge = _joined(found["held"])
    lost = {name: _joined(found[name]) for name in (REVERSED, GONE)}
    return Watched(
        _after(held), {name: _after(one[0]) for name, one in lost.items()},
        float(held.skill.mean()), promoted, edge,
        {name: one[1:] for name, one in lost.items()},
    )  # fmt: skip


def _told(rng: np.random.Generator, name: str, auc: float, chunk: int, decisions: int) -> Told:
    drawn = world.market(rng, chunk, decisions + CANDIDATES.overlap, CANDIDATES, SHIFT)
    score = streams.score_of(rng, drawn, auc, SHIFT)
    if name != "held":
        lost_at = UNTIL + CALM
        blind = Market(-drawn.latent, drawn.r, drawn.expert)
        other = streams.score_of(rng, blind, auc if name == REVERSED else 0.5, SHIFT)
        score[:, lost_at:] = other[:, lost_at:]
    acts = streams.actions_of(META_LEARNER, score, drawn, auc)
    return told_of(META_LEARNER, acts, drawn, CANDIDATES)


def _promotion(told: Told, alpha_v: float) -> tuple[np.ndarray, FloatArray]:
    """Whether each stream is promoted in time, and its mean sum of skill by then."""
    early = _cut(told, slice(0, _first_watched()))
    at = promoted_at(META_LEARNER, early, evidence_of(early), alpha_v)
    means = np.cumsum(early.skill, axis=1) / np.arange(1, early.skill.shape[1] + 1)
    return at >= 0, np.take_along_axis(means, at[:, None], axis=1)[:, 0]


def _first_watched() -> int:
    return UNTIL // streams.per_block(CANDIDATES)


def _after(told: Told) -> Told:
    return _cut(told, slice(_first_watched(), None))


def _cut(told: Told, blocks: slice) -> Told:
    return Told(*(None if part is None else part[:, blocks] for part in told))


def _joined(parts: list[tuple]) -> tuple[Told, np.ndarray, FloatArray]:
    fields = zip(*(part[0] for part in parts), strict=True)
    told = Told(*(None if one[0] is None else np.concatenate(one) for one in fields))
    return told, *(np.concatenate([part[i] for part in parts]) for i in (1, 2))


def delays(told: Told, edge: FloatArray, lost_at: int) -> dict[str, IntArray]:
    """Decisions from the loss, at decision `lost_at` of the watch, to each alarm, (streams,).

    NEVER where there was none, -1 where it came before the loss. `edge` of a block is what there
    was to lose, (streams,).
    """
    floor = REMAINING * edge[:, None]
    soft = first_alarm(log_m_over_blocks(told.skill, told.relevant, floor), EDGE_BLOCKS)
    hard = first_alarm(log_m_over_blocks(told.utility, told.relevant, 0.0), HARM_BLOCKS)
    found = {alarm: _since(at, lost_at) for alarm, at in ((SOFT, soft), (HARD, hard))}
    return found | {FIRST: np.minimum(*found.values())}


def _since(alarm: IntArray, lost_at: int) -> IntArray:
    at = decisions_by(alarm, CANDIDATES) - lost_at
    early = alarm < lost_at // streams.per_block(CANDIDATES)
    return np.where(alarm < 0, NEVER, np.where(early, -1, at))
