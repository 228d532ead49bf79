"""The stages of capital an agent climbs, and which would-be skips at the top are let through."""

from __future__ import annotations

import hashlib

from darwin.core.agents import STAGES
from darwin.core.market import DAY_MS

DWELL_DAYS = {0.01: 7, 0.05: 14, 0.10: 14, 0.25: 14, 0.50: 14}
"""Days of market time to be spent at a stage before the next one."""

AUDITED_ONE_IN = 20
"""At full capital one would-be skip in so many passes, so that skips stay measured."""


def next_stage(stage: float) -> float | None:
    """The stage above; None at the top. Raises ValueError for what is no stage."""
    at = STAGES.index(stage) + 1
    return STAGES[at] if at < len(STAGES) else None


def objection(current: float, since_ms: int, wanted: float, now_ms: int, override: bool) -> str:
    """Say why an agent at `current` since `since_ms` may not go to `wanted`; empty: it may.

    Times are market time. `override` is a named person's word that a stage or its dwell may be
    skipped; it replaces neither a promotion nor a stage that does not exist.
    """
    unknown = [stage for stage in (current, wanted) if stage not in STAGES]
    if unknown:
        known = ", ".join(f"{stage:.0%}" for stage in STAGES)
        return f"{unknown[0]!r} is no stage of capital; those are {known}"
    if wanted == current:
        return f"the agent holds {current:.0%} already"
    if wanted < current:
        return ""
    if current == STAGES[0]:
        return "an agent without capital gets its first by a promotion"
    return "" if override else _too_fast(current, since_ms, wanted, now_ms)


def _too_fast(current: float, since_ms: int, wanted: float, now_ms: int) -> str:
    if wanted != next_stage(current):
        return f"the stage after {current:.0%} is {next_stage(current):.0%}, not {wanted:.0%}"
    days = DWELL_DAYS[current]
    if now_ms - since_ms < days * DAY_MS:
        tenths = (now_ms - since_ms) * 10 // DAY_MS  # rounded down: 7.0 would be enough
        return f"{current:.0%} was held for {tenths / 10} of {days} days of market time"
    return ""


def is_audited(candidate_id: int, model_sha256: str) -> bool:
    """Whether a would-be skip of this candidate by this model passes as an audit: one in 20.

    The first 8 bytes of a SHA-256, as a fraction of all they could be, are below 0.05. Made of the
    candidate's id and the digest as they stand in the database, it can be checked with any tool.
    """
    text = f"{candidate_id:016x} {model_sha256} audit"
    drawn = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    return drawn * AUDITED_ONE_IN < 1 << 64
