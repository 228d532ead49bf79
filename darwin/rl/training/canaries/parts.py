"""How rows were cut and standardised, reckoned again; and whether a column tells the outcome."""

from __future__ import annotations

import math

import numpy as np

from darwin.core.market import BoolArray, FloatArray
from darwin.rl.training.canaries.finding import Finding, counted
from darwin.rl.training.rows import Normaliser, Rows
from darwin.rl.training.splits import Split
from darwin.rl.training.trainer import Job

FURTHEST_SD = 10.0
"""The door refuses rows beyond; so do the rows of training."""

_LEAST_SD = {
    "drawdown": 0.1, "equity_growth": 0.2, "accuracy_by_playbook": 0.1, "accuracy_by_symbol": 0.1,
}  # fmt: skip

MOST_TOLD = 0.35
"""How far from one half the AUC of a column may lie. The outcome itself lies 0.5 away, an honest
column of a market with the strongest planted edge about 0.2."""

_SIX_SD = 6.0  # of an AUC by chance: with few rows the bound is wider


def parts_share_nothing(
    rows: Rows,
    parts: Split,
    embargo_ms: int,
    test_from: int | None,
    job: Job,
    seen_until: int | None = None,
) -> Finding:
    """No row is in two parts; none that is open at a cut, or within the embargo, is in any.

    Validation and test hold nothing of what a version that is gone on from has `seen_until`, ms
    UTC. And the trainer is given training to learn from and validation to look at, nothing else.
    """
    cuts = parts.cuts
    train, validation, test = parts.train, parts.validation, parts.test
    ids = [set(part.ids.tolist()) for part in (train, validation, test)]
    twice = len(ids[0] & ids[1]) + len(ids[0] & ids[2]) + len(ids[1] & ids[2])
    faults = [
        (twice, "rows in two parts"),
        (len(set(job.train.ids.tolist()) - ids[0]), "rows learned from that are not of training"),
        (
            len(set(job.validation.ids.tolist()) ^ ids[1]),
            "rows looked at while training that are not of validation, or lack",
        ),
        (_count(train.settled > cuts.validation_from), "rows of training open at the cut"),
        (_count(validation.settled > cuts.test_from), "rows of validation open at the cut"),
        (_count(train.decided >= cuts.validation_from), "rows of training after the cut"),
        (
            _count(validation.decided < cuts.validation_from + embargo_ms),
            "rows of validation within the embargo",
        ),
        (_count(validation.decided >= cuts.test_from), "rows of validation after the cut"),
        (_count(test.decided < cuts.test_from + embargo_ms), "rows of test within the embargo"),
        (
            _count((rows.decided < cuts.validation_from) & (rows.settled <= cuts.validation_from))
            - len(train),
            "rows of training that are missing",
        ),
    ]
    if seen_until is not None:
        old = _count(validation.decided <= seen_until) + _count(test.decided <= seen_until)
        faults.append((old, "rows that the version gone on from has seen"))
    elif test_from is None:
        share = float(np.mean(rows.decided < cuts.validation_from))
        faults.append((int(not 0.5 <= share <= 0.7), "cuts elsewhere than at 60 %"))
    else:
        faults.append((int(cuts.test_from != test_from), "tests that begin on another day"))
    sizes = " + ".join(f"{len(part):,}" for part in parts[:3])
    return counted("split", faults, f"{sizes} rows share neither a candidate nor an open bracket")


def _count(which: BoolArray) -> int:
    return int(np.count_nonzero(which))


def columns_are_standardised_by_training_alone(known: Rows, normaliser: Normaliser) -> Finding:
    """Mean and sd are those of the rows of training, and standardising is (x − mean) / sd.

    What drifts with an account has an sd of a tenth of the distance of its ends at least.
    """
    seen = known.observations.astype(np.float64)
    n = len(seen)
    mean = np.array([math.fsum(column) / n for column in seen.T.tolist()])
    sd = np.sqrt(((seen - mean) ** 2).sum(axis=0) / n)
    moves = sd > 1e-6 * np.maximum(1.0, np.abs(mean))
    least = np.array([_LEAST_SD.get(name, 0.0) for name in known.page.names])
    scale = np.maximum(np.where(moves | (least > 0.0), sd, 1.0), least)
    slack = 1e-6 * np.maximum(scale, np.abs(mean))
    away = np.abs(seen - mean) / scale
    given = normaliser(known.observations)
    faults = [
        (_count(~(np.abs(normaliser.mean - mean) <= slack)), "columns whose mean is another"),
        (_count(~(np.abs(normaliser.sd - scale) <= slack)), "columns whose sd is another"),
        (
            _count((~(np.abs(given - (seen - mean) / scale) <= 1e-3)).any(axis=1)),
            "rows that are standardised otherwise",
        ),
        (
            _count(away.max(axis=1, initial=0.0) > FURTHEST_SD * (1.0 + 1e-9)),
            f"rows beyond {FURTHEST_SD:g} sd",
        ),
    ]
    return counted(
        "normaliser", faults, f"mean and sd of {seen.shape[1]} columns are those of {n:,} rows"
    )


def no_column_tells_the_outcome(known: Rows) -> Finding:
    """No single column tells winners from losers as only the outcome itself could.

    The figure is the largest |AUC − ½| over the columns. By chance an AUC has at most the sd of
    Mann and Whitney's statistic, so that six of them are passed once in 10⁷ columns.
    """
    won = known.r > 0.0
    winners, losers = _count(won), _count(~won)
    if not winners or not losers:
        return Finding("leak", True, 0.0, "all rows end alike: there is nothing to tell")
    by_chance = math.sqrt((winners + losers + 1) / (12.0 * winners * losers))
    bound = max(MOST_TOLD, _SIX_SD * by_chance)
    away = np.array([abs(_auc(column, won) - 0.5) for column in known.observations.T])
    at = int(away.argmax())
    most, name = float(away[at]), known.page.names[at]
    said = f"'{name}' tells winners from losers with an AUC {most:.3f} from one half"
    if most <= bound:
        said = f"no column tells winners from losers; the best, {said}"
    return Finding("leak", most <= bound, most, said)


def _auc(column: FloatArray, won: BoolArray) -> float:
    """P(a winner's value is above a loser's), ties counted half."""
    values, place, count = np.unique(column, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2.0)[place]
    winners, losers = _count(won), _count(~won)
    above = float(rank[won].sum()) - winners * (winners + 1) / 2.0
    return above / (winners * losers) if len(values) > 1 else 0.5
