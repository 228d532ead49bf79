"""The page of a book over held-out bars: its verdict, equity, drawdown, weights, figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from darwin.core.market import FloatArray, IntArray
from darwin.report.shell import TEMPLATES, own, render
from darwin.report.svg import curve_svg, shares_svg
from darwin.stats.performance import drawdowns
from darwin.trading.book import Walk

LOOKS = ("run", "without_agents", "buy_and_hold")
"""Of the lines of the agent, of its baseline, of a third book."""
MOST_POINTS = 1500  # of a line; more are not seen
MOST_SHARES = 6  # assets drawn by name, those of the largest weights
_LOG_FROM = 4.0  # a curve that spans more than this factor reads better on a log scale


def page(told: dict[str, Any], closed: IntArray, walks: Sequence[Walk], symbols: Any) -> str:
    """Write the page; `told` is what report.json holds, `walks` those of its figures.

    `closed` (t,) are the closes of the bars, ms UTC.
    """
    names = [one["name"] for one in told["figures"]]
    values = [one.value for one in walks]
    plots, context = drawn(closed, names, values, walks[0].weights, symbols, LOOKS)
    return render(
        "book.html.j2",
        TEMPLATES,
        plots,
        t=told,
        ends=[told["held_out"]["from"][:10], told["held_out"]["to"][:10]],
        **context,
    )


def drawn(
    closed: IntArray,
    names: Sequence[str],
    values: Sequence[FloatArray],
    weights: FloatArray,
    symbols: Sequence[str],
    looks: Sequence[str],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The plots of books by their `values` (t,), and what a page says beside them.

    `weights` (t, n) are those of the first book. Lines beyond `looks` are left out.
    """
    shown = np.unique(np.linspace(0, len(closed) - 1, min(len(closed), MOST_POINTS)).astype(int))
    falls = [100.0 * drawdowns(one, 1.0) for one in values]
    equity = _plotted(closed, shown, names, values, looks)
    fallen = _plotted(closed, shown, names, falls, looks, unit="%")
    spans = [one["values"] for one in equity["series"]]
    log = max(map(max, spans)) / max(min(map(min, spans)), 1e-9) > _LOG_FROM
    equity["log"] = "log" if log else "linear"
    labels, shares = _shares_of(weights[shown], symbols)
    return {"equity": equity, "drawdown": fallen}, {
        "keys": list(zip(looks, names, strict=False)),
        "equity_svg": own(curve_svg(equity, log=log, unit="", label="Value of the book")),
        "drawdown_svg": own(curve_svg(fallen, log=False, unit=" %", label="Drawdown in per cent")),
        "weights_svg": own(shares_svg(shares, "Weights over time")),
        "labels": labels,
    }


def _plotted(
    closed: IntArray,
    shown: IntArray,
    names: Sequence[str],
    values: Sequence[FloatArray],
    looks: Sequence[str],
    **more: Any,
) -> dict[str, Any]:
    """Lines over time as a page draws them."""
    series = [
        {"name": look, "look": look, "label": name, "values": one[shown].tolist()}
        for look, name, one in zip(looks, names, values, strict=False)
    ]
    return {"x": (closed[shown] / 1000.0).tolist(), "series": series, **more}


def _shares_of(weights: FloatArray, symbols: Sequence[str]) -> tuple[list[str], FloatArray]:
    """What is drawn by name, and how much of the book it is, (k, t); shorts count as they are."""
    held = np.abs(weights)
    order = np.argsort(-held.mean(axis=0), kind="stable")[:MOST_SHARES]
    rest = np.delete(held, order, axis=1).sum(axis=1)
    named, shares = [symbols[at] for at in order], [held[:, at] for at in order]
    if weights.shape[1] > len(order):
        named, shares = [*named, f"{weights.shape[1] - len(order)} others"], [*shares, rest]
    cash = np.maximum(1.0 - held.sum(axis=1), 0.0)
    stacked = np.array([*shares, cash])
    return [*named, "cash"], stacked / np.maximum(stacked.sum(axis=0), 1e-9)
