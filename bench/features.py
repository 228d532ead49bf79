"""How fast features are: the catalog and single indicators over 500,000 one-minute bars.

Run it as `python -m bench.features [bars]`. Prints bars per second of the best of five passes,
the time of one live bar, and the peak memory of the process.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from time import perf_counter

import numpy as np

from darwin.core.market import Bars, Timeframe
from darwin.features.catalog import NAMES, VERSION
from darwin.features.pipeline import Frame, Stream

BARS = 500_000
PASSES = 5
BREAKOUT = ("atr_14", "donchian_high_20", "donchian_low_20")
SINGLE = (
    *("atr_14", "ema_50", "adx_14", "rsi_14", "macd_histogram_12_26_9"),
    *("donchian_high_20", "sma_50", "bollinger_z_20", "volume_ratio_20"),
    *("log_volume_z_168", "x4_rsi_balance_14", "x24_ema_distance_10"),
)


def walk(bars: int) -> Bars:
    """One-minute bars of a seeded random walk."""
    random = np.random.default_rng(20_240_101)
    close = 100.0 * np.exp(np.cumsum(random.normal(0.0, 1e-3, bars)))
    opened = np.concatenate((close[:1], close[:-1]))
    high = np.maximum(opened, close) * (1.0 + random.exponential(3e-4, bars))
    low = np.minimum(opened, close) * (1.0 - random.exponential(3e-4, bars))
    minute = Timeframe.parse("1m")
    time = np.arange(bars, dtype=np.int64) * minute.ms
    volume = np.exp(random.normal(3.0, 1.0, bars))
    return Bars("BTC/USDT:SYNTH", minute, time, opened, high, low, close, volume)


def best_s(work: Callable[[], object]) -> float:
    """Seconds of the fastest of `PASSES` passes."""
    took = []
    for _ in range(PASSES):
        began = perf_counter()
        work()
        took.append(perf_counter() - began)
    return min(took)


def one_bar_ms(bars: Bars, keys: tuple[str, ...]) -> tuple[float, float]:
    """Median and 99th percentile of what one bar costs a stream that is past its warm-up."""
    stream = Stream(bars.timeframe, keys)
    stream.push(bars.slice(0, 1_000))
    took = []
    for t in range(1_000, min(3_000, len(bars))):
        bar = bars.slice(t, t + 1)
        began = perf_counter()
        stream.push(bar)
        took.append(1e3 * (perf_counter() - began))
    return float(np.median(took)), float(np.quantile(took, 0.99))


def main(bars_wanted: int = BARS) -> None:
    bars = walk(bars_wanted)
    rows = np.arange(400, len(bars), 100)
    works: list[tuple[str, Callable[[], object]]] = [
        (f"catalog {VERSION}, {len(NAMES)} features", lambda: Frame(bars).take(NAMES, rows)),
        (" + ".join(BREAKOUT), lambda: Frame(bars, BREAKOUT)[BREAKOUT[0]]),
        *((key, lambda key=key: Frame(bars)[key]) for key in SINGLE),
    ]
    print(f"features over {len(bars):,} bars, best of {PASSES}")
    print(f"{'':48}{'ms':>9}{'M bars/s':>10}")
    for name, work in works:
        took = best_s(work)
        print(f"{name:48}{1e3 * took:9.1f}{len(bars) / took / 1e6:10.2f}")
    median, slow = one_bar_ms(bars, NAMES)
    print(f"one live bar, whole catalog: {median:.2f} ms median, {slow:.2f} ms p99")
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of the process: {peak_mb:.0f} MB")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:2]))
