"""The figures of a run as one plain dict: what metrics.json holds and every reader quotes.

Everything follows from the result and the arguments alone; no wall clock, no paths.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from darwin.core.market import DAY_MS
from darwin.core.provenance import Provenance
from darwin.core.trade import Exit
from darwin.engine.benchmarks import benchmarks
from darwin.engine.report_agents import agents
from darwin.engine.report_breakdown import (
    by_setup,
    data_rows,
    expert,
    funnel_rows,
    mean_or_nan,
    outcome_shares,
)
from darwin.engine.report_facts import Benchmark, Sampling
from darwin.engine.report_figures import money, performance, traded_usd
from darwin.engine.report_model import model_figures
from darwin.engine.report_recording import recording
from darwin.engine.report_rows import exposure_fraction
from darwin.engine.report_twins import twins_figures
from darwin.engine.report_verdict import assumptions, stopped, verdict
from darwin.engine.report_words import iso, plain
from darwin.engine.result import RunResult
from darwin.engine.twins import Twins
from darwin.stats import performance as perf
from darwin.stats.intervals import grouped_mean

BLOCK_BARS = 500  # trades that entered within the same 500 bars count as one observation


@dataclass(frozen=True, slots=True)
class Report:
    """A run with its figures: `metrics` is fit for JSON, the rest is for drawing."""

    result: RunResult
    sampling: Sampling
    benchmarks: tuple[Benchmark, ...]
    metrics: dict[str, Any]
    twins: Twins | None = None  # None: no agent takes part

    @property
    def twin(self) -> RunResult | None:
        """The same run without agents, where it sent other orders."""
        return _without_agents(self.result, self.twins)


def report(
    result: RunResult,
    run_id: str,
    *,
    calendar: str = "continuous",
    seed: int = 0,
    digests: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
    provenance: Provenance | None = None,
    twins: Twins | None = None,
    about_expert: Mapping[str, Any] | None = None,
) -> Report:
    """Work out all figures of `result`.

    `calendar`: "continuous" or "sessions". `seed` is that of the random benchmarks. `digests`:
    SHA-256 of each symbol's data, where known. `notes` join the assumptions. `provenance` says how
    the run was recorded, if it was. `twins` are those of a run with agents. `about_expert` tells of
    an expert that is a model.
    """
    sampling = Sampling.of(result, calendar)
    rivals = benchmarks(result, sampling, seed)
    expense = None if provenance is None else provenance.expense
    figures: dict[str, Any] = {
        "run_id": run_id,
        "run": recording(provenance),
        "synthetic": any(bars.synthetic for bars in result.markets),
        "stopped": stopped(result),
        "verdict": [],
        **_scope(result, sampling),
        **money(result),
        **performance(result, sampling),
        **_trading(result, sampling),
        "outcomes": outcome_shares(result),
        "expert": expert(result) | {"model": model_figures(result, about_expert, expense)},
        "funnel": {row["reason"]: row["count"] for row in funnel_rows(result)},
        "by_setup": by_setup(result),
        "benchmarks": {rival.name: _rival(rival, result, seed) for rival in rivals},
        "agents": agents(result),
        "twin": _twin(_without_agents(result, twins), sampling),
        "twins": None if twins is None else twins_figures(result, twins, sampling, seed),
        "safety_events": [
            {"time": iso(event.time), "kind": event.kind, "detail": event.detail}
            for event in result.safety_events
        ],
        "data": data_rows(result, calendar, dict(digests or {})),
    }
    metrics: dict[str, Any] = plain(figures)
    metrics["verdict"] = verdict(metrics)
    metrics["assumptions"] = [*assumptions(metrics, result.costs), *notes]
    return Report(result, sampling, rivals, metrics, twins)


def metrics(result: RunResult, run_id: str, **options: Any) -> dict[str, Any]:
    """What metrics.json holds; `options` as for `report`."""
    return report(result, run_id, **options).metrics


def _scope(result: RunResult, sampling: Sampling) -> dict[str, Any]:
    closed = sampling.time
    start = int(result.equity.time[0]) if len(closed) else None
    return {
        "symbols": list(result.symbols),
        "timeframe": result.markets[0].timeframe.name,
        "calendar": sampling.calendar,
        "start": None if start is None else iso(start),
        "end": None if start is None else iso(int(closed[-1])),
        "days": 0.0 if start is None else (int(closed[-1]) - start) / DAY_MS,
        "bars": sum(len(bars) for bars in result.markets),
        "candidates": len(result.candidates),
        "trades": len(result.trades),
    }


def _without_agents(result: RunResult, twins: Twins | None) -> RunResult | None:
    """The twin without agents; None where it sent the orders of `result`."""
    if twins is None or twins.are_the_run:
        return None
    twin = twins.without_agents.result
    return None if list(twin.orders) == list(result.orders) else twin


def _twin(twin: RunResult | None, sampling: Sampling) -> dict[str, Any] | None:
    """The figures of the run without agents that matter beside those of the run."""
    if twin is None:
        return None
    figures = money(twin) | performance(twin, sampling)
    names = ("net_pnl_usd", "total_return", "sharpe_ratio", "max_drawdown", "final_equity_usd")
    return {name: figures[name] for name in names} | {
        "trades": len(twin.trades),
        "candidates": len(twin.candidates),
    }


def _trading(result: RunResult, sampling: Sampling) -> dict[str, Any]:
    trades, equity = result.trades, result.equity.equity
    pnl = np.array([trade.net_pnl_usd for trade in trades])
    r = np.array([trade.r for trade in trades])
    years = (
        (int(sampling.time[-1]) - int(result.equity.time[0])) / DAY_MS / perf.YEAR_DAYS
        if len(equity)
        else 0.0
    )
    traded = traded_usd(trades)
    held = mean_or_nan(equity) * years
    return {
        "win_rate": perf.win_rate(pnl),
        "profit_factor": perf.profit_factor(pnl),
        "mean_r": mean_or_nan(r),
        "mean_r_interval": _interval(result),
        "longest_losing_streak": perf.longest_losing_streak(pnl),
        "exposure": mean_or_nan(exposure_fraction(result)),
        "time_in_market": mean_or_nan(result.equity.positions > 0),
        "turnover": traded / held if held > 0 else float("nan"),
    }


def _interval(result: RunResult) -> dict[str, Any]:
    """95 % interval of mean R over blocks of bars; trades closed by the run's end are left out."""
    evidence = [trade for trade in result.trades if trade.exit.reason != Exit.END_OF_RUN]
    r = np.array([trade.r for trade in evidence])
    block = np.array([trade.entry.instant // BLOCK_BARS for trade in evidence], dtype=np.int64)
    mean, low, high, groups = grouped_mean(r, block)
    return {
        "trades": len(evidence),
        "mean": mean,
        "low": low,
        "high": high,
        "level": 0.95,
        "blocks": groups,
        "bars_per_block": BLOCK_BARS,
    }


def _rival(rival: Benchmark, result: RunResult, seed: int) -> dict[str, Any]:
    figures: dict[str, Any] = {
        "total_return": rival.total_return,
        "sharpe_ratio": rival.sharpe_ratio,
        "max_drawdown": rival.max_drawdown,
        "trades": rival.trades,
        "note": rival.note,
    }
    if rival.draws is None:
        return figures
    own = sum(trade.net_pnl_usd for trade in result.trades) / result.starting_equity_usd
    q05, q50, q95 = np.quantile(rival.draws, [0.05, 0.5, 0.95])
    return figures | {
        "draws": len(rival.draws),
        "seed": seed,
        "mean": float(rival.draws.mean()),
        "q05": float(q05),
        "q50": float(q50),
        "q95": float(q95),
        "beaten_share": rival.beaten_share(own) if result.trades else float("nan"),
        "drawdown_sampling": "UTC days",
    }
