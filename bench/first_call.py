"""One engine, one call, in a process of its own; prints the seconds it took."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

NAMES = ("time", "open", "high", "low", "close", "volume")


def main() -> None:
    engine = sys.argv[1]
    stored = Path(tempfile.gettempdir()) / "darwin-bench-minutes.npy"
    if not stored.exists():
        from bench.works import minutes

        bars = minutes(500_000)
        np.save(stored, np.vstack([getattr(bars, name).astype(float) for name in NAMES]))
    columns = np.load(stored)
    began = time.perf_counter()
    from darwin.core.market import Bars, Timeframe

    bars = Bars("BTC/USDT", Timeframe.parse("1m"), columns[0].astype(np.int64), *columns[1:])
    if engine == "darwin":
        from bench.works import session

        session(bars).run()
    else:
        from bench import peers

        call = peers.vectorbt_order_func() if engine == "vectorbt" else peers.backtesting
        call(bars)
    print(time.perf_counter() - began)


if __name__ == "__main__":
    main()
