"""A benchmark as a tree that JSON can hold, and in the words of the guides' HTTP answer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from darwin.allocation.benchmark import Benchmark
from darwin.allocation.benchmark_figures import Figures
from darwin.allocation.benchmark_judgement import Judgement, Standing
from darwin.allocation.benchmark_settings import BenchmarkSettings
from darwin.stats.intervals import Interval

GUIDE_NAMES = {
    "buy_hold_metrics": "buy_and_hold",
    "moving_avg_metrics": "ma_crossover",
    "random_metrics": "random",
}
GUIDE_FIGURES = ("total_return", "sharpe_ratio", "max_drawdown", "win_rate", "avg_return")


def tree_of(benchmark: Benchmark) -> dict[str, Any]:
    """All figures with their intervals, and what they were reckoned under; unknown is None."""
    course = benchmark.course
    settings, closes = course.settings, course.closes
    return {
        "symbols": list(course.panel.symbols),
        "timeframe": course.panel.timeframe.name,
        **judgement_tree(benchmark),
        "test": span(closes[0], closes[-1], len(course.days.day)),
        "windows": [_window(benchmark, at) for at in range(len(course.windows))],
        "sampling": {
            **sampling_tree(settings, course.days.per_year),
            "decisions": len(course.rows), "bars_between_decisions": settings.every,
            "cost_bps": settings.cost_bps, "embargo_bars": settings.embargo,
            "seeds": settings.seeds,
        },
    }  # fmt: skip


def judgement_tree(told: Judgement) -> dict[str, Any]:
    """Who wins, what of the judged one is held, and every figure of all with its interval."""
    over = told.over_hold
    return {
        "judged": told.judged,
        "verdict": None if told.verdict is None else told.verdict.value,
        "winner": told.winner,
        "why": told.why,
        "criteria": [
            {"name": one.name, "bound": one.bound, "held": one.held, **_interval(one.figure)}
            for one in told.criteria
        ],
        "over_buy_and_hold": None if over is None else _interval(over),
        "strategies": {one.name: _standing(one) for one in told.standings},
    }


def sampling_tree(settings: BenchmarkSettings, days_per_year: float) -> dict[str, Any]:
    """How figures, intervals and the test of a winner are sampled."""
    return {
        "returns": "UTC days", "days_per_year": days_per_year,
        "interval": settings.level, "draws_of_days": settings.draws,
        "seed": settings.seed, "significance": settings.significance,
    }  # fmt: skip


def span(from_ms: int, to_ms: int, days: int) -> dict[str, Any]:
    """A stretch of UTC days between two closes."""
    return {"from": _iso(from_ms), "to": _iso(to_ms), "days": days}


def guide_metrics(benchmark: Judgement) -> dict[str, Any]:
    """The answer that the deployment guide shows: `rl_v3_metrics` and its sisters, `winner`.

    Each figure is a number, with its interval beside it under `intervals`. `winner` is "RL v3" for
    the agent, the name of a benchmark, or None with the reason under `why`.
    """
    found = {key: _guide_figures(benchmark.standing(of)) for key, of in GUIDE_NAMES.items()}
    judged, winner = benchmark.judged, benchmark.winner
    own = None if judged is None else _guide_figures(benchmark.standing(judged))
    says = "RL v3" if winner is not None and winner == judged else winner
    return {"rl_v3_metrics": own, **found, "winner": says, "why": benchmark.why}


def _guide_figures(standing: Standing) -> dict[str, Any]:
    every = {name: getattr(standing.figures, name) for name in GUIDE_FIGURES}
    return {name: _known(one.value) for name, one in every.items()} | {
        "intervals": {name: [_known(one.low), _known(one.high)] for name, one in every.items()}
    }


def _standing(one: Standing) -> dict[str, Any]:
    told = {name: _interval(getattr(one.figures, name)) for name in Figures._fields}
    return {"note": one.note, "books": one.books, "p_value": _known(one.p_value), **told}


def _window(benchmark: Benchmark, at: int) -> dict[str, str]:
    course = benchmark.course
    window, time, frame = course.windows[at], course.panel.time, course.panel.timeframe.ms
    return {
        "train_from": _iso(time[window.train_from]),
        "train_to": _iso(time[window.train_to - 1] + frame),
        "test_from": _iso(time[window.test_from] + frame),
        "test_to": _iso(time[window.test_to - 1] + frame),
    }


def _interval(one: Interval) -> dict[str, float | None]:
    return {name: _known(value) for name, value in one._asdict().items()}


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _iso(ms: int) -> str:
    return str(np.datetime64(int(ms), "ms").astype("datetime64[s]")) + "Z"
