"""`python -m bench.allocation [--null]`: what the allocator learns in worlds it was not made on.

*Planted*: one asset drifts, two are a pair whose difference reverts, the others are martingales.
The allocator is trained on the first part of each world and judged on the last, which it never saw;
the lead over equal weight is of daily returns, all costs paid. *Null*: all are martingales; a lead
whose 99 % interval lies above zero would be handed over, and should not be there.

It is paid the return alone here, for the return is what it is judged by; `--default-reward` pays
it what the page pays by itself.
"""

from __future__ import annotations

import argparse
import time

from bench.tables import met, table
from darwin.allocation.allocator import allocator_page
from darwin.allocation.reward import RETURN_ALONE, Reward
from darwin.core.rebalance import ALLOCATOR
from darwin.data.planted_book import PlantedBook
from darwin.rl.training.book_course import BookCourse, BookPlan, run_book_course
from darwin.rl.training.book_ground import Terms
from darwin.rl.training.book_recipes import book_recipe

PLANTED_SEEDS = (401, 402, 403, 404, 405)
NULL_SEEDS = tuple(range(501, 521))
ASSETS, BARS, EPISODES, COST_RATE = 6, 20_000, 400, 0.0005


def course(seed: int, edge: float, reward: Reward, episodes: int) -> BookCourse:
    """Train and judge in one world."""
    panel = PlantedBook(ASSETS, BARS, seed, edge).panel()
    plan = BookPlan(book_recipe(ALLOCATOR), episodes, Terms(1, COST_RATE, reward), seed)
    return run_book_course(allocator_page(ASSETS), panel, plan)


def main() -> None:
    """Print the table of one kind of world."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--null", action="store_true")
    parser.add_argument("--default-reward", action="store_true")
    parser.add_argument("--episodes", type=int, default=EPISODES)
    parser.add_argument("--seeds", type=int, help="only so many of them")
    asked = parser.parse_args()
    seeds = (NULL_SEEDS if asked.null else PLANTED_SEEDS)[: asked.seeds]
    reward = Reward() if asked.default_reward else RETURN_ALONE
    rows, led = [], 0
    for seed in seeds:
        began = time.perf_counter()
        found = course(seed, 0.0 if asked.null else 1.0, reward, asked.episodes).judged
        agent, base, lead = *found.figures[:2], found.lead
        sure = found.decisive
        led += sure.low > 0.0 if asked.null else lead.low > 0.0
        rows.append(
            [
                str(seed), f"{1e4 * lead.value:+.1f}",
                f"{1e4 * lead.low:+.1f} to {1e4 * lead.high:+.1f}",
                f"{1e4 * sure.low:+.1f} to {1e4 * sure.high:+.1f}",
                f"{agent.sharpe:.2f}", f"{base.sharpe:.2f}", f"{agent.turnover:.3f}",
                f"{time.perf_counter() - began:.0f}",
            ]
        )  # fmt: skip
        print(f"seed {seed}: {rows[-1][1]} bps a day ({rows[-1][2]})", flush=True)
    kind = "null" if asked.null else "planted"
    head = ["seed", "lead, bps/day", "95 %", "99 %", "Sharpe", "equal", "turnover", "s"]
    table(f"{kind} worlds of {ASSETS} assets, {asked.episodes} episodes", head, rows)
    if asked.null:
        print(f"\nwould be handed over: {led} of {len(seeds)}; goal none: {met(led == 0)}")
    else:
        told = met(led == len(seeds))
        print(f"\n95 % interval above zero: {led} of {len(seeds)}; goal all: {told}")


if __name__ == "__main__":
    main()
