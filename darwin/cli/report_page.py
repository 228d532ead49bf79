"""The report as one self-contained HTML page: style, script and plots inlined, no request made."""

from __future__ import annotations

import math
from itertools import islice
from pathlib import Path
from typing import Any

from darwin.engine import report_words as words
from darwin.engine.report import Report
from darwin.engine.report_breakdown import funnel_rows
from darwin.engine.report_curves import LABELS, curves, histograms
from darwin.engine.report_recording import bars_left_out, disturbances, taken_up_again
from darwin.engine.report_rows import TRADE_COLUMNS, trades_rows
from darwin.report.shell import own, render
from darwin.report.svg import curve_svg, histogram_svg

TEMPLATES = Path(__file__).parent / "templates"
TRADES_SHOWN = 500
_LOG_FROM = 4.0  # a curve that spans more than this factor reads better on a log scale


def page(report: Report) -> str:
    """Write `report` as HTML; everything that came from outside is escaped."""
    plots = curves(report)
    scale = _log_scale(plots["equity"])
    plots["equity"]["log"] = scale
    plots["drawdown"]["unit"] = "%"
    added = plots.get("added")
    if added is not None:
        added["unit"] = "USD"
    shapes = histograms(report)
    trades = report.result.trades
    return render(
        "report.html.j2",
        TEMPLATES,
        plots,
        m=report.metrics,
        again=taken_up_again(report.metrics["run"]),
        left_out=bars_left_out(report.metrics["run"]),
        disturbances=disturbances(report.metrics["run"]) if report.metrics["run"] else [],
        key_figures=key_figures(report.metrics),
        rivals=_rivals(report.metrics),
        months=month_table(report.metrics["monthly_returns"]),
        funnel=funnel_rows(report.result),
        shapes=shapes,
        trades=_newest_trades(report),
        trades_total=len(trades),
        equity_svg=own(
            curve_svg(plots["equity"], log=scale == "log", unit="", label="Equity in USD")
        ),
        added=added,
        added_svg=own(
            curve_svg(added, log=False, unit="", label="What agents added, in USD") if added else ""
        ),
        drawdown_svg=own(
            curve_svg(plots["drawdown"], log=False, unit=" %", label="Drawdown in per cent")
        ),
        daily_svg=own(
            histogram_svg(shapes["daily"], unit=" %", label="Histogram of daily returns")
        ),
        r_svg=own(histogram_svg(shapes["r"], unit=" R", label="Histogram of R per trade")),
    )


def key_figures(m: dict[str, Any]) -> list[dict[str, Any]]:
    """The figures at the top: label, value, what it means in few words, and its sign."""
    interval = m["mean_r_interval"]
    spread = "interval needs more trades"
    if interval["low"] is not None:
        low, high = (words.number(interval[end], 3, sign=True) for end in ("low", "high"))
        spread = f"95 %: {low} to {high}"
    fall = m["drawdown"]
    fell = f"over {fall['days']:,.0f} days" if fall else "never below its peak"
    if fall and fall["recovered"] is None:
        fell += ", not recovered"
    days = m["sampling"]["annualisation_days"]
    figures = [
        ("Net P&L", words.usd(m["net_pnl_usd"], sign=True), "after all costs", m["net_pnl_usd"]),
        ("Total return", words.percent(m["total_return"], sign=True),
         f"to {words.usd(m['final_equity_usd'])}", m["total_return"]),
        ("CAGR", words.percent(m["cagr"], sign=True),
         "compound, per year" if m["cagr"] is not None else "needs 30 days", m["cagr"]),
        ("Sharpe", words.number(m["sharpe_ratio"]), f"UTC days, {days:.4g} a year", None),
        ("Sortino", words.number(m["sortino_ratio"]), "target 0", None),
        ("Volatility", words.percent(m["volatility_ann"]), "annualised", None),
        ("Max drawdown", words.percent(m["max_drawdown"]), fell, m["max_drawdown"]),
        ("Calmar", words.number(m["calmar_ratio"]), "CAGR over max drawdown", None),
        ("Trades", f"{m['trades']:,}", f"of {m['candidates']:,} candidates", None),
        ("Mean R", words.number(m["mean_r"], 3, sign=True), spread, m["mean_r"]),
        ("Win rate", words.percent(m["win_rate"]),
         f"longest losing streak {m['longest_losing_streak']}", None),
        ("Profit factor", words.number(m["profit_factor"]), "won over lost", None),
        ("Exposure", words.percent(m["exposure"]),
         f"in the market {words.percent(m['time_in_market'], 0)} of bars", None),
        ("Turnover", words.number(m["turnover"], 1) + "\N{MULTIPLICATION SIGN}",
         "of mean equity, per year", None),
        ("Fees", words.usd(m["fees_usd"]), f"slippage {words.usd(m['slippage_usd'])}", None),
        ("Break-even", words.number(m["break_even_bps_per_side"]) + " bps",
         f"paid {words.number(m['cost_bps_per_side'])} bps per side", None),
    ]  # fmt: skip
    return [
        {"label": label, "value": value, "note": note, "loss": sign is not None and sign < 0}
        for label, value, note, sign in figures
    ]


def month_table(months: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Months as rows of years: twelve cells, None where nothing is known, and the year's total.

    A cell holds its return and a tint of 0..1 against the month that moved most.
    """
    known = [month for month in months if month["return"] is not None]
    most = max((abs(month["return"]) for month in known), default=0.0) or 1.0
    years: dict[str, list[dict[str, Any] | None]] = {}
    for month in known:
        year, number = month["month"].split("-")
        tint = round(abs(month["return"]) / most, 2)
        cell = {"return": month["return"], "tint": tint}
        years.setdefault(year, [None] * 12)[int(number) - 1] = cell
    return [
        {
            "year": year,
            "cells": cells,
            "total": math.prod(1 + cell["return"] for cell in cells if cell) - 1,
        }
        for year, cells in years.items()
    ]


def _rivals(m: dict[str, Any]) -> list[dict[str, Any]]:
    own = {key: m[key] for key in ("total_return", "sharpe_ratio", "max_drawdown", "trades")}
    rows = [own | {"label": "This run", "note": "", "own": True}]
    for name, figures in m["benchmarks"].items():
        rows.append(figures | {"label": LABELS[name].split(",")[0], "own": False})
    return rows


def _newest_trades(report: Report) -> list[dict[str, Any]]:
    trades = report.result.trades
    rows = islice(trades_rows(report.result), max(0, len(trades) - TRADES_SHOWN), None)
    return [dict(zip(TRADE_COLUMNS, row, strict=True)) for row in rows][::-1]


def _log_scale(plot: dict[str, Any]) -> str:
    """Which scale suits the equity: `log`, `linear`, or `only linear` where values reach zero."""
    values = [value for one in plot["series"] for value in one["values"]]
    if not values or min(values) <= 0:
        return "only linear"
    return "log" if max(values) / min(values) > _LOG_FROM else "linear"
