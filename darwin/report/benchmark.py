"""A benchmark of books as a page: the verdict, the table with its intervals, the curves."""

from __future__ import annotations

from typing import Any

import numpy as np

from darwin.allocation.benchmark import Benchmark
from darwin.allocation.benchmark_tree import tree_of
from darwin.engine.report_curves import thin
from darwin.report import benchmark_words as said
from darwin.report.shell import TEMPLATES, own, render
from darwin.report.svg import curve_svg
from darwin.stats.performance import drawdowns

LOOKS = {
    "buy_and_hold": "buy_and_hold",
    "ma_crossover": "ma_crossover",
    "random_matched": "random_matched",
    "equal_weight": "learner",
    "minimum_variance": "without_agents",
}
"""How the lines of the benchmarks look; those that are not here are not drawn."""
_LOG_FROM = 4.0


def page(benchmark: Benchmark) -> str:
    """Write the page of one benchmark; it asks for nothing outside."""
    tree = tree_of(benchmark)
    lines = _lines(benchmark)
    plots = _plots(benchmark, lines)
    svg = {
        "equity": curve_svg(
            plots["equity"], log=plots["equity"]["log"] == "log", unit="", label="Value of books"
        ),
        "drawdown": curve_svg(
            plots["drawdown"], log=False, unit=" %", label="Drawdown in per cent"
        ),
    }
    return render(
        "benchmark.html.j2",
        TEMPLATES,
        plots,
        t=tree,
        said=said,
        verdict=said.verdict(tree),
        basis=said.basis(tree),
        lines=[(look, said.name(name)) for name, look, _ in lines],
        svg={name: own(drawn) for name, drawn in svg.items()},
    )


def _lines(benchmark: Benchmark) -> list[tuple[str, str, Any]]:
    """Name, look and values of what is drawn, the agent first."""
    looks = {benchmark.judged: "run"} | LOOKS
    return [
        (one.name, looks[one.name], one.value) for one in benchmark.standings if one.name in looks
    ]


def _plots(benchmark: Benchmark, lines: list[tuple[str, str, Any]]) -> dict[str, Any]:
    time = benchmark.course.closes // 1000
    values = np.stack([value for _, _, value in lines])
    falls = drawdowns(values, 1.0) * 100.0
    spans = float(values.max()) > _LOG_FROM * float(values.min()) > 0.0
    return {
        "equity": _plot(time, lines, values) | {"log": "log" if spans else "only linear"},
        "drawdown": _plot(time, lines, falls) | {"log": "only linear", "unit": "%"},
    }


def _plot(time: Any, lines: list[tuple[str, str, Any]], values: Any) -> dict[str, Any]:
    keep = thin(values)
    series = [
        {
            "name": name, "look": look, "label": said.name(name),
            "values": [round(one, 6) for one in row[keep].tolist()],
        }
        for (name, look, _), row in zip(lines, values, strict=True)
    ]  # fmt: skip
    return {"x": time[keep].tolist(), "series": series}
