"""What pages show of an agent beyond its trees: its status in words, curves, health, lineage."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from darwin.core.agents import AGENTS, STAGES
from darwin.core.rebalance import ALL_AGENTS
from darwin.rl.cli.evaluate_agent import examine
from darwin.rl.cli.graduation_status import look, shown, status_tree, verdict
from darwin.rl.cli.health_page import tree
from darwin.rl.cli.rollout import rollout_tree
from darwin.rl.cli.trial_page import evidence_rows, trial_rows
from darwin.rl.graduation.checklist import Condition
from darwin.rl.graduation.judged import Judged
from darwin.rl.graduation.proof import green_of
from darwin.rl.registry.events import events
from darwin.rl.registry.registry import Registry
from darwin.safety.stages import next_stage
from darwin.service.acts import known
from darwin.service.place import now

WINDOW_DAYS = 7.0
"""Of the health check."""
_LOG10 = math.log(10.0)


def agent(registry: Registry, name: str) -> dict[str, Any]:
    """An agent with the words that `darwin rl status` and `darwin rl rollout status` print of it.

    One look at the record for all of it. Raises ConfigError for an agent that nobody knows.
    """
    one = look(registry, known(name))
    above = next_stage(one.promotion.stage) if one.promotion else None
    return status_tree(one) | {
        "rollout": rollout_tree(one, now()),
        "verdict": verdict(one.agent, one.conditions),
        "rows": trial_rows(one),
        "bars": _bars(one),
        "checklist": [_condition(each) for each in one.conditions],
        "green": [_condition(each) for each in green_of(one.decay)],
        "next_stage": above,
        "promoted_now": one.promotion is not None,
        "curve": curve(one),
    }


def agents_shown(registry: Registry, counts: Mapping[str, int]) -> list[str]:
    """The three that are asked about candidates, and those of books that anything is known of.

    `counts` are their decisions on record.
    """
    return [
        name for name in ALL_AGENTS if name in AGENTS or counts[name] or registry.shelf(name).kept
    ]


def curve(one: Judged) -> dict[str, Any] | None:
    """E of each test after every scored block, as powers of ten; None before the first block.

    `x` are the ends of blocks in s UTC, `needed` where a test crosses.
    """
    trial = one.trial
    if trial is None or not trial.blocks:
        return None
    return {
        "x": [block.end_ms / 1000 for block in trial.blocks],
        "series": [
            {
                "label": name,
                "values": [_power(point.log_e) for point in track.points],
                "needed": _power(track.log_needed),
            }
            for name, track in trial.tracks.items()
        ],
    }


def health(registry: Registry, name: str) -> dict[str, Any] | None:
    """The health check of the last days, as `darwin rl evaluate`; None: there is none of books."""
    if known(name) not in AGENTS:
        return None
    found, checkup = examine(registry, name, WINDOW_DAYS)
    return tree(found, checkup) | {"window_days": WINDOW_DAYS}


def history(registry: Registry, name: str) -> list[dict[str, Any]]:
    """What became of the versions of an agent, the newest event first."""
    with registry.database.read() as connection:
        mine = [one for one in events(connection) if one.agent == known(name)]
    return [
        {
            "at": one.at.isoformat(), "kind": str(one.kind), "version": one.model.version,
            "by": one.by, "reason": one.reason,
        }
        for one in reversed(mine)
    ]  # fmt: skip


def stages() -> tuple[float, ...]:
    """The shares of the capital that an agent may hold."""
    return STAGES


def _bars(one: Judged) -> list[dict[str, Any]]:
    """How far each test has come: the words of the status, and its share of what it needs."""
    if one.trial is None:
        return []
    found = []
    for track, (name, _, e, when) in zip(
        one.trial.tracks.values(), evidence_rows(one), strict=True
    ):
        share = max(0.0, min(track.log_e / track.log_needed, 1.0))
        crossed = track.crossed is not None
        found.append(
            {
                "name": name, "e": e, "when": when, "crossed": crossed,
                "share": 1.0 if crossed else round(share, 4),
            }
        )  # fmt: skip
    return found


def _condition(one: Condition) -> dict[str, Any]:
    return {
        "name": one.name, "rule": one.rule, "reported": one.reported, "state": str(one.state),
        "value": shown(one), "bound": one.bound, "lacks": one.lacks,
    }  # fmt: skip


def _power(log_e: float) -> float | None:
    return round(log_e / _LOG10, 6) if math.isfinite(log_e) else None
