"""The parts of a dossier that are about evidence: contract, curves, blocks, detectors, ledger."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np

from darwin.core.market import DAY_MS, FloatArray, IntArray
from darwin.rl.graduation.contract import Contract
from darwin.rl.graduation.decay import DEEPEST, Alarm, Decay
from darwin.rl.graduation.increments import Block
from darwin.rl.graduation.judged import basis_of
from darwin.rl.graduation.proof import LEAST_BLOCKS
from darwin.rl.graduation.record import Promotion
from darwin.rl.graduation.shadow import SEED, Shadow, means, totals
from darwin.rl.graduation.trial import Track, Trial
from darwin.stats.bootstrap import DRAWS
from darwin.stats.deflated import daily_sharpe, daily_sums, deflated, expected_maximum
from darwin.stats.intervals import Interval
from darwin.store.runs import iso_time

Tree = dict[str, Any]


class Networks(NamedTuple):
    """The networks of an agent that were on record as trained at a moment."""

    trained: int
    different: int
    variance: float  # of their Sharpe ratios per day on validation; 0 below two that have one


def contract_tree(contract: Contract) -> Tree:
    """The terms, their digest, and what the number of the version makes of the level."""
    return {
        "scope": contract.scope,
        "version_number": contract.number,
        "chance_without_skill": contract.alpha_v,
        "entered_ms": contract.entered_ms,
        "counts_from_ms": contract.since_ms,
        "written_at": iso_time(contract.at),
        "digest": contract.terms.digest,
        "terms": asdict(contract.terms),
        "terms_text": contract.terms.text(),
    }


def trial_tree(trial: Trial | None) -> Tree:
    """Each test with its level and its curve, and the blocks that they are made of."""
    if trial is None:
        return {"least_blocks": LEAST_BLOCKS, "not_counted": None, "tests": [], "blocks": []}
    stream, tracks = trial.stream, list(trial.tracks.values())
    return {
        "least_blocks": LEAST_BLOCKS,
        "not_counted": {
            "late": stream.late,
            "twice": stream.twice,
            "in_open_blocks": stream.decisions - len(stream.scored),
        },
        "tests": [_test(track) for track in tracks],
        "blocks": [_block(block, at, tracks) for at, block in enumerate(trial.blocks)],
    }


def _test(track: Track) -> Tree:
    return {
        "name": track.name,
        "level": track.level,
        "log_e_needed": track.log_needed,
        "log_e": _known(track.log_e),
        "log_e_most": max((point.log_e for point in track.points), default=0.0),
        "crossed_ms": track.crossed and track.crossed.end_ms,
        "opposite_shown_ms": track.refuted and track.refuted.end_ms,
    }


def _block(block: Block, at: int, tracks: Iterable[Track]) -> Tree:
    told, sizes = block.told, bool(block.told.pairs)
    return {
        "start_ms": block.start_ms,
        "end_ms": block.end_ms,
        "decisions": block.decisions,
        "with_r": block.resolved,
        "lost": block.lost,
        "sd_of_r": block.sd,
        "skill_r": told.skill.total,
        "utility_r": None if sizes else told.utility.total,
        "brought_r": told.brought,
        "winners": len(told.missed),
        "winners_missed": sum(told.missed),
        "log_e": {track.name: _known(track.points[at].log_e) for track in tracks},
    }


def detectors_tree(trial: Trial | None, held: Promotion | None) -> Tree | None:
    """How the detectors of a promotion stood after each block since it."""
    if trial is None or held is None:
        return None
    decay = Decay(trial.contract.terms, basis_of(trial.contract.terms.agent, held))
    curve = []
    for block in trial.blocks:
        before = decay.blocks
        decay.add(block)
        if decay.blocks > before:
            curve.append(
                {
                    "end_ms": block.end_ms,
                    "log_m": {one.name: _known(one.log_m) for one in (decay.soft, decay.hard)},
                    "fall_of_equity": decay.fall,
                }
            )
    return {
        "since_ms": decay.basis.since_ms,
        "edge_then_r": decay.basis.edge,
        "alarms": [_alarm(one) for one in (decay.soft, decay.hard)],
        "fall_of_equity": decay.fall,
        "fall_allowed": DEEPEST,
        "verdict": decay.verdict,
        "blocks": curve,
    }


def _alarm(one: Alarm) -> Tree:
    return {
        "name": one.name,
        "log_m": _known(one.log_m),
        "log_m_needed": math.log(one.needed),
        "guards_above_r": one.floor,
        "seen_per_block_r": one.seen.now,
        "sounded_ms": one.sounded_ms,
    }


def shadow_tree(ledger: Shadow, block_ms: int, networks: Networks) -> Tree:
    """The ledger block by block, its sums and means with intervals, and how sure the gain is."""
    block: IntArray = ledger.bar_time // block_ms
    columns = {
        "baseline": ledger.baseline,
        "obeyed": ledger.obeyed,
        "difference": ledger.difference,
    }
    return {
        "decisions": len(ledger),
        "unknown": ledger.unknown,
        "total_r": {name: _interval(totals(one, block)) for name, one in columns.items()},
        "mean_r": {name: _interval(means(one, block)) for name, one in columns.items()},
        "bootstrap": {"level": 0.95, "draws": DRAWS, "block_ms": block_ms, "seed": SEED},
        "curve": _curve(block, block_ms, columns),
        "trials": _trials(ledger, block_ms, networks),
    }


def _curve(block: IntArray, block_ms: int, columns: dict[str, FloatArray]) -> list[Tree]:
    number, member = np.unique(block, return_inverse=True)
    sums = {
        name: np.cumsum(np.bincount(member, weights=one, minlength=len(number)))
        for name, one in columns.items()
    }
    count = np.bincount(member, minlength=len(number))
    return [
        {"end_ms": (int(one) + 1) * block_ms, "decisions": int(count[at])}
        | {f"{name}_r": float(total[at]) for name, total in sums.items()}
        for at, one in enumerate(number)
    ]


def _trials(ledger: Shadow, block_ms: int, networks: Networks) -> Tree:
    """The Sharpe ratio of what obeying adds per UTC day, deflated by the networks trained."""
    lags = math.ceil(block_ms / DAY_MS)
    found = daily_sharpe(daily_sums(ledger.difference, ledger.known_ms), lags)
    some, variance = networks.different, networks.variance
    return {
        "networks_trained": networks.trained,
        "networks_different": some,
        "variance_of_their_sharpe": variance,
        "sharpe_per_day": found.per_day,
        "days": found.days,
        "effective_days": found.effective_days,
        "skew": found.skew,
        "kurtosis": found.kurtosis,
        "best_without_skill_per_day": expected_maximum(some, variance) if some else None,
        "deflated": deflated(found, some, variance) if some else None,
    }


def _interval(one: Interval) -> Tree:
    return {"value": one.value, "low": one.low, "high": one.high}


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
