"""Whether an agent may have another stage of the capital: decided once, for all who ask."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from darwin.core.agents import Model
from darwin.rl.graduation.checklist import Condition, State, all_pass, lacking
from darwin.rl.graduation.record import Promotion
from darwin.safety.stages import objection


class Climb(NamedTuple):
    """What stands against a change of stage, in words; empty: nothing does."""

    never: str = ""  # whatever anybody says
    early: str = ""  # a stage is skipped, or its time is not over
    lacking: tuple[Condition, ...] = ()  # conditions that are not passed
    unknown: bool = False  # nothing was judged, so nothing is passed

    @property
    def wants_override(self) -> bool:
        """Whether only a named person's word would do."""
        return bool(self.early or self.lacking or self.unknown)

    @property
    def said(self) -> str:
        """All of it in one line."""
        names = ", ".join(one.name for one in self.lacking)
        lacks = f"it lacks {names or 'all evidence'}" if self.lacking or self.unknown else ""
        return self.never or "; ".join(part for part in (self.early, lacks) if part)


def climb(
    held: Promotion, stage: float, held_ms: int, conditions: Sequence[Condition], now: datetime
) -> Climb:
    """Hold a change to `stage` against the ladder, the time there and the conditions.

    Down is free. Up goes one stage at a time, after its dwell in market time (`dwell`), with every
    one of the `conditions` passed, evidence among them.
    """
    never = objection(held.stage, 0, stage, held_ms, override=True)
    if never or stage < held.stage:
        return Climb(never)
    early = objection(held.stage, 0, stage, held_ms, override=False)
    if early and held.stage_since > now:
        early += (
            f" (it was set at {held.stage_since:%Y-%m-%d %H:%M} UTC by the clock of then, which"
            " lies in the future: no time counts before that)"
        )
    missing = () if all_pass(conditions) else lacking(conditions)
    return Climb("", early, missing, not missing and not all_pass(conditions))


def about_promoted(
    conditions: Sequence[Condition], judged: Model | None, held: Promotion | None
) -> tuple[Condition, ...]:
    """The conditions of a model as those of the promoted one: of another they tell nothing."""
    if held is None or held.model == judged:
        return tuple(conditions)
    serves = f"version {judged.version} does" if judged else "no model does"
    lacks = f"{serves}, and its evidence is none for version {held.model.version}"
    promoted = Condition("promoted model serves", State.REFUTED, None, "it does", lacks)
    return (promoted, *conditions)
