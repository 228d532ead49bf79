"""`python -m bench.allocation_speed`: steps a second of the world of books, by random weights.

FinRL's environment is run beside it where FinRL is installed; else its figure is the one measured
before on two such cores with 30 stocks, 230 steps a second.
"""

from __future__ import annotations

import importlib.util
import time

import numpy as np

from bench.tables import met, table
from darwin.allocation.allocator import allocator_page
from darwin.allocation.weights import softmax
from darwin.data.planted_book import PlantedBook
from darwin.rl.training.book_ground import Terms, cut, ground_of
from darwin.rl.training.book_world import BookWorld

ASSETS, BARS, FINRL_BEFORE, GOAL = 30, 6_000, 230.0, 50.0


def ours(size: int, seconds: float = 2.0) -> float:
    """Steps a second of `size` books side by side, observations and rewards included."""
    page, panel = allocator_page(ASSETS), PlantedBook(ASSETS, BARS, 1).panel()
    stretches = cut(page, panel, 1)
    world = BookWorld(ground_of(page, panel, stretches.train, Terms()), stretches.train, size)
    rng = np.random.default_rng(0)
    targets = [softmax(rng.normal(size=(size, ASSETS + 1)))[:, :ASSETS] for _ in range(16)]
    world.start(0)
    steps, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        world.step(targets[steps % 16])
        steps += 1
    return steps * size / (time.perf_counter() - began)


def finrl(seconds: float = 10.0) -> float | None:
    """Steps a second of FinRL's environment on as many stocks; None where it is not installed."""
    if importlib.util.find_spec("finrl") is None:
        return None
    import pandas
    from finrl.meta.env_stock_trading.env_stocktrading import StockTradingEnv

    days, rng = 500, np.random.default_rng(0)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0, 0.01, (days, ASSETS)), axis=0))
    rows = [
        {"date": str(day), "tic": f"S{at:02d}", "close": close[day, at], "rsi": 50.0, "turb": 0.0}
        for day in range(days)
        for at in range(ASSETS)
    ]
    frame = pandas.DataFrame(rows, index=np.repeat(np.arange(days), ASSETS))
    env = StockTradingEnv(
        df=frame, stock_dim=ASSETS, hmax=100, initial_amount=1_000_000,
        num_stock_shares=[0] * ASSETS, buy_cost_pct=[0.001] * ASSETS,
        sell_cost_pct=[0.001] * ASSETS, reward_scaling=1e-4, state_space=1 + 3 * ASSETS,
        action_space=ASSETS, tech_indicator_list=["rsi"],
    )  # fmt: skip
    env.reset()
    steps, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        over = env.step(rng.uniform(-1, 1, ASSETS))[2]
        steps += 1
        if over:
            env.reset()
    return steps / (time.perf_counter() - began)


def main() -> None:
    """Print the table."""
    measured = finrl()
    peer = FINRL_BEFORE if measured is None else measured
    name = "FinRL, as measured before" if measured is None else "FinRL, here and now"
    rows = [[name, "1", f"{peer:,.0f}", "1"]]
    best = 0.0
    for size in (1, 64, 512):
        speed = ours(size)
        best = max(best, speed)
        rows.append(["Darwin", str(size), f"{speed:,.0f}", f"{speed / peer:,.0f}"])
    table(f"steps a second, {ASSETS} assets", ["environment", "books", "steps/s", "times"], rows)
    print(f"\ngoal {GOAL:.0f} times FinRL: {met(best >= GOAL * peer)}")


if __name__ == "__main__":
    main()
