"""The page of a run of a book: its verdict, equity, drawdown, weights, figures, rulings."""

from __future__ import annotations

from typing import Any

from darwin.engine.book_report import ADVISED, BOOK, curves_of, verdict_on_book
from darwin.engine.book_run import BookResult
from darwin.report.book import drawn
from darwin.report.shell import TEMPLATES, render

_LOOKS = ("run", "without_agents", "buy_and_hold", "ma_crossover")
_LABELS = {BOOK: "This book", ADVISED: "Always as advised"}


def book_run_page(result: BookResult, metrics: dict[str, Any], *, synthetic: bool) -> str:
    """Write the page; `metrics` is what metrics.json holds."""
    panel, first = result.plan.panel, int(result.rows[0])
    curves = curves_of(result)
    names = [_LABELS.get(name, name.replace("_", " ").capitalize()) for name in curves]
    closed = panel.time[first:] + panel.timeframe.ms
    values, weights = list(curves.values()), result.weights[first:]
    plots, context = drawn(closed, names, values, weights, panel.symbols, _LOOKS)
    return render(
        "book_run.html.j2",
        TEMPLATES,
        plots,
        m=metrics,
        names=names,
        synthetic=synthetic,
        verdict=verdict_on_book(metrics),
        ends=[metrics["start"][:10], metrics["end"][:10]],
        **context,
    )
