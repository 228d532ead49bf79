"""Panels that the tests of the benchmark share."""

from __future__ import annotations

import numpy as np

from darwin.core.market import FloatArray, Timeframe
from darwin.core.panel import Panel

HOUR = Timeframe.parse("1h")
DAY = Timeframe.parse("1d")
START = 1_577_836_800_000  # 2020-01-01


def panel_of(close: FloatArray, frame: Timeframe = DAY) -> Panel:
    """Bars that open where the one before closed, without funding."""
    t, n = close.shape
    opened = np.vstack([close[:1], close[:-1]])
    return Panel(
        tuple(f"A{at}/USD" for at in range(n)), frame, START + np.arange(t) * frame.ms,
        opened, np.maximum(opened, close), np.minimum(opened, close), close, np.zeros((t, n)),
    )  # fmt: skip


def returning(returns: FloatArray, frame: Timeframe = DAY) -> Panel:
    """A panel whose bars return `returns`, shape (t, n), open to close."""
    return panel_of(100.0 * np.cumprod(1.0 + returns, axis=0), frame)


def null_panel(seed: int, days: int = 500, assets: int = 4, frame: Timeframe = DAY) -> Panel:
    """Prices that are martingales and move together in part: nothing can be known of them."""
    rng = np.random.default_rng(seed)
    common = rng.standard_normal((days, 1))
    own = rng.standard_normal((days, assets))
    vol = rng.uniform(0.01, 0.04, assets)
    return returning(np.expm1(vol * (0.6 * common + 0.8 * own) - vol * vol / 2), frame)
