"""An expert that breaks a promise makes the test of that promise fail, with the mend."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from darwin.core.account import Account
from darwin.core.candidate import Candidate
from darwin.core.decision import Verdict
from darwin.core.market import FloatArray
from darwin.testing.contracts import DeciderContract
from tests.contracts.caught import assert_caught

GIVEN = Verdict(True, 0.5, 0.5, (), 0.01)


@dataclass
class Expert:
    """Says `verdict`; subclasses break a promise each."""

    verdict: Verdict = GIVEN
    needs: tuple[str, ...] = ("rsi_balance_14", "ema_distance_50")
    takes_everything: Verdict | None = None
    asked: int = 0

    def decide(self, candidate: Candidate, features: FloatArray, account: Account) -> Verdict:
        return self.verdict


class Moody(Expert):
    def decide(self, candidate: Candidate, features: FloatArray, account: Account) -> Verdict:
        self.asked += 1
        return self.verdict._replace(confidence=0.5 + 0.1 * (self.asked % 3))


class Overwrites(Expert):
    def decide(self, candidate: Candidate, features: FloatArray, account: Account) -> Verdict:
        features *= 0.5
        return self.verdict


class Trips(Expert):
    def decide(self, candidate: Candidate, features: FloatArray, account: Account) -> Verdict:
        return self.verdict._replace(quality=int(features[0]) * 0.0)


class PassesNanOn(Expert):
    def decide(self, candidate: Candidate, features: FloatArray, account: Account) -> Verdict:
        return self.verdict._replace(confidence=float(np.clip(features[1], 0.0, 1.0)))


class SkipsShorts(Expert):
    def decide(self, candidate: Candidate, features: FloatArray, account: Account) -> Verdict:
        return self.verdict._replace(take=candidate.side > 0)


BOUNDS = "test_every_verdict_keeps_its_bounds"
MISSING = "test_missing_features_end_in_a_verdict_or_a_refusal"
PROMISE = "test_a_promise_to_take_everything_is_kept"
NEEDS = "test_its_needs_are_features"
BROKEN_EXPERTS = (
    (Expert(GIVEN._replace(confidence=1.5)), BOUNDS, "keep it within 0..1"),
    (Expert(GIVEN._replace(confidence=np.nan)), BOUNDS, "NaN is no answer"),
    (Expert(GIVEN._replace(quality=-0.1)), BOUNDS, "quality is -0.1"),
    (Expert(GIVEN._replace(cost_usd=-0.01)), BOUNDS, "what asking cost is 0 or more"),
    (Expert(GIVEN._replace(cost_usd=np.inf)), BOUNDS, "what asking cost is 0 or more"),
    (Expert(GIVEN._replace(take=np.bool_(True))), BOUNDS, "plain bool"),
    (Expert(GIVEN._replace(risk_flags=["thin"])), BOUNDS, "tuple of strings"),
    (Expert((True, 0.5, 0.5, (), 0.0)), BOUNDS, "return a Verdict"),
    (Moody(), "test_the_same_question_has_the_same_answer_in_any_order", "alone"),
    (Overwrites(), "test_it_leaves_the_features_as_they_are", "work on a copy"),
    (Trips(), MISSING, "say what NaN counts as"),
    (PassesNanOn(), MISSING, "NaN is no answer"),
    (SkipsShorts(takes_everything=GIVEN), PROMISE, "promise only what decide"),
    (Expert(takes_everything=GIVEN._replace(take=False)), PROMISE, "a verdict that skips"),
    (Expert(needs=("rsi_14", "rsi_14")), NEEDS, "names a key twice"),
    (Expert(needs=["rsi_14"]), NEEDS, "give a tuple"),
)


@pytest.mark.parametrize(
    ("expert", "promise", "mend"),
    BROKEN_EXPERTS,
    ids=[f"{type(expert).__name__}-{mend}" for expert, _, mend in BROKEN_EXPERTS],
)
def test_a_broken_expert_is_caught(expert, promise, mend):
    assert_caught(DeciderContract, promise, mend, expert)
