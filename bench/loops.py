"""The same work as bare loops: over candidates, and over every bar; no records, no outcomes."""

from __future__ import annotations

import numpy as np

from bench.works import FEE, LOOKBACK, STOP_ATR, TARGET_ATR, TIME_STOP
from darwin.core.market import Bars
from darwin.features.pipeline import Frame


def columns(bars: Bars) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """ATR and channel as whole arrays."""
    frame = Frame(bars)
    return (
        frame["atr_14"],
        frame[f"donchian_high_{LOOKBACK}"],
        frame[f"donchian_low_{LOOKBACK}"],
    )


def sparse(bars: Bars) -> list[tuple[int, float]]:
    """Walk from candidate to candidate; (entry bar, profit) of each trade."""
    atr, upper, lower = columns(bars)
    close = bars.close
    side_of = np.where(close > upper, 1, 0) - np.where(close < lower, 1, 0)
    rows = np.flatnonzero((side_of != 0) & (atr > 0))
    sides, distances, prices = side_of[rows].tolist(), atr[rows].tolist(), close[rows].tolist()
    o, h, low = bars.open.tolist(), bars.high.tolist(), bars.low.tolist()
    n, free, trades = len(bars), -1, []
    for bar, side, distance, price in zip(rows.tolist(), sides, distances, prices, strict=True):
        entry = bar + 1
        if bar < free or entry >= n:
            continue
        stop, target = price - side * STOP_ATR * distance, price + side * TARGET_ATR * distance
        opened = o[entry]
        if side * (opened - stop) < 0.25 * STOP_ATR * distance or side * (target - opened) <= 0:
            free = entry
            continue
        last = min(entry + TIME_STOP, n)
        i, exit_ = entry, None
        if side > 0:
            while i < last:
                if low[i] <= stop:
                    exit_ = min(o[i], stop)
                    break
                if h[i] >= target:
                    exit_ = max(o[i], target)
                    break
                i += 1
        else:
            while i < last:
                if h[i] >= stop:
                    exit_ = max(o[i], stop)
                    break
                if low[i] <= target:
                    exit_ = min(o[i], target)
                    break
                i += 1
        if exit_ is None:
            if i >= n:
                break
            exit_ = o[i]
        trades.append((entry, side * (exit_ - opened) - FEE * (exit_ + opened)))
        free = i
    return trades


def every_bar(bars: Bars) -> list[tuple[int, float]]:
    """Visit each bar over precomputed arrays."""
    atr, upper, lower = (column.tolist() for column in columns(bars))
    o, h, low, c = bars.open.tolist(), bars.high.tolist(), bars.low.tolist(), bars.close.tolist()
    trades: list[tuple[int, float]] = []
    side = pending = 0
    entry, opened, stop, target, distance = 0, 0.0, 0.0, 0.0, 0.0
    for i in range(len(o)):
        if pending:
            opened, entry = o[i], i
            keep = pending * (opened - stop) >= 0.25 * STOP_ATR * distance
            side = pending if keep and pending * (target - opened) > 0 else 0
            pending = 0
        if side:
            exit_ = None
            if i - entry >= TIME_STOP:
                exit_ = o[i]
            elif side > 0:
                if low[i] <= stop:
                    exit_ = min(o[i], stop)
                elif h[i] >= target:
                    exit_ = max(o[i], target)
            elif h[i] >= stop:
                exit_ = max(o[i], stop)
            elif low[i] <= target:
                exit_ = min(o[i], target)
            if exit_ is not None:
                trades.append((entry, side * (exit_ - opened) - FEE * (exit_ + opened)))
                side = 0
        if not side and atr[i] > 0:
            pending = 1 if c[i] > upper[i] else -1 if c[i] < lower[i] else 0
            if pending:
                distance = atr[i]
                stop = c[i] - pending * STOP_ATR * distance
                target = c[i] + pending * TARGET_ATR * distance
    return trades
