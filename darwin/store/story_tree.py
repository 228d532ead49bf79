"""The story of one candidate as a tree for JSON."""

from __future__ import annotations

import math
from typing import Any

from darwin.store.story import Story


def story_tree(story: Story) -> dict[str, Any]:
    """The story as JSON has it; times in ms UTC, the names of the tables' columns."""
    parts: dict[str, Any] = {
        name: None if row is None else _columns(row)
        for name, row in (
            ("candidate", story.candidate),
            ("order", story.order),
            ("cancelled", story.cancelled),
            ("entry", story.entry),
            ("exit", story.exit),
            ("outcome", story.outcome),
        )
    }
    return parts | {
        "decisions": [_columns(told) for told in story.decisions],
        "verdict": _verdict(story),
        "stages": [{"stage": stage, "state": state} for stage, state in story.stages()],
        "net_pnl_usd": story.net_pnl_usd,
        "realised_r": story.realised_r,
        "features": {
            name: value if math.isfinite(value) else None for name, value in story.features.items()
        },
    }


def _verdict(story: Story) -> dict[str, Any] | None:
    verdict = story.verdict
    if verdict is None:
        return None
    call = None if verdict.call is None else verdict.call._asdict() | {"model": story.asked_model}
    return verdict._asdict() | {"call": call}


_UNTOLD = ("id", "features", "hash", "prev_hash", "observation")


def _columns(row: Any) -> dict[str, Any]:
    return {name: value for name, value in row._mapping.items() if name not in _UNTOLD}
