"""Streams of decisions made by hand or by chance, and the contracts they are judged under."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from darwin.core.agents import GATE, KEEP, META_LEARNER, PASS, SKIP, TO_SKIP, TO_TAKE
from darwin.core.market import DAY_MS, HOUR_MS
from darwin.rl.graduation.contract import Contract, Terms
from darwin.rl.graduation.increments import Entry, Outcome
from darwin.rl.graduation.told import Told
from darwin.rl.graduation.trial import Trial

START = 1_704_067_200_000  # 2024-01-01 00:00 UTC
LIFE = 20 * HOUR_MS
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def contract(agent: str = GATE, number: int = 1, **changes: Any) -> Contract:
    """Terms under which two days are a block."""
    plain = Terms(
        agent=agent, version="v1", manifest_sha256="a" * 64, feature_schema="s" * 64,
        action_threshold=None, training_end_ms=None, bar_ms=HOUR_MS, life_ms=LIFE,
        block_ms=2 * DAY_MS, take_profit_r={"breakout": 2.0}, call_cost_r=0.002,
        risk_per_trade=0.005, alpha=0.05, world="w" * 64,
    )  # fmt: skip
    since = changes.pop("entered_ms", START)
    return Contract(replace(plain, **changes), "run:one", number, since, NOW)


def chance(
    agent: str, seed: int, decisions: int, skill: float = 0.0, per_day: int = 10
) -> Iterator[tuple[Entry, Outcome]]:
    """Candidates of a market that wins 38 % of the time at 2 R, and advice of so much skill.

    The advice looks at a score that is `skill` times what comes plus chance.
    """
    rng = np.random.default_rng(seed)
    for at in range(decisions):
        time = START + at * DAY_MS // per_day // HOUR_MS * HOUR_MS
        wins = rng.random() < 0.38
        r = 1.92 if wins else -1.08
        score = skill * (1.0 if wins else -1.0) + rng.normal()
        take = float(rng.random() < 0.4)
        known = time + int(rng.integers(1, 20)) * HOUR_MS
        yield (
            Entry(f"{seed:08x}{at:08x}", time, _action(agent, score, take), take, 2.0, False),
            Outcome(known, r),
        )


def _action(agent: str, score: float, take: float) -> float:
    if agent == GATE:
        return SKIP if score < -0.52 else PASS
    if agent == META_LEARNER:
        if take:
            return TO_SKIP if score < -1.28 else KEEP
        return TO_TAKE if score > 1.28 else KEEP
    return float(min(max(0.5 + 0.3 * score, 0.0), 1.0))


def told(pairs: Iterator[tuple[Entry, Outcome]]) -> list[Told]:
    """As a run records them: each outcome before the first decision at or after its bar."""
    waiting: list[tuple[int, str, Outcome]] = []
    facts: list[Told] = []
    for entry, outcome in pairs:
        waiting.sort()
        while waiting and waiting[0][0] <= entry.bar_time:
            _, key, known = waiting.pop(0)
            facts.append((key, known))
        facts.append((entry.key, entry))
        waiting.append((outcome.known_ms, entry.key, outcome))
    facts += [(key, known) for _, key, known in sorted(waiting)]
    return facts


def tried(facts: list[Told], **changes: Any) -> Trial:
    """The trial that those facts make."""
    return Trial.of(contract(**changes), facts)


def curves(trial: Trial) -> dict[str, list[tuple[int, float]]]:
    """E of each test after each block."""
    return {name: [tuple(one) for one in track.points] for name, track in trial.tracks.items()}
