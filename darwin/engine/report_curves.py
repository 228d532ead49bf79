"""What a report draws: curves thinned without losing an extreme, and histograms."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from darwin.core.market import DAY_MS, FloatArray, IntArray
from darwin.engine.report import Report
from darwin.engine.report_facts import Benchmark
from darwin.engine.report_twins import RUN, WITHOUT, brought
from darwin.engine.twins import Twins
from darwin.stats.performance import drawdowns, simple_returns

POINTS = 1500
LABELS = {
    "buy_and_hold": "Buy & hold",
    "ma_crossover": "MA crossover",
    "random_matched": "Random-matched, median",
    "random": "Random",
}
HISTOGRAM_BINS = 40
R_EDGES = np.arange(-3.0, 5.01, 0.25)


def thin(curves: FloatArray, points: int = POINTS) -> IntArray:
    """Choose about `points` of the columns of `curves`, shape (k, g), in order.

    Every bucket of neighbours keeps the lowest and the highest point of each curve; the first
    and the last column are always kept.
    """
    k, g = curves.shape
    if g <= points:
        return np.arange(g)
    edges = np.linspace(0, g, max(1, points // (2 * k)) + 1).astype(np.int64)
    kept = [0, g - 1]
    for start, stop in pairwise(edges.tolist()):
        piece = curves[:, start:stop]
        kept += (start + piece.argmin(axis=1)).tolist()
        kept += (start + piece.argmax(axis=1)).tolist()
    return np.unique(kept)


def curves(report: Report) -> dict[str, Any]:
    """Equity and drawdown of the run and its benchmarks: `x` in seconds, values as lists.

    A series has `name`, `label`, `values`; the equity also has `band`: 5 % and 95 % of the
    random-matched draws. Where agents changed the account, the equity shows its twin without them,
    and `added` by UTC day what they added to it.
    """
    own = report.result.equity.equity
    start = report.result.starting_equity_usd
    rivals = {rival.name: rival for rival in report.benchmarks}
    hold, crossover = (rivals[name].equity for name in ("buy_and_hold", "ma_crossover"))
    time = report.sampling.time
    twins = report.twins if report.metrics["twin"] else None
    alone = [] if twins is None else [twins.without_agents.result.equity.equity]
    keep = thin(np.stack([own, hold, crossover, *alone]))
    chance = rivals["random_matched"]
    band = np.empty((2, 0)) if chance.band is None else chance.band
    drawn = [("run", "This run", own[keep])]
    drawn += [(WITHOUT, "Without agents", twin[keep]) for twin in alone]
    drawn += _of(rivals, ("buy_and_hold", "ma_crossover"), keep)
    middle = _at(chance, chance.equity, time[keep], start)
    drawn.append((chance.name, LABELS[chance.name], middle))
    falls = np.stack([drawdowns(own, start), drawdowns(hold, start)])
    fallen = thin(falls)
    added = {} if twins is None else {"added": _added(report, twins)}
    return added | {
        "equity": {
            "x": _seconds(time[keep]),
            "series": [_series(*one) for one in drawn],
            "band": [_short(_at(chance, edge, time[keep], start)) for edge in band],
        },
        "drawdown": {
            "x": _seconds(time[fallen]),
            "series": [
                _series("run", "This run", falls[0, fallen] * 100),
                _series("buy_and_hold", LABELS["buy_and_hold"], falls[1, fallen] * 100),
            ],
        },
    }


def _added(report: Report, twins: Twins) -> dict[str, Any]:
    """What agents added to the account by the end of each UTC day, in USD."""
    days = report.sampling.days
    each = brought(report.result, twins, report.sampling)
    keep = thin(np.stack(list(each.values())))
    ends = (days.day[keep] + 1) * DAY_MS
    labels = {name: f"{name.replace('_', '-').capitalize()} alone" for name in each}
    labels[RUN] = "All agents together"
    return {
        "x": _seconds(ends),
        "series": [_series(name, labels[name], one[keep]) for name, one in each.items()],
    }


def histograms(report: Report) -> dict[str, Any]:
    """Daily returns (in per cent) and R of the trades: `edges` (b + 1) and `counts` (b)."""
    result, sampling = report.result, report.sampling
    daily = simple_returns(result.equity.equity[sampling.days.last], result.starting_equity_usd)
    moved = 100 * daily[np.isfinite(daily) & (daily != 0)]
    r = np.array([trade.r for trade in result.trades])
    edges = np.linspace(-1, 1, HISTOGRAM_BINS + 1)
    if len(moved):
        edges *= max(float(np.quantile(np.abs(moved), 0.995)), 1e-6)
    return {
        "daily": _histogram(moved, edges) | {"idle_days": int((daily == 0).sum())},
        "r": _histogram(r[np.isfinite(r)], R_EDGES),
    }


def _histogram(values: FloatArray, edges: FloatArray) -> dict[str, Any]:
    """Counts between `edges`; what lies beyond joins the outermost bins."""
    inside = np.clip(values, edges[0], np.nextafter(edges[-1], edges[0]))
    counts = np.histogram(inside, edges)[0]
    beyond = int(((values < edges[0]) | (values > edges[-1])).sum())
    return {
        "edges": edges.tolist(),
        "counts": counts.tolist(),
        "beyond": beyond,
        "values": len(values),
        "mean": float(values.mean()) if len(values) else None,
    }


def _of(
    rivals: dict[str, Benchmark], names: tuple[str, ...], keep: IntArray
) -> list[tuple[str, str, FloatArray]]:
    return [(name, LABELS[name], rivals[name].equity[keep]) for name in names]


def _at(rival: Benchmark, values: FloatArray, time: IntArray, start: float) -> FloatArray:
    """The last of `values` known at each of `time`; `start` before the first."""
    return np.append(start, values)[np.searchsorted(rival.time, time, side="right")]


def _series(name: str, label: str, values: FloatArray) -> dict[str, Any]:
    return {"name": name, "label": label, "values": _short(values)}


def _short(values: FloatArray) -> list[float]:
    """Six significant digits are more than a screen shows, and half the size of the file."""
    return [float(f"{value:.6g}") for value in values.tolist()]


def _seconds(time: IntArray) -> list[int]:
    seconds: list[int] = (time // 1000).tolist()
    return seconds
