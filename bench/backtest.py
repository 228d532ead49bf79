"""The back-test work against its peers: agreement trade for trade, then speed as ratios."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np

from bench import loops, peers
from bench.tables import child, table
from bench.works import minutes, real, session
from darwin.core.market import Bars
from darwin.core.trade import Exit
from darwin.engine.result import RunResult

BARS = 500_000
ROUNDS = 5


def ours(bars: Bars) -> RunResult:
    """The library call."""
    return session(bars).run()


def trades_of(result: RunResult) -> peers.Trades:
    """Entry bar and profit of each trade, those closed by the end of the data left out."""
    entry_bar = result.outcomes.entry_bar
    closed = [t for t in result.trades if t.exit.reason != Exit.END_OF_RUN]
    return sorted((int(entry_bar[t.row]), t.net_pnl_usd) for t in closed)


def agreement() -> None:
    """Same number of trades, same profit to 1e-6, as an engine that we did not write."""
    works: list[tuple[str, Bars | None]] = [(f"synthetic 1m, {BARS:,} bars", minutes(BARS))]
    works.append(("BTCUSDT_PERP 1h", real("BTCUSDT_PERP", "1h")))
    bitfinex = real("BTCUSD_BITFINEX", "1m")
    works.append(("BTCUSD_BITFINEX 1m", bitfinex.slice(0, BARS) if bitfinex else None))
    rows = []
    for name, bars in works:
        if bars is None:
            rows.append((name, "-", "-", "no data at hand"))
            continue
        mine = trades_of(ours(bars))
        theirs = sorted(peers.backtesting(bars))
        same = [a[0] for a in mine] == [b[0] for b in theirs]
        worst = max((abs(a[1] - b[1]) for a, b in zip(mine, theirs, strict=False)), default=0.0)
        word = "agree" if same and worst <= 1e-6 else "DIFFER"
        rows.append((name, f"{len(mine):,} / {len(theirs):,}", f"{worst:.1e}", word))
    table("Darwin against backtesting", ("bars", "trades", "largest P&L gap", ""), rows)


def speed() -> None:
    """Bars per second, best of several rounds taken in turn."""
    bars, fifth = minutes(BARS), minutes(BARS // 5)
    runs: dict[str, Callable[[], object]] = {
        "darwin": lambda: ours(bars),
        "darwin, 100,000 bars": lambda: ours(fifth),
        "bare sparse loop": lambda: loops.sparse(bars),
        "bare loop over every bar": lambda: loops.every_bar(bars),
    }
    if importlib.util.find_spec("vectorbt"):
        compiled, signals = peers.vectorbt_order_func(), peers.vectorbt_signals()
        short = bars.slice(0, 2_000)
        compiled(short), signals(short)  # warm: compiled before the clock starts
        runs["vectorbt from_order_func, warm"] = lambda: compiled(bars)
        runs["vectorbt from_signals, warm, no time stop"] = lambda: signals(bars)
    best = rounds(runs)
    runs_once = {"backtesting": lambda: peers.backtesting(bars)}
    best |= rounds(runs_once, 1)
    if importlib.util.find_spec("backtrader"):
        part = bars.slice(0, 20_000)
        best["backtrader"] = rounds({"": lambda: peers.backtrader(part)}, 1)[""] * BARS / 20_000
    mine = best["darwin"]
    rows = [
        (name, f"{seconds:.3f}", f"{_bars(name) / seconds / 1e6:.3f}", f"{seconds / mine:.2f}")
        for name, seconds in best.items()
    ]
    table(f"{BARS:,} bars, {ROUNDS} rounds, best", ("engine", "s", "M bars/s", "x darwin"), rows)
    goals(best)


def goals(best: dict[str, float]) -> None:
    """The goals of the speed page, reached or not."""
    mine = best["darwin"]
    checks: list[tuple[str, float, str, float]] = [
        ("backtesting / darwin", best["backtesting"] / mine, ">=", 25.0),
        ("darwin / sparse loop", mine / best["bare sparse loop"], "<=", 2.5),
        ("time(500k) / time(100k) / 5", mine / best["darwin, 100,000 bars"] / 5, "<=", 1.05),
    ]
    checks += [
        (f"{name} / darwin", seconds / mine, ">=", 1.2)
        for name, seconds in best.items()
        if name.startswith("vectorbt")
    ]
    rows = []
    for name, value, sign, bound in checks:
        met = value >= bound if sign == ">=" else value <= bound
        rows.append((name, f"{value:.2f}", f"{sign} {bound}", "reached" if met else "MISSED"))
    table("Goals", ("ratio", "measured", "goal", ""), rows)


def first_call() -> None:
    """One call in a fresh process, imports and compilation included, data made beforehand."""
    rows = []
    for name in ("darwin", "vectorbt", "backtesting"):
        if name != "darwin" and not importlib.util.find_spec(name):
            continue
        seconds, peak_mb, _ = child([sys.executable, "-m", "bench.first_call", name])
        rows.append((name, f"{seconds:.2f}", f"{peak_mb:.0f}"))
    head = ("engine", "s, imports and first call", "peak MB")
    table(f"First call in a process, {BARS:,} bars", head, rows)


def rounds(runs: dict[str, Callable[[], object]], count: int = ROUNDS) -> dict[str, float]:
    """The best time of each, taken in turn, so that a noisy moment hits all alike."""
    best = dict.fromkeys(runs, np.inf)
    for _ in range(count):
        for name, call in runs.items():
            began = time.perf_counter()
            call()
            best[name] = min(best[name], time.perf_counter() - began)
    return best


def _bars(name: str) -> int:
    return BARS // 5 if "100,000" in name else BARS


def main(_: Sequence[str] = ()) -> None:
    """Print all tables."""
    agreement()
    speed()
    first_call()


if __name__ == "__main__":
    main()
