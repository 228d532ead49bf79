"""Do a network's scores mean anything: tenths of the test by score, and what became of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from darwin.core.market import DAY_MS, FloatArray, IntArray
from darwin.rl.training.rows import Rows
from darwin.stats.intervals import grouped_error

TENTHS = 10


def calibration(rows: Rows, score: FloatArray, departures: IntArray) -> list[dict[str, Any]]:
    """Rows by tenths of their `score`, shape (n,), lowest first.

    `departures` are the codes by which each row would leave the baseline, shape (n,), not asked for
    where actions are sizes. Of each tenth: where its scores lie, how many candidates of how many
    UTC days it holds, their mean R, and of codes what leaving the baseline would have earned beyond
    staying. Standard errors take all candidates of one UTC day for one group.
    """
    tenth, day = tenths(score), rows.decided // DAY_MS
    worth = None if rows.page.is_continuous else _worth(rows, departures)
    told = []
    for at in np.unique(tenth):
        mine = tenth == at
        error, days = grouped_error(rows.r[mine], day[mine])
        one: dict[str, Any] = {
            "low": float(score[mine].min()), "high": float(score[mine].max()),
            "mean_score": float(score[mine].mean()), "candidates": int(mine.sum()), "days": days,
            "mean_r": float(rows.r[mine].mean()), "mean_r_error": error,
        }  # fmt: skip
        if worth is not None:
            one["leaving_r"] = float(worth[mine].mean())
            one["leaving_r_error"] = grouped_error(worth[mine], day[mine])[0]
        told.append(one)
    return told


def tenths(score: FloatArray) -> IntArray:
    """In which tenth by size each score is, shape (n,); equal scores are in the same one.

    So there are fewer than ten where many are equal, and numbers may be left out.
    """
    edges = np.unique(np.quantile(score, np.arange(1, TENTHS) / TENTHS))
    found: IntArray = np.searchsorted(edges, score, side="right").astype(np.int64)
    return found


def _worth(rows: Rows, departures: IntArray) -> FloatArray:
    """What leaving the baseline by `departures` earned beyond staying, R, shape (n,)."""
    left = rows.rewards[np.arange(len(rows)), departures]
    return np.asarray(left - rows.rewards[:, int(rows.page.baseline)])
