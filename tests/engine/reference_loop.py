"""A second engine, as plain as can be: one Python loop over instants, written from the rules.

It shares nothing with Darwin but the candidates and the bars, and is slow on purpose.
"""

from __future__ import annotations

import math
from typing import Any

from darwin.core.market import Bars
from darwin.engine.result import RunResult
from darwin.trading.costs import Costs


class _Open:
    """One position, walked bar by bar."""

    def __init__(self, c: dict[str, Any], entry: float, bar: int) -> None:
        self.c, self.entry, self.bar = c, entry, bar
        anchor = entry if c["from_fill"] else c["close"]
        self.stop0 = self.stop = anchor - c["side"] * c["stop"]
        self.target = anchor + c["side"] * c["target"]
        self.best: float | None = None  # best price of earlier bars in the position's favour

    def exit_at(self, bars: Bars, i: int, where: str) -> tuple[float, str] | None:
        side, c = self.c["side"], self.c
        o, h, low = float(bars.open[i]), float(bars.high[i]), float(bars.low[i])
        good, bad = (h, low) if side > 0 else (low, h)
        self.stop, trailed = self.stop0, False
        if self.best is not None and math.isfinite(c["trail_r"]):
            risk = abs(self.entry - self.stop0)
            if side * (self.best - (self.entry + side * c["trail_r"] * risk)) >= 0:
                level = self.best - side * c["trail"]
                if side * (level - self.stop0) > 0:
                    self.stop, trailed = level, True
        name = "trailing_stop" if trailed else "stop"
        if where == "open":
            if i - self.bar >= c["time_stop"]:
                return o, "time_stop"
            if side * (o - self.stop) <= 0:
                return o, name
            touches_stop = side * (bad - self.stop) <= 0
            if side * (o - self.target) >= 0 and not touches_stop:
                return o, "target"
            return None
        if side * (bad - self.stop) <= 0:
            return self.stop, name
        if side * (good - self.target) >= 0:
            return self.target, "target"
        return None

    def remember(self, bars: Bars, i: int) -> None:
        side = self.c["side"]
        good = float(bars.high[i] if side > 0 else bars.low[i])
        self.best = good if self.best is None or side * (good - self.best) > 0 else self.best


def reference_trades(
    result: RunResult, costs: Costs, units: float, per_symbol: int = 1
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Trades and funnel of a fixed-size run that takes everything, walked anew bar by bar."""
    t = result.candidates
    waiting: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for row in range(len(t)):
        c = {
            "row": row,
            "symbol": int(t.symbol[row]),
            "playbook": int(t.playbook[row]),
            "side": int(t.side[row]),
            "close": float(t.close[row]),
            "stop": float(t.stop_distance[row]),
            "target": float(t.target_distance[row]),
            "time_stop": float(t.time_stop_bars[row]),
            "trail_r": float(t.trail_activation_r[row]),
            "trail": float(t.trail_distance[row]),
            "from_fill": bool(t.from_fill[row]),
        }
        waiting.setdefault((c["symbol"], int(t.bar[row])), []).append(c)
    index = [{int(time): i for i, time in enumerate(bars.time)} for bars in result.markets]
    instants = sorted({int(time) for bars in result.markets for time in bars.time})
    pending: list[dict[str, Any]] = []
    held: list[_Open] = []
    trades: list[dict[str, Any]] = []
    funnel: dict[str, int] = {}

    def leave(p: _Open, price: float, why: str, time: int) -> None:
        bars = result.markets[p.c["symbol"]]
        side, resting = p.c["side"], why == "target"
        paid = p.entry * (1 + side * costs.slip)
        got = price * (1 - side * (0.0 if resting else costs.slip))
        fees = units * (paid * costs.taker + got * (costs.maker if resting else costs.taker))
        funding = 0.0
        if bars.funding is not None:
            left = index[p.c["symbol"]].get(time, len(bars) - 1)
            for stamp, rate in zip(bars.funding.time, bars.funding.rate, strict=True):
                later = [i for i in range(p.bar + 1, left + 1) if bars.time[i] >= stamp]
                if later and stamp > bars.time[p.bar]:
                    funding += side * units * rate * float(bars.open[later[0]])
        trades.append(
            {
                "row": p.c["row"],
                "entry": p.entry,
                "exit": price,
                "why": why,
                "exit_time": time,
                "entry_time": int(bars.time[p.bar]),
                "net": side * units * (got - paid) - fees - funding,
            }
        )
        held.remove(p)

    def note(why: str) -> None:
        funnel[why] = funnel.get(why, 0) + 1

    for time in instants:
        now = [(s, index[s][time]) for s in range(len(result.markets)) if time in index[s]]
        key = lambda p: (p.c["symbol"], p.c["playbook"], -p.c["side"])  # noqa: E731
        for s, i in now:
            bars = result.markets[s]
            for p in sorted([p for p in held if p.c["symbol"] == s], key=key):
                done = p.exit_at(bars, i, "open")
                if done:
                    leave(p, *done, time)
            for c in [c for c in pending if c["symbol"] == s]:
                pending.remove(c)
                o = float(bars.open[i])
                p = _Open(c, o, i)
                left = c["side"] * (o - p.stop0)
                if left < 0.25 * c["stop"] or c["side"] * (p.target - o) <= 0:
                    note("gapped")
                    continue
                held.append(p)
                note("taken")
        for s, i in now:
            bars = result.markets[s]
            for p in sorted([p for p in held if p.c["symbol"] == s], key=key):
                done = p.exit_at(bars, i, "intrabar")
                if done:
                    leave(p, *done, time)
                else:
                    p.remember(bars, i)
        for s, i in now:
            for c in waiting.get((s, i), []):
                busy = sum(p.c["symbol"] == s for p in held) + sum(
                    q["symbol"] == s for q in pending
                )
                if busy >= per_symbol:
                    note("position open")
                else:
                    pending.append(c)
    for p in list(held):
        leave(p, float(result.markets[p.c["symbol"]].close[-1]), "end_of_run", instants[-1])
    for _ in pending:
        note("no next bar")
    return trades, funnel
