"""The suite that every expert inherits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from darwin.core.decision import Verdict
from darwin.core.market import FloatArray
from darwin.core.ports import Decider
from darwin.errors import DarwinError
from darwin.features.pipeline import Frame
from darwin.testing.contract_samples import Case, questions, sample_markets


class DeciderContract:
    """What an expert keeps. Fixture: `decider`. Override `cases` for what it can answer."""

    def cases(self, decider: Decider) -> list[Case]:
        """The questions it is asked."""
        return questions(decider.needs)

    def test_its_needs_are_features(self, decider: Decider) -> None:
        """Each a key of the catalog's language, each once."""
        needs = decider.needs
        assert isinstance(needs, tuple), f"needs is {type(needs).__name__}; give a tuple of keys"
        assert len(set(needs)) == len(needs), f"needs names a key twice: {needs}; name it once"
        assert needs == decider.needs, "needs changes from one call to the next; fix it when made"
        Frame(sample_markets()["a dead market"], needs)  # an unknown key raises ConfigError

    def test_every_verdict_keeps_its_bounds(self, decider: Decider) -> None:
        """What is stored, reported and learned from."""
        for case in self.cases(decider):
            _assert_legal(decider.decide(*case))

    def test_the_same_question_has_the_same_answer_in_any_order(self, decider: Decider) -> None:
        """A replay asks again, and asks other questions in between."""
        cases = self.cases(decider)
        first = [decider.decide(*case) for case in cases]
        again = [decider.decide(*case) for case in reversed(cases)]
        for case, one, two in zip(cases, first, reversed(again), strict=True):
            assert one == two, (
                f"asked twice about candidate {case.candidate.row} it says {one}, then {two}; "
                "answer from candidate, features and account alone"
            )

    def test_it_leaves_the_features_as_they_are(self, decider: Decider) -> None:
        """They are recorded after it has seen them."""
        for case in self.cases(decider):
            before = case.features.copy()
            decider.decide(*case)
            assert np.array_equal(before, case.features, equal_nan=True), (
                "it writes into the features it was shown; work on a copy"
            )

    def test_missing_features_end_in_a_verdict_or_a_refusal(self, decider: Decider) -> None:
        """NaN is what a feature says when it does not know."""
        for case in self.cases(decider)[:30]:
            for blind in _blinded(case.features):
                try:
                    verdict = decider.decide(case.candidate, blind, case.account)
                except DarwinError:
                    continue
                except (ArithmeticError, LookupError, TypeError, ValueError) as fault:
                    raise AssertionError(
                        f"features {blind} end in {type(fault).__name__}: {fault}; say what NaN "
                        "counts as, or raise a DarwinError"
                    ) from fault
                _assert_legal(verdict)

    def test_a_promise_to_take_everything_is_kept(self, decider: Decider) -> None:
        """The engine takes a short cut on that word."""
        promised = decider.takes_everything
        if promised is None:
            return
        assert promised.take, (
            "takes_everything is a verdict that skips; give None unless it takes every candidate"
        )
        for case in self.cases(decider):
            verdict = decider.decide(*case)
            assert verdict == promised, (
                f"takes_everything promises {promised}, but asked about candidate "
                f"{case.candidate.row} it says {verdict}; promise only what decide() always says"
            )


def _assert_legal(verdict: Verdict) -> None:
    assert isinstance(verdict, Verdict), f"decide() gives {verdict!r}; return a Verdict"
    assert isinstance(verdict.take, bool), (
        f"take is {type(verdict.take).__name__}; make it a plain bool"
    )
    for name in ("confidence", "quality"):
        value = getattr(verdict, name)
        assert 0.0 <= value <= 1.0, f"{name} is {value}; keep it within 0..1, NaN is no answer"
    cost = verdict.cost_usd
    assert 0.0 <= cost < np.inf, f"cost_usd is {cost}; what asking cost is 0 or more"
    flags = verdict.risk_flags
    assert isinstance(flags, tuple) and all(isinstance(flag, str) for flag in flags), (
        f"risk_flags is {flags!r}; give a tuple of strings"
    )


def _blinded(features: FloatArray) -> Iterator[FloatArray]:
    """All features NaN, then each one alone."""
    yield np.full_like(features, np.nan)
    for i in range(len(features)):
        blind = features.copy()
        blind[i] = np.nan
        yield blind
