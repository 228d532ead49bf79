"""The story of one rebalance as a tree for JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

from darwin.core.market import FloatArray
from darwin.store.rebalance_story import Asked, RebalanceStory
from darwin.store.story_tree import columns_of

_WEIGHTS = ("advised", "baseline", "final")
_AS_BYTES = (
    "action", *(f"{kind}_weights" for kind in _WEIGHTS), "baseline_returns", "asset_returns",
)  # fmt: skip


def rebalance_tree(story: RebalanceStory, names: Sequence[str] | None) -> dict[str, Any]:
    """The story as JSON has it; times in ms UTC, the names of the tables' columns.

    `decided` and `known` are closes. `names` are those of the observation, None where they are not
    known: then its numbers stand in their order.
    """
    return {
        "rebalance": _plain(story.serving.decision),
        "symbols": list(story.symbols),
        "decided": story.serving.decision.bar_time + story.bar_ms,
        "book_value_usd": story.value_usd,
        "observation": _observation(story.serving, names),
        "weights": {kind: _by_symbol(story, story.weights(kind)) for kind in _WEIGHTS},
        "holding": _holding(story, story.serving),
        "challengers": [
            {
                "rebalance": _plain(one.decision),
                "weights": {
                    "advised": _by_symbol(
                        story,
                        story.numbers(one.decision, "advised_weights", len(story.symbols)),
                    )
                },
                "holding": _holding(story, one),
            }
            for one in story.challengers
        ],
    }


def _plain(row: Row[Any]) -> dict[str, Any]:
    return {name: value for name, value in columns_of(row).items() if name not in _AS_BYTES}


def _by_symbol(story: RebalanceStory, values: FloatArray | None) -> dict[str, float] | None:
    """Values by symbol."""
    return None if values is None else dict(zip(story.symbols, values.tolist(), strict=True))


def _observation(asked: Asked, names: Sequence[str] | None) -> Any:
    seen = [value if math.isfinite(value) else None for value in asked.observation]
    return seen if names is None else dict(zip(names, seen, strict=True))


def _holding(story: RebalanceStory, asked: Asked) -> dict[str, Any] | None:
    """What came of it, with the returns of baselines and symbols by name."""
    row = asked.holding
    if row is None:
        return None
    against = story.numbers(row, "baseline_returns", len(story.baselines))
    by_asset = story.numbers(row, "asset_returns", len(story.symbols))
    others = [] if against is None else against.tolist()
    return _plain(row) | {
        "known": row.known_time + story.bar_ms,
        "baseline_returns": dict(zip(story.baselines, others, strict=True)),
        "asset_returns": _by_symbol(story, by_asset),
    }
