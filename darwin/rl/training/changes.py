"""What a policy would have changed: what it left, what it kept, its best and its worst calls."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from darwin.core.agents import GATE, PASS, TO_SKIP, TO_TAKE
from darwin.core.market import BoolArray, FloatArray, IntArray
from darwin.engine.report_words import iso
from darwin.rl.agents.setup import PLAYBOOKS, WHICH_PLAYBOOK
from darwin.rl.training.gains import departs, earned
from darwin.rl.training.rows import Rows

CALLS = 10
SIZES = 10  # bars of the histogram
OTHER = "other"


def changes(rows: Rows, actions: FloatArray, score: FloatArray) -> dict[str, Any]:
    """Sums over `actions`, shape (n,), of the rows; `score` is what the network gave for each.

    `gain_r` is what was earned beyond the baseline, summed up; no account decides about sizes here.
    """
    left = departs(rows, actions)
    paid = earned(rows, actions)
    gain = paid - earned(rows, np.full(len(rows), rows.page.baseline))
    playbook, side = playbooks_of(rows), sides_of(rows)
    return {
        "choices": [
            {
                "choice": choice,
                "candidates": int(mine.sum()),
                "share": float(mine.mean()),
                "expert_takes": int(rows.take[mine].sum()),
                "mean_r": _mean(rows.r[mine]),
                "total_r": float(rows.r[mine].sum()),
                "earned_r": float(paid[mine].sum()),
                "gain_r": float(gain[mine].sum()),
            }
            for choice, mine in _choices(rows, actions, left)
        ],
        "gain_r": float(gain.sum()),
        "by_playbook": _by(rows, left, gain, playbook, (*PLAYBOOKS, OTHER)),
        "by_symbol": _by(rows, left, gain, rows.symbol, rows.symbols),
        "by_side": _by(rows, left, gain, side, ("long", "short")),
        "best_calls": _calls(rows, actions, score, gain, np.argsort(-gain, kind="stable"), 1.0),
        "costliest_mistakes": _calls(
            rows, actions, score, gain, np.argsort(gain, kind="stable"), -1.0
        ),
    }


def playbooks_of(rows: Rows) -> IntArray:
    """Which of `PLAYBOOKS` each candidate is of, shape (n,); the next number for any other."""
    flags = rows.observations[:, [rows.page.place(column.name) for column in WHICH_PLAYBOOK]]
    found: IntArray = np.where(flags.any(axis=1), flags.argmax(axis=1), len(PLAYBOOKS))
    return found


def sides_of(rows: Rows) -> IntArray:
    """0 for a long, 1 for a short, shape (n,)."""
    return np.asarray(rows.observations[:, rows.page.place("side")] < 0.0, dtype=np.int64)


def _choices(rows: Rows, actions: FloatArray, left: FloatArray) -> Iterable[tuple[str, BoolArray]]:
    if rows.page.is_continuous:
        bar = np.minimum((actions * SIZES).astype(np.int64), SIZES - 1)
        return [(f"{at / SIZES:.1f} to {(at + 1) / SIZES:.1f}", bar == at) for at in range(SIZES)]
    if rows.page.name == GATE:
        return [("skipped", actions != PASS), ("passed", actions == PASS)]
    changed = left > 0.0
    return [
        ("overridden to skip", changed & (actions == TO_SKIP)),
        ("overridden to take", changed & (actions == TO_TAKE)),
        ("kept, a take", ~changed & rows.take),
        ("kept, a skip", ~changed & ~rows.take),
    ]


def _by(
    rows: Rows, left: FloatArray, gain: FloatArray, member: IntArray, names: tuple[str, ...]
) -> list[dict[str, Any]]:
    """One line for each name that has a candidate."""
    told = []
    for at, name in enumerate(names):
        mine = member == at
        if mine.any():
            told.append({
                "name": name,
                "candidates": int(mine.sum()),
                "departure_rate": float(left[mine].mean()),
                "mean_r": _mean(rows.r[mine]),
                "mean_r_left": _weighted(rows.r[mine], left[mine]),
                "mean_r_stayed": _weighted(rows.r[mine], 1.0 - left[mine]),
                "gain_r": float(gain[mine].sum()),
            })  # fmt: skip
    return told


def _calls(
    rows: Rows,
    actions: FloatArray,
    score: FloatArray,
    gain: FloatArray,
    order: IntArray,
    sign: float,
) -> list[dict[str, Any]]:
    """The first in `order` whose gain has that sign."""
    page, playbook, side = rows.page, playbooks_of(rows), sides_of(rows)
    return [
        {
            "candidate_id": rows.ids[at].decode(),
            "decided": iso(int(rows.decided[at])),
            "symbol": rows.symbols[rows.symbol[at]],
            "playbook": (*PLAYBOOKS, OTHER)[playbook[at]],
            "side": ("long", "short")[side[at]],
            "expert": "take" if rows.take[at] else "skip",
            "action": float(actions[at]) if page.is_continuous else page.actions[int(actions[at])],
            "score": float(score[at]),
            "r": float(rows.r[at]),
            "gain_r": float(gain[at]),
        }
        for at in order[:CALLS]
        if gain[at] * sign > 0.0
    ]  # fmt: skip


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _weighted(values: FloatArray, weight: FloatArray) -> float:
    whole = float(weight.sum())
    return float(values @ weight) / whole if whole > 0.0 else float("nan")
