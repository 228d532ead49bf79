"""What an agent is asked about: a candidate, or a whole book; how its answer is read, and recorded.

The door asks of both in the same way and rules on both by the same questions (`engine.consult`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from darwin.core.agents import GATE, SKIP, Advice, Decision, Mode, Model, Role, Ruling, Why
from darwin.core.book_facts import Rebalance
from darwin.core.candidate import Candidate
from darwin.core.facts import Subject
from darwin.core.ports import Page
from darwin.core.rebalance import BookAdvice, BookPage


class Matter(Subject, Protocol):
    """What is asked of an agent, and what it sees."""

    @property
    def observation(self) -> NDArray[np.float32]:
        """All that is seen, shape (k,)."""
        ...

    def flaw(self, advice: object) -> Why | None:
        """What is wrong with advice, if anything; a model may have handed out whatever it liked."""
        ...

    def overrides(self, advice: Any) -> bool:
        """Whether sound advice sets the expert aside."""
        ...

    def would_skip(self, advice: Any) -> bool:
        """Whether it would leave nothing to learn from, so that some of it must be audited."""
        ...

    def share(self, advice: Any) -> float:
        """What of its own measure advice leaves; None: what the baseline does."""
        ...


@dataclass(frozen=True, slots=True)
class CandidateMatter:
    """A candidate; the measure is the fraction of its order."""

    page: Page
    candidate: Candidate
    take: bool  # what the expert said; True where it was not asked yet
    observation: NDArray[np.float32]

    @property
    def row(self) -> int:
        """Of the candidate."""
        return self.candidate.row

    @property
    def id(self) -> int:
        """Of the candidate."""
        return self.candidate.id

    @property
    def bar_time(self) -> int:
        """Of the candidate."""
        return self.candidate.bar_time

    def flaw(self, advice: object) -> Why | None:
        """See `candidate_flaw`."""
        return candidate_flaw(self.page, advice)

    def overrides(self, advice: Advice) -> bool:
        """See `core.ports.Page`."""
        return self.page.overrides(advice.action, self.take)

    def would_skip(self, advice: Advice) -> bool:
        """A gate that skips hides from itself what it skipped."""
        return self.page.name == GATE and advice.action == SKIP

    def share(self, advice: Advice | None) -> float:
        """The fraction of the order."""
        action = self.page.baseline if advice is None else advice.action
        return self.page.share(action, self.take)

    def decision(
        self,
        role: Role,
        mode: Mode,
        model: Model | None,
        advice: Advice | None,
        ruling: Ruling,
        latency_us: int,
    ) -> Decision:
        """The row of `agent_decisions`."""
        return Decision(
            self.candidate.row,
            self.page.name,
            role,
            mode,
            None if advice is None else advice.action,
            None if advice is None else advice.probability,
            self.page.baseline,
            ruling.share,
            ruling.followed,
            ruling.why,
            model,
            self.page.schema,
            self.observation.tobytes(),
            latency_us,
        )


@dataclass(frozen=True, slots=True)
class BookMatter:
    """A rebalance; the measure is the part of the way from the baseline to what is advised."""

    page: BookPage
    rebalance: Rebalance
    observation: NDArray[np.float32]

    @property
    def row(self) -> int:
        """Of the rebalance."""
        return self.rebalance.row

    @property
    def id(self) -> int:
        """Of the rebalance."""
        return self.rebalance.id

    @property
    def bar_time(self) -> int:
        """Of the rebalance."""
        return self.rebalance.bar_time

    def flaw(self, advice: object) -> Why | None:
        """See `book_flaw`."""
        return book_flaw(self.page, advice)

    def overrides(self, advice: BookAdvice) -> bool:
        """No expert judges a book, so none is set aside."""
        return False

    def would_skip(self, advice: BookAdvice) -> bool:
        """What the market does is known whatever was held: nothing is hidden, nothing audited."""
        return False

    def share(self, advice: BookAdvice | None) -> float:
        """All of the way, or nothing of it."""
        return 0.0 if advice is None else 1.0


def candidate_flaw(page: Page, advice: object) -> Why | None:
    """What is wrong with advice about a candidate, if anything."""
    if not isinstance(advice, Advice) or len(advice) != 2:
        return Why.WRONG_SHAPE
    action, probability = advice
    if type(action) is not float or not (probability is None or type(probability) is float):
        return Why.WRONG_SHAPE
    if not math.isfinite(action):
        return Why.ADVICE_NOT_FINITE
    if not page.is_legal(action):
        return Why.ILLEGAL
    return _flaw_of_chance(probability)


def book_flaw(page: BookPage, advice: object) -> Why | None:
    """What is wrong with advice about a book, if anything."""
    if not isinstance(advice, BookAdvice) or len(advice) != 2:
        return Why.WRONG_SHAPE
    action, probability = advice
    if type(action) is not tuple or not all(type(one) is float for one in action):
        return Why.WRONG_SHAPE
    if not (probability is None or type(probability) is float):
        return Why.WRONG_SHAPE
    if not all(math.isfinite(one) for one in action):
        return Why.ADVICE_NOT_FINITE
    if not page.is_legal(action):
        return Why.ILLEGAL
    return _flaw_of_chance(probability)


def _flaw_of_chance(probability: float | None) -> Why | None:
    if probability is not None and not 0.0 <= probability <= 1.0:
        return Why.ILLEGAL if math.isfinite(probability) else Why.ADVICE_NOT_FINITE
    return None
