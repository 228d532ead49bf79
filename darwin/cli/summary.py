"""A run on a terminal: its verdict, its figures, its funnel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from darwin.engine.report_recording import bars_left_out, taken_up_again

_HEAD_DIGITS = 12


def summary_lines(metrics: Mapping[str, Any]) -> list[str]:
    """The lines that `darwin run` ends with."""
    lines = [f"{metrics['run_id']}: {metrics['verdict'][0]}" if metrics["verdict"] else ""]
    recorded = metrics["run"]
    sentences = [*metrics["verdict"][1:], taken_up_again(recorded), bars_left_out(recorded)]
    lines += [f"  {sentence}" for sentence in sentences if sentence]
    lines.append(
        f"  {metrics['bars']:,} bars, {metrics['candidates']:,} candidates, "
        f"{metrics['trades']:,} trades"
    )
    lines.append(
        "  net {} USD ({}), Sharpe {}, max drawdown {}, mean R {}".format(
            _figure(metrics["net_pnl_usd"], ",.2f"),
            _figure(metrics["total_return"], "+.2%"),
            _figure(metrics["sharpe_ratio"], ".2f"),
            _figure(metrics["max_drawdown"], ".2%"),
            _figure(metrics["mean_r"], "+.3f"),
        )
    )
    ended = ", ".join(f"{reason} {count:,}" for reason, count in metrics["funnel"].items())
    lines.append(f"  funnel: {ended}")
    if recorded:
        lines.append(f"  {recorded['facts']:,} facts, head {recorded['head'][:_HEAD_DIGITS]}")
    return [line for line in lines if line]


def _figure(value: float | None, form: str) -> str:
    return "unknown" if value is None else format(value, form)
