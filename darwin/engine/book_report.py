"""What a run of a book came to, as figures: the book beside its advice and its baselines."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from darwin.core.agents import Role
from darwin.core.candidate import id_text
from darwin.core.market import DAY_MS, FloatArray
from darwin.engine.book_run import BookResult
from darwin.engine.report_words import iso
from darwin.stats.performance import (
    cagr,
    max_drawdown,
    sharpe_ratio,
    simple_returns,
    utc_days,
    volatility,
)

BOOK, ADVISED = "book", "advised"
"""The book of the run, and the one that always did what the serving model said."""


def curves_of(result: BookResult) -> dict[str, FloatArray]:
    """Value at each close from the first rebalance on, of each book that began with 1, by name."""
    first = int(result.rows[0])
    named = zip(result.plan.baselines, result.baselines, strict=True)
    every = {BOOK: result.value, ADVISED: result.advised} | {b.name: v for b, v in named}
    return {name: values[first:] for name, values in every.items()}


def book_metrics(result: BookResult, run_id: str, agent: str, *, calendar: str) -> dict[str, Any]:
    """All figures, ready for JSON: what cannot be said is None."""
    panel, first = result.plan.panel, int(result.rows[0])
    closes = panel.time[first:] + panel.timeframe.ms
    serving = [one for one in result.rebalances if one.role is Role.SERVING]
    held = [one for one in result.holdings if one.role is Role.SERVING]
    days = utc_days(closes, calendar)
    figures = [
        {"name": name} | _figures(values, days.last, days.per_year, closes)
        for name, values in curves_of(result).items()
    ]
    asked = sum(one.action is not None for one in serving)
    return {
        "run_id": run_id,
        "agent": agent,
        "symbols": list(panel.symbols),
        "timeframe": panel.timeframe.name,
        "every": result.plan.every,
        "start": iso(int(closes[0])),
        "end": iso(int(closes[-1])),
        "bars": len(panel),
        "days": len(days.day),
        "rebalances": len(serving),
        "advised": asked,
        "followed": sum(one.followed for one in serving),
        "limited": sum(bool(one.limited_by) for one in serving),
        "reasons": dict(sorted(Counter(str(one.why) for one in serving).items())),
        "turnover": _mean([one.turnover or 0.0 for one in held]),
        "costs": float(sum(one.cost or 0.0 for one in held)),
        "win_rate": _mean([float((one.book_return or 0.0) > 0.0) for one in held]),
        "figures": figures,
        "safety_events": [
            {"time": iso(one.time), "kind": one.kind, "agent": one.agent, "detail": one.detail}
            for one in result.safety_events
        ],
    }


def verdict_on_book(metrics: dict[str, Any]) -> str:
    """In one sentence what the book came to; it claims nothing that no test has shown."""
    book, *_ = metrics["figures"]
    rivals = metrics["figures"][2:]
    told = f"The book returned {_percent(book['total_return'])}"
    for one in rivals:
        told += f", {one['name'].replace('_', ' ')} {_percent(one['total_return'])}"
    acts = metrics["followed"]
    who = f"{acts} of {metrics['rebalances']} rebalances followed the {metrics['agent']} agent"
    return f"{told}, all costs paid; {who}."


EQUITY_HEAD = "time"


def equity_lines(result: BookResult) -> Iterator[str]:
    """equity.csv: at each close the value of every book."""
    panel, first = result.plan.panel, int(result.rows[0])
    curves = curves_of(result)
    yield ",".join([EQUITY_HEAD, *curves]) + "\n"
    columns = [values.tolist() for values in curves.values()]
    for time, *values in zip(
        (panel.time[first:] + panel.timeframe.ms).tolist(), *columns, strict=True
    ):
        yield ",".join([iso(time), *map(repr, values)]) + "\n"


def weight_rows(result: BookResult) -> tuple[Sequence[str], Iterator[Sequence[object]]]:
    """weights.csv: of each rebalance what was advised, what stands without it, what was held."""
    symbols = result.plan.panel.symbols
    kinds = ("final", "advised", "baseline")
    head = [
        "time",
        "rebalance_id",
        "reason",
        "limited_by",
        *(f"{k} {s}" for k in kinds for s in symbols),
    ]

    def rows() -> Iterator[Sequence[object]]:
        close = result.plan.panel.timeframe.ms
        for one in result.rebalances:
            if one.role is Role.SERVING:
                advised: Sequence[object] = one.advised or [""] * len(symbols)
                yield [
                    iso(one.at.bar_time + close), id_text(one.at.id), str(one.why), one.limited_by,
                    *one.final, *advised, *one.baseline,
                ]  # fmt: skip

    return head, rows()


def _figures(
    values: FloatArray, last: Any, per_year: float, closes: Any
) -> dict[str, float | None]:
    daily = simple_returns(values[last], 1.0)
    elapsed = float(closes[-1] - closes[0])
    return {
        "total_return": _known(float(values[-1]) - 1.0),
        "cagr": _known(cagr(1.0, float(values[-1]), elapsed)) if elapsed >= 30 * DAY_MS else None,
        "volatility": _known(float(volatility(daily, per_year))),
        "sharpe": _known(float(sharpe_ratio(daily, per_year))),
        "max_drawdown": _known(max_drawdown(values, 1.0).depth),
    }


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if len(values) else None


def _percent(value: float | None) -> str:
    return "nothing that can be said" if value is None else f"{value:+.1%}"
