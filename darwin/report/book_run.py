"""The page of a run of a book: its verdict, equity, drawdown, weights, figures, rulings."""

from __future__ import annotations

from typing import Any

import numpy as np

from darwin.engine.book_report import ADVISED, BOOK, curves_of, verdict_on_book
from darwin.engine.book_run import BookResult
from darwin.report.book import MOST_POINTS, plotted, shares_of
from darwin.report.shell import TEMPLATES, own, render
from darwin.report.svg import curve_svg, shares_svg
from darwin.stats.performance import drawdowns

_LOOKS = ("run", "without_agents", "buy_and_hold", "ma_crossover")
_LABELS = {BOOK: "This book", ADVISED: "Always as advised"}
_LOG_FROM = 4.0


def book_run_page(result: BookResult, metrics: dict[str, Any], *, synthetic: bool) -> str:
    """Write the page; `metrics` is what metrics.json holds."""
    panel, first = result.plan.panel, int(result.rows[0])
    curves = curves_of(result)
    names = [_LABELS.get(name, name.replace("_", " ").capitalize()) for name in curves]
    closed = panel.time[first:] + panel.timeframe.ms
    shown = np.unique(np.linspace(0, len(closed) - 1, min(len(closed), MOST_POINTS)).astype(int))
    equity = plotted(closed, shown, names, list(curves.values()), looks=_LOOKS)
    falls = [100.0 * drawdowns(one, 1.0) for one in curves.values()]
    fallen = plotted(closed, shown, names, falls, looks=_LOOKS, unit="%")
    spans = [one["values"] for one in equity["series"]]
    log = max(map(max, spans)) / max(min(map(min, spans)), 1e-9) > _LOG_FROM
    equity["log"] = "log" if log else "linear"
    labels, shares = shares_of(result.weights[first:][shown], panel.symbols)
    return render(
        "book_run.html.j2",
        TEMPLATES,
        {"equity": equity, "drawdown": fallen},
        m=metrics,
        names=names,
        synthetic=synthetic,
        verdict=verdict_on_book(metrics),
        keys=list(zip(_LOOKS, names, strict=False)),
        equity_svg=own(curve_svg(equity, log=log, unit="", label="Value of the book")),
        drawdown_svg=own(curve_svg(fallen, log=False, unit=" %", label="Drawdown in per cent")),
        weights_svg=own(shares_svg(shares, "Weights over time")),
        labels=labels,
        ends=[metrics["start"][:10], metrics["end"][:10]],
    )
