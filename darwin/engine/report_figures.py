"""The figures of an account: the money, and how it grew. Of a run as of its twins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from darwin.core.market import DAY_MS
from darwin.core.trade import Trade
from darwin.engine.report_facts import Sampling
from darwin.engine.report_words import iso
from darwin.engine.result import RunResult
from darwin.stats import performance as perf


def money(result: RunResult) -> dict[str, Any]:
    """What was earned and where it went; `unexplained_usd` is zero where the books balance."""
    trades, start = result.trades, result.starting_equity_usd
    end = float(result.equity.equity[-1]) if len(result.equity.equity) else start
    net = sum(trade.net_pnl_usd for trade in trades)
    gross = sum(trade.gross_usd for trade in trades)
    funding = sum(trade.funding_usd for trade in trades)
    fees = sum(trade.fees_usd for trade in trades)
    slippage = sum(trade.slippage_usd for trade in trades)
    traded = traded_usd(trades)
    per_bps = traded * 1e-4 if traded else float("nan")
    return {
        "starting_equity_usd": start,
        "final_equity_usd": end,
        "net_pnl_usd": net,
        "gross_pnl_usd": gross,
        "fees_usd": fees,
        "slippage_usd": slippage,
        "funding_usd": funding,
        "unexplained_usd": end - start - net,
        "traded_usd": traded,
        "cost_bps_per_side": (fees + slippage) / per_bps,
        "break_even_bps_per_side": (gross - funding) / per_bps,
    }


def traded_usd(trades: Sequence[Trade]) -> float:
    """Value bought and sold, at mid prices."""
    return sum((t.units * (t.entry.mid_price + t.exit.mid_price) for t in trades), 0.0)


def performance(result: RunResult, sampling: Sampling) -> dict[str, Any]:
    """How the account grew and fell; ratios from daily returns."""
    start, equity = result.starting_equity_usd, result.equity.equity
    days, closed = sampling.days, sampling.time
    daily = perf.simple_returns(equity[days.last], start)
    elapsed = int(closed[-1] - result.equity.time[0]) if len(closed) else 0
    end = float(equity[-1]) if len(equity) else start
    growth = perf.cagr(start, end, elapsed)
    fall = perf.max_drawdown(equity, start)
    months = perf.monthly_returns(closed, equity, start)
    known = [month for month in months if np.isfinite(month.value)]
    return {
        "total_return": end / start - 1,
        "cagr": growth,
        "volatility_ann": float(perf.volatility(daily, days.per_year)),
        "sharpe_ratio": float(perf.sharpe_ratio(daily, days.per_year)),
        "sortino_ratio": float(perf.sortino_ratio(daily, days.per_year)),
        "calmar_ratio": perf.calmar_ratio(growth, fall.depth),
        "sampling": {
            "returns": len(daily),
            "annualisation_days": days.per_year,
            "text": sampling.sentence,
        },
        "max_drawdown": fall.depth,
        "drawdown": _drawdown(fall, sampling, result),
        "best_month": _month(max(known, key=lambda month: month.value)) if known else None,
        "worst_month": _month(min(known, key=lambda month: month.value)) if known else None,
        "monthly_returns": [_month(month) for month in months],
    }


def _month(month: perf.MonthReturn) -> dict[str, Any]:
    return {"month": f"{month.year:04d}-{month.month:02d}", "return": month.value}


def _drawdown(fall: perf.Drawdown, sampling: Sampling, result: RunResult) -> dict[str, Any] | None:
    """When the deepest fall began, bottomed and ended; `days` from its peak to its end."""
    if fall.trough < 0:
        return None
    closed = sampling.time
    began = int(closed[fall.peak]) if fall.peak >= 0 else int(result.equity.time[0])
    until = int(closed[-1] if fall.recovered is None else closed[fall.recovered])
    return {
        "peak": iso(began),
        "trough": iso(int(closed[fall.trough])),
        "recovered": None if fall.recovered is None else iso(until),
        "days": (until - began) / DAY_MS,
    }
