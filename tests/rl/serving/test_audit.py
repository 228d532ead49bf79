"""A recorded decision whose observation its model cannot take is named, not passed over."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from darwin.core.agents import GATE, Standing
from darwin.core.facts import STANDING
from darwin.errors import ModelError, RecordError
from darwin.rl.agents.pages import PAGES
from darwin.rl.serving.audit import Audit
from darwin.rl.serving.policies import ServedPolicies, StandIn
from darwin.rl.serving.rules import RULES

RULE = RULES[GATE]
ROW = np.zeros(len(PAGES[GATE].names), np.float32)


def audited(observation: bytes, audit: Audit) -> Audit:
    """Fold how the gate stands, and one decision that it made seeing `observation`."""
    standing = Standing(GATE, RULE.model)
    audit.fold("inputs", 1, {"kind": STANDING, "agent_name": GATE, "detail": standing.text()})
    audit.fold("candidates", 1, {"candidate_id": "0" * 16, "bar_time": 0})
    advice = RULE.advise(ROW)
    decision: dict[str, Any] = {
        "candidate_id": "0" * 16, "agent_name": GATE, "role": "serving", "mode": "observe",
        "action": advice.action, "probability": advice.probability, "final_action": 1.0,
        "followed": 0, "reason": "observe", "model_version": RULE.model.version,
        "model_sha256": RULE.model.sha256, "observation": observation,
        "bar_time": 0, "baseline_action": 1.0, "feature_schema": PAGES[GATE].schema,
    }  # fmt: skip
    audit.fold("agent_decisions", 2, decision)
    return audit


def with_models() -> Audit:
    return Audit(ServedPolicies({}, {GATE: StandIn(RULE.model, RULE)}))


def test_a_sound_observation_is_judged_again() -> None:
    assert audited(ROW.tobytes(), with_models()).recomputed == 1


@pytest.mark.parametrize("observation", [ROW[:-1].tobytes(), b"", ROW.tobytes()[:-1]])
def test_an_observation_that_no_model_takes_is_named(observation: bytes) -> None:
    with pytest.raises(RecordError, match="an observation that its model does not take"):
        audited(observation, with_models())


def test_a_model_that_is_gone_is_counted_and_no_fault() -> None:
    class Gone:
        def policy(self, agent: str, model: object) -> Any:
            raise ModelError("gone")

    audit = audited(ROW.tobytes(), Audit(Gone()))
    assert (audit.recomputed, audit.without_model) == (0, 1)
