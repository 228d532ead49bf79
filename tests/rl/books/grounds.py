"""Small grounds of both agents of books, for tests."""

from __future__ import annotations

from functools import cache

from darwin.allocation.allocator import allocator_page
from darwin.allocation.market import MARKET_PAGE
from darwin.allocation.reward import RETURN_ALONE, Reward
from darwin.core.rebalance import ALLOCATOR, MARKET
from darwin.data.planted_book import PlantedBook
from darwin.rl.training.book_ground import Ground, Stretch, Terms, ground_of

AGENTS = (ALLOCATOR, MARKET)


@cache
def ground(
    agent: str, *, assets: int = 3, bars: int = 900, every: int = 1, cost_rate: float = 0.001,
    seed: int = 5, edge: float = 1.0, reward: Reward | None = None,
) -> Ground:  # fmt: skip
    """The planted world as the agent's page sees it."""
    page = allocator_page(assets) if agent == ALLOCATOR else MARKET_PAGE
    panel = PlantedBook(page.assets, bars, seed, edge).panel()
    usual = Reward() if agent == ALLOCATOR else RETURN_ALONE
    terms = Terms(every, cost_rate, reward or usual)
    return ground_of(page, panel, stretch(bars, every), terms)


def stretch(bars: int = 900, every: int = 1) -> Stretch:
    """All decisions after the warm-up."""
    return Stretch(200, bars - every)
