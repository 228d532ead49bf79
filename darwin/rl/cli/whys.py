"""Why a candidate or a rebalance went as it did, as commands and the service tell it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from darwin.allocation.allocator import allocator_page
from darwin.allocation.market import MARKET_PAGE
from darwin.core.rebalance import ALLOCATOR
from darwin.store.rebalance_story import RebalanceStory
from darwin.store.rebalance_tree import rebalance_tree
from darwin.store.story import Story
from darwin.store.story_tree import story_tree


def why_tree(story: Story | RebalanceStory) -> dict[str, Any]:
    """Either story as JSON has it."""
    if isinstance(story, RebalanceStory):
        return rebalance_tree(story, _names_of(story))
    return story_tree(story)


def _names_of(story: RebalanceStory) -> Sequence[str] | None:
    """The names of what was seen; None where it was another version of the agent's page."""
    row = story.serving.decision
    page = allocator_page(len(story.symbols)) if row.agent_name == ALLOCATOR else MARKET_PAGE
    return page.names if page.schema == row.feature_schema else None
