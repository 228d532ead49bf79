"""How a curve of equity and a list of trades did: the field's figures, over plain arrays.

What cannot be said is NaN (no trades, no losses, no variance, an account at zero); whoever writes
JSON turns NaN into null.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from darwin.core.market import DAY_MS, FloatArray, IntArray
from darwin.errors import ConfigError

YEAR_DAYS = 365.25  # a calendar year, for CAGR and turnover
CONTINUOUS_DAYS_PER_YEAR = 365.0  # trading days of a market that never closes
SHORTEST_CAGR_DAYS = 30.0  # annualising less than that says nothing


@dataclass(frozen=True, slots=True)
class Days:
    """The UTC days of a clock.

    `day`: days since 1970, shape (d,). `last`: index of the last mark at or before each day's
    end, shape (d,), so that `curve[..., last]` samples any curve by day. `per_year`: how many
    such days make a year.
    """

    day: IntArray
    last: IntArray
    per_year: float


class Drawdown(NamedTuple):
    """The deepest fall from a peak. Indices into the curve; -1 stands for the start before it."""

    depth: float  # negative fraction of the peak; 0 where the curve never fell
    peak: int
    trough: int
    recovered: int | None  # first mark back at the peak; None while still below


class MonthReturn(NamedTuple):
    """The return of one calendar month, UTC."""

    year: int
    month: int
    value: float


def utc_days(closed: IntArray, calendar: str) -> Days:
    """Cut marks at `closed` (close times in ms UTC, increasing, shape (g,)) into UTC days.

    A mark at midnight belongs to the day that ends there. Calendar `continuous`: every day from
    first to last, 365 a year, days without a mark repeat the one before. Calendar `sessions`:
    only days with a mark, and as many a year as the data itself has.
    """
    if calendar not in ("continuous", "sessions"):
        raise ConfigError(f"'{calendar}' is no calendar", mend="say continuous or sessions")
    day_of_mark = day_of(closed)
    if len(closed) == 0:
        return Days(day_of_mark, day_of_mark, CONTINUOUS_DAYS_PER_YEAR)
    span = int(day_of_mark[-1] - day_of_mark[0]) + 1
    if calendar == "continuous":
        day = np.arange(day_of_mark[0], day_of_mark[-1] + 1)
        per_year = CONTINUOUS_DAYS_PER_YEAR
    else:
        day = np.unique(day_of_mark)
        per_year = len(day) / span * YEAR_DAYS
    last = np.searchsorted(day_of_mark, day, side="right") - 1
    return Days(day, last, per_year)


def day_of(closed: IntArray) -> IntArray:
    """The UTC day, in days since 1970, that each close time (ms) ends in."""
    days: IntArray = (closed - 1) // DAY_MS
    return days


def simple_returns(equity: FloatArray, start: float) -> FloatArray:
    """Returns between consecutive marks along the last axis, the first one against `start`.

    `equity`: (..., d). Returns (..., d); a curve that touches zero is NaN throughout, for no
    return can be reckoned from there.
    """
    before = np.concatenate([np.full((*equity.shape[:-1], 1), start), equity[..., :-1]], axis=-1)
    alive = np.all(before > 0, axis=-1, keepdims=True) & np.all(equity > 0, axis=-1, keepdims=True)
    return np.where(alive, equity / np.where(before > 0, before, 1.0) - 1, np.nan)


def volatility(returns: FloatArray, per_year: float) -> FloatArray:
    """Annualised standard deviation (n - 1) along the last axis; NaN below two returns."""
    if returns.shape[-1] < 2:
        return np.full(returns.shape[:-1], np.nan)
    sd: FloatArray = np.asarray(returns.std(axis=-1, ddof=1)) * np.sqrt(per_year)
    return sd


def sharpe_ratio(returns: FloatArray, per_year: float) -> FloatArray:
    """Mean over standard deviation, annualised by the root of `per_year`, along the last axis.

    Sharpe (1994), with a risk-free rate of zero. NaN where nothing varies.
    """
    return _ratio(returns, volatility(returns, per_year), per_year)


def sortino_ratio(returns: FloatArray, per_year: float) -> FloatArray:
    """Mean over downside deviation, annualised, along the last axis.

    Sortino and Price (1994), target zero: the downside is the root of the mean of min(r, 0)²
    over all returns. NaN where nothing fell.
    """
    if returns.shape[-1] < 2:
        return np.full(returns.shape[:-1], np.nan)
    fallen = np.minimum(returns, 0.0)
    downside = np.sqrt(np.mean(fallen * fallen, axis=-1)) * np.sqrt(per_year)
    return _ratio(returns, np.asarray(downside), per_year)


def _ratio(returns: FloatArray, risk_ann: FloatArray, per_year: float) -> FloatArray:
    varies = risk_ann > 1e-12
    mean = returns.mean(axis=-1) if returns.shape[-1] else np.nan
    return np.where(varies, mean * per_year / np.where(varies, risk_ann, 1.0), np.nan)


def drawdowns(equity: FloatArray, start: float) -> FloatArray:
    """Equity over its running peak minus 1 along the last axis, `start` being the first peak."""
    peak = np.maximum(np.maximum.accumulate(equity, axis=-1), start)
    below: FloatArray = equity / peak - 1
    return below


def max_drawdown(equity: FloatArray, start: float) -> Drawdown:
    """Find the deepest fall of one curve, shape (g,), from a peak; the first of equals."""
    below = drawdowns(equity, start)
    if len(below) == 0 or not below.min() < 0:
        return Drawdown(0.0, -1, -1, None)
    trough = int(np.argmin(below))
    head = equity[:trough]
    peak = int(np.argmax(head)) if len(head) and head.max() >= start else -1
    level = start if peak < 0 else equity[peak]
    back = np.flatnonzero(equity[trough:] >= level)
    return Drawdown(
        float(below[trough]), peak, trough, trough + int(back[0]) if len(back) else None
    )


def cagr(start: float, end: float, elapsed_ms: float) -> float:
    """Compound annual growth: (end / start)^(1 / years) - 1, a year being 365.25 days.

    NaN for less than 30 days; -1 where nothing is left.
    """
    years = elapsed_ms / (DAY_MS * YEAR_DAYS)
    if not (start > 0 and years * YEAR_DAYS >= SHORTEST_CAGR_DAYS):
        return float("nan")
    return float((end / start) ** (1 / years) - 1) if end > 0 else -1.0


def calmar_ratio(growth: float, depth: float) -> float:
    """CAGR over the depth of the maximum drawdown (Young 1991); NaN without a drawdown."""
    return growth / -depth if depth < 0 else float("nan")


def win_rate(pnl: FloatArray) -> float:
    """Share of trades that earned more than nothing; NaN without trades."""
    return float(np.mean(pnl > 0)) if len(pnl) else float("nan")


def profit_factor(pnl: FloatArray) -> float:
    """What the winners earned over what the losers lost; NaN where nothing was lost."""
    lost = -float(pnl[pnl < 0].sum())
    return float(pnl[pnl > 0].sum()) / lost if lost > 0 else float("nan")


def longest_losing_streak(pnl: FloatArray) -> int:
    """The most trades in a row, in the order given, that lost money."""
    stops = np.flatnonzero(np.concatenate([[True], pnl >= 0, [True]]))
    return int(np.diff(stops).max()) - 1


def monthly_returns(closed: IntArray, equity: FloatArray, start: float) -> list[MonthReturn]:
    """The return of every calendar month that has a mark, oldest first.

    `closed`: close times in ms UTC, shape (g,). A month without a mark is left out; its
    neighbour's return runs from the last mark before.
    """
    if len(closed) == 0:
        return []
    month = (closed - 1).astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64)
    last = np.append(np.flatnonzero(np.diff(month)), len(month) - 1)
    returns = simple_returns(equity[last], start)
    return [
        MonthReturn(1970 + int(number) // 12, int(number) % 12 + 1, float(value))
        for number, value in zip(month[last], returns, strict=True)
    ]
