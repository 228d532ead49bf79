"""A run taken apart: by playbook and side, by what the expert said, by month, by symbol."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from darwin.core.candidate import SIDE_NAME
from darwin.core.decision import NO_ANSWER, STAGES, Reason
from darwin.core.market import BoolArray, FloatArray
from darwin.core.trade import Status
from darwin.engine.report_words import iso
from darwin.engine.result import RunResult
from darwin.errors import IntegrityError
from darwin.stats.stylised import auc

CONFIDENCE_BINS = 10


def mean_or_nan(values: FloatArray | BoolArray) -> float:
    """The mean, or NaN of nothing."""
    return float(values.mean()) if len(values) else float("nan")


def funnel_rows(result: RunResult) -> list[dict[str, Any]]:
    """Each reason that occurred, in order of the funnel's stages, with its count and share.

    Raises IntegrityError unless the counts add up to the candidates.
    """
    total = len(result.candidates)
    counts = result.funnel()
    if sum(counts.values()) != total:
        raise IntegrityError(
            f"the funnel counts {sum(counts.values())} candidates of {total}",
            where="reasons of the run",
            mend="this is a bug: every candidate must end with exactly one reason",
        )
    return [
        {
            "stage": r.stage,
            "reason": r.text,
            "count": counts[r.text],
            "share": counts[r.text] / total,
        }
        for r in sorted(Reason, key=lambda reason: (STAGES.index(reason.stage), reason))
        if r.text in counts
    ]


def by_setup(result: RunResult) -> list[dict[str, Any]]:
    """Per playbook and side: candidates, taken, mean R of all outcomes and of those taken.

    Mean R is over resolved outcomes, whether or not the candidate was traded.
    """
    table, outcomes = result.candidates, result.outcomes
    resolved = outcomes.status == Status.RESOLVED
    taken = result.reasons == Reason.TAKEN
    net = np.zeros(len(table))
    net[[trade.row for trade in result.trades]] = [trade.net_pnl_usd for trade in result.trades]
    rows = []
    for number, name in enumerate(result.playbooks):
        for side, side_name in SIDE_NAME.items():
            mine = (table.playbook == number) & (table.side == side)
            if not mine.any():
                continue
            rows.append(
                {
                    "playbook": name,
                    "side": side_name,
                    "candidates": int(mine.sum()),
                    "taken": int((mine & taken).sum()),
                    "mean_r_all": mean_or_nan(outcomes.r[mine & resolved]),
                    "mean_r_taken": mean_or_nan(outcomes.r[mine & taken & resolved]),
                    "win_share_all": mean_or_nan(outcomes.r[mine & resolved] > 0),
                    "net_pnl_usd": float(net[mine].sum()),
                }
            )
    return rows


def outcome_shares(result: RunResult) -> dict[str, Any]:
    """How many brackets are resolved, and how much hangs on the rule that the stop wins."""
    outcomes = result.outcomes
    resolved = outcomes.status == Status.RESOLVED
    return {
        "resolved": int(resolved.sum()),
        "gapped": int((outcomes.status == Status.GAPPED).sum()),
        "unresolved": int((outcomes.status == Status.UNRESOLVED).sum()),
        "unresolved_share": mean_or_nan(outcomes.status == Status.UNRESOLVED),
        "ambiguous_share": mean_or_nan(outcomes.ambiguous[resolved]),
        "mean_r_all": mean_or_nan(outcomes.r[resolved]),
    }


def expert(result: RunResult) -> dict[str, Any]:
    """What the expert cost and how well its confidence told winners from losers.

    Judged on every candidate it was asked about whose outcome is resolved, taken or not. `auc`
    is the chance that a winner had more confidence than a loser (Mann and Whitney 1947, ties
    half); `brier` the mean squared error of confidence as a probability of R > 0 (Brier 1950),
    beside that of always saying the base rate. Where no answer came it has said nothing: that is in
    none of these, and in `take_share` neither; `no_answer` counts it by its cause.
    """
    verdicts, outcomes = result.verdicts, result.outcomes
    asked = verdicts.asked
    resolved = asked & (outcomes.status == Status.RESOLVED) & np.isfinite(verdicts.confidence)
    silent = _silent(result)
    answered = asked.copy()
    answered[list(silent)] = False
    judged = resolved & answered
    confidence, r = verdicts.confidence[judged], outcomes.r[judged]
    won = (r > 0).astype(np.float64)
    base = mean_or_nan(won)
    return {
        "calls": int(asked.sum()),
        "answered": int(answered.sum()),
        "no_answer": dict(sorted(Counter(silent.values()).items())),
        "cost_usd": float(verdicts.cost_usd[asked].sum()),
        "take_share": mean_or_nan(verdicts.take[answered]),
        "judged": int(judged.sum()),
        "mean_r_take": mean_or_nan(outcomes.r[judged & verdicts.take]),
        "mean_r_skip": mean_or_nan(outcomes.r[judged & ~verdicts.take]),
        "win_share": base,
        "auc": auc(confidence, won > 0),
        "brier": mean_or_nan((confidence - won) ** 2),
        "brier_of_base_rate": base * (1 - base),
        "calibration": _calibration(confidence, r),
        "flags": _flags(result, resolved),
    }


def _silent(result: RunResult) -> dict[int, str]:
    """The rows of candidates about which no answer came, each with why."""
    return {
        row: flags[0].removeprefix(NO_ANSWER)
        for row, flags in result.verdicts.flags.items()
        if flags and flags[0].startswith(NO_ANSWER)
    }


def _calibration(confidence: FloatArray, r: FloatArray) -> list[dict[str, Any]]:
    bin_of = np.clip((confidence * CONFIDENCE_BINS).astype(np.int64), 0, CONFIDENCE_BINS - 1)
    rows = []
    for number in np.unique(bin_of):
        mine = bin_of == number
        rows.append(
            {
                "from": int(number) / CONFIDENCE_BINS,
                "to": (int(number) + 1) / CONFIDENCE_BINS,
                "candidates": int(mine.sum()),
                "mean_confidence": float(confidence[mine].mean()),
                "win_share": float(np.mean(r[mine] > 0)),
                "mean_r": float(r[mine].mean()),
            }
        )
    return rows


def _flags(result: RunResult, resolved: BoolArray) -> list[dict[str, Any]]:
    rows_of: dict[str, list[int]] = {}
    for row, flags in result.verdicts.flags.items():
        for flag in flags:
            rows_of.setdefault(flag, []).append(row)
    ranked = sorted(rows_of.items(), key=lambda item: (-len(item[1]), item[0]))
    return [
        {
            "flag": flag,
            "candidates": len(rows),
            "mean_r": mean_or_nan(result.outcomes.r[[row for row in rows if resolved[row]]]),
        }
        for flag, rows in ranked
    ]


def data_rows(result: RunResult, calendar: str, digests: dict[str, str]) -> list[dict[str, Any]]:
    """Per symbol: range, bars, gaps. In a session market closures are no gaps: null."""
    rows = []
    for bars in result.markets:
        frame = bars.timeframe.ms
        missing = np.diff(bars.time) // frame - 1
        counted = calendar == "continuous"
        rows.append(
            {
                "symbol": bars.symbol,
                "timeframe": bars.timeframe.name,
                "bars": len(bars),
                "first": iso(int(bars.time[0])) if len(bars) else None,
                "last": iso(int(bars.time[-1])) if len(bars) else None,
                "gaps": int((missing > 0).sum()) if counted else None,
                "missing_bars": int(missing.sum()) if counted else None,
                "longest_gap_bars": int(missing.max(initial=0)) if counted else None,
                "funding": bars.funding is not None,
                "sha256": digests.get(bars.symbol),
            }
        )
    return rows
