"""A seat at the door: what one agent is to a run, which models it has, what they see."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darwin.core.agents import META_LEARNER, Mode, Model, Role, Standing
from darwin.core.candidate import CandidateTable
from darwin.core.ports import AnyPolicies, AnyPolicy, Moment, Page
from darwin.core.rebalance import BookPage
from darwin.safety.breaker import Breaker, BreakerSettings
from darwin.safety.overrides import OverrideLimit

_ROWS_AT_ONCE = 4_096


@dataclass(frozen=True, slots=True)
class AgentTerms:
    """What the config says of one agent."""

    page: Page
    enabled: bool = True
    may_act: bool = False  # mode `active` or `auto`; without a promotion on record it observes


@dataclass(frozen=True, slots=True)
class BookTerms:
    """The same of an agent of a book."""

    page: BookPage
    enabled: bool = True
    may_act: bool = False


class Sight:
    """What candidates look like to one page, reckoned some thousand rows at a time."""

    def __init__(self, page: Page, playbooks: Sequence[str]) -> None:
        """See nothing yet."""
        self.page, self._playbooks = page, tuple(playbooks)
        self._table: CandidateTable | None = None
        self._first = self._start = 0
        self._block: NDArray[np.float32] = np.empty((0, 0), np.float32)

    def show(self, table: CandidateTable, first_row: int) -> None:
        """Look at `table` from now on, whose first candidate is row `first_row` of the run."""
        self._table, self._first = table, first_row
        self._block = self._block[:0]

    def observe(self, row: int, moment: Moment) -> NDArray[np.float32]:
        """The whole observation of candidate `row`, shape (k,)."""
        at = row - self._start
        if not 0 <= at < len(self._block):
            at = self._turn_to(row)
        columns = self._block[at]
        rest = self.page.moment(moment)
        known = len(columns)
        observation = np.empty(known + len(rest), np.float32)
        observation[:known] = columns
        observation[known:] = rest
        observation.flags.writeable = False  # what is recorded is what was shown
        return observation

    def _turn_to(self, row: int) -> int:
        """Reckon the block that begins with `row`."""
        if self._table is None:
            raise IndexError("no candidates were shown")
        begin = row - self._first
        some = np.arange(begin, min(begin + _ROWS_AT_ONCE, len(self._table)))
        self._block = self.page.columns(self._table.select(some), self._playbooks)
        self._start = row
        return 0


class Chair:
    """One model of an agent; it is loaded when it is first asked."""

    __slots__ = ("_policy", "breaker", "model", "role")

    def __init__(self, role: Role, model: Model, breaker: Breaker) -> None:
        """Nothing of the model is read yet."""
        self.role, self.model, self.breaker = role, model, breaker
        self._policy: AnyPolicy | None = None

    def policy(self, agent: str, policies: AnyPolicies) -> AnyPolicy:
        """The model, ready to be asked. Raises ModelError where it is not to be had any more."""
        if self._policy is None:
            self._policy = policies.policy(agent, self.model)
        return self._policy


class Seat:
    """One agent of a run: its terms, its standing, its chairs, and what bounds it."""

    def __init__(
        self,
        terms: AgentTerms | BookTerms,
        playbooks: Sequence[str],
        breaker: BreakerSettings,
        max_override_rate: float,
    ) -> None:
        """Start without a model."""
        self.terms, self.page = terms, terms.page
        self._sight = Sight(terms.page, playbooks) if isinstance(terms, AgentTerms) else None
        self.standing = Standing(terms.page.name)
        self.mode = Mode.OBSERVE
        self.limit = OverrideLimit(max_override_rate) if self.page.name == META_LEARNER else None
        self.too_slow_for = -1  # id of the candidate for which a time-out is on record
        self.serving: Chair | None = None
        self.challenger: Chair | None = None
        self._breaker, self._settings = Breaker(breaker), breaker

    @property
    def most_usd(self) -> float:
        """The most that a position may be worth in which its advice is followed."""
        cap = self.standing.max_position_usd
        return math.inf if cap is None else cap

    @property
    def sight(self) -> Sight:
        """What candidates look like to it. An agent of a book sees none: TypeError."""
        if self._sight is None:
            raise TypeError(f"{self.page.name} is asked about a book, not about candidates")
        return self._sight

    def stand(self, standing: Standing) -> None:
        """Take what is on record of the agent from now on. The breaker is the agent's: it stays."""
        self.standing = standing
        acts = self.terms.may_act and standing.promoted and standing.serving is not None
        self.mode = Mode.ACTIVE if acts else Mode.OBSERVE
        self.serving = self._chair(self.serving, standing.serving, Role.SERVING)
        self.challenger = self._chair(self.challenger, standing.challenger, Role.CHALLENGER)

    def _chair(self, now: Chair | None, model: Model | None, role: Role) -> Chair | None:
        if model is None or (now is not None and now.model == model):
            return now if model is not None else None
        return Chair(
            role, model, self._breaker if role is Role.SERVING else Breaker(self._settings)
        )
