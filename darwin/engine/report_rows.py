"""The rows of trades.csv and equity.csv: every trade, every mark, nothing rounded."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

import numpy as np

from darwin.core.candidate import SIDE_NAME, id_text
from darwin.core.market import FloatArray, IntArray
from darwin.core.trade import Exit
from darwin.engine.report_words import iso
from darwin.engine.result import RunResult
from darwin.stats.performance import drawdowns

TRADE_COLUMNS = (
    "candidate_id", "symbol", "playbook", "side",
    "entry_time", "entry_price", "entry_mid_price", "initial_stop",
    "exit_time", "exit_price", "exit_mid_price", "exit_reason",
    "units", "gross_usd", "fees_usd", "slippage_usd", "funding_usd",
    "net_pnl_usd", "risk_usd", "r",
)  # fmt: skip
EQUITY_COLUMNS = ("time", "equity", "drawdown", "exposure", "positions")


_ROWS_AT_ONCE = 10_000


def trades_rows(result: RunResult) -> Iterator[tuple[Any, ...]]:
    """One row of TRADE_COLUMNS per closed trade, in order of exits.

    Times are the open times of the bars in which the fills happened, ISO 8601 UTC.
    """
    for trade in result.trades:
        yield (
            id_text(trade.candidate_id),
            result.symbols[trade.symbol],
            result.playbooks[trade.playbook],
            SIDE_NAME[trade.side],
            iso(trade.entry.time),
            trade.entry.price,
            trade.entry.mid_price,
            trade.entry.stop_price,
            iso(trade.exit.time),
            trade.exit.price,
            trade.exit.mid_price,
            Exit(trade.exit.reason).text,
            trade.units,
            trade.gross_usd,
            trade.fees_usd,
            trade.slippage_usd,
            trade.funding_usd,
            trade.net_pnl_usd,
            trade.risk_usd,
            trade.r,
        )


def equity_lines(result: RunResult) -> Iterator[str]:
    """The rows of EQUITY_COLUMNS as CSV, many lines at a time: one per mark, long runs are long.

    Close time; USD; drawdown as a (negative) fraction of the peak; gross position value over
    equity, empty where none is left; open positions. Floats stand as Python writes them, so that
    they read back to the bit; nothing needs quotes.
    """
    curve = result.equity
    closed = curve.time + result.markets[0].timeframe.ms
    falls = drawdowns(curve.equity, result.starting_equity_usd)
    columns = (curve.equity, falls, exposure_fraction(result))
    for start in range(0, len(curve.time), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        floats = (_texts(column[part]) for column in columns)
        counts = map(str, curve.positions[part].tolist())
        rows = zip(_times(closed[part]), *floats, counts, strict=True)
        yield "\n".join(map(",".join, rows)).replace("nan", "") + "\n"


def _times(ms: IntArray) -> Iterator[str]:
    """Times in ms UTC as ISO 8601, whole seconds; each date and each time of day written once."""
    day, second = np.divmod(ms // 1000, 86_400)
    days, which_day = np.unique(day, return_inverse=True)
    seconds, which_second = np.unique(second, return_inverse=True)
    dates = np.datetime_as_string(days.astype("datetime64[D]")).tolist()
    hours = [text[10:] + "Z" for text in np.datetime_as_string(seconds.astype("datetime64[s]"))]
    return map(
        operator.add,
        map(dates.__getitem__, which_day.tolist()),
        map(hours.__getitem__, which_second.tolist()),
    )


def _texts(values: FloatArray) -> list[str]:
    """Each float as Python writes it; runs of one value, of which there are many, once."""
    bits = values.view(np.int64)
    new = np.concatenate(([True], bits[1:] != bits[:-1]))
    once = np.array([repr(value) for value in values[new].tolist()], dtype=object)
    texts: list[str] = once[np.cumsum(new) - 1].tolist()
    return texts


def exposure_fraction(result: RunResult) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Gross position value over equity at each mark, shape (g,); NaN where no equity is left."""
    curve = result.equity
    alive = curve.equity > 0
    return np.where(alive, curve.exposure / np.where(alive, curve.equity, 1.0), np.nan)
