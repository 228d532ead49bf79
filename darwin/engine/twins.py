"""Twins of a run: what it would have been with nobody at its door, and with each agent alone.

A twin is the same walk over the same bars, with the same outside inputs and the same expert, on an
account of its own, in which only the agents of a set may act. Agents that act on nothing change
nothing, so most twins are known without a walk.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from darwin.core.account import Account
from darwin.core.agents import Advice, Model, Standing
from darwin.core.candidate import Candidate
from darwin.core.clock import Clock
from darwin.core.decision import Verdict
from darwin.core.facts import LATE, RELEASE, STANDING
from darwin.core.journaled import Journaled
from darwin.core.market import FloatArray
from darwin.core.ports import Decider, Policies, Policy, Progress
from darwin.engine.consult import Terms
from darwin.engine.result import RunResult
from darwin.engine.seat import AgentTerms
from darwin.engine.session import Session
from darwin.errors import DataError, ModelError, StorageError

NOT_KNOWN = Verdict(False, 0.0, 0.0, ("not known",), 0.0)
"""Stands for the verdict on a candidate about which the expert cannot be asked: a skip."""


@dataclass(frozen=True, slots=True)
class Twin:
    """A run in which only some of its agents might act."""

    result: RunResult
    is_run: bool = False  # nobody who was left out changed a size: it is the run itself
    not_known: int = 0  # candidates about which the expert could not be asked, which it skips
    missing_models: tuple[str, ...] = ()  # `gate 20260101_000000`: not to be had, so not heard


@dataclass(frozen=True, slots=True)
class Twins:
    """The twins of one run."""

    sizes_changed: Mapping[str, int]  # by agent, as they are asked: rulings other than its baseline
    without_agents: Twin
    alone: Mapping[str, Twin]  # by agent: only this one may act
    expert_asked_anew: bool  # else the verdicts of the run stand in all twins

    @property
    def are_the_run(self) -> bool:
        """Whether no agent changed a size, so that there was nothing to walk again for."""
        return self.without_agents.is_run


def twins_of(
    session: Session,
    result: RunResult,
    terms: Terms,
    *,
    asks_nobody: bool,
    progress: Progress | None = None,
) -> Twins:
    """Make the twins of `result`, which `session` came to with the agents of `terms`.

    `asks_nobody` says that the expert answers from what it is shown alone and costs nothing real:
    it is then asked anew, as the account of a twin is another one. Any other expert is never asked
    again; the verdicts that the run heard stand, and where it heard none the twin skips.
    """
    changed = {one.page.name: sizes_changed(result, one) for one in terms.agents}
    acting = [
        one.page.name for one in terms.agents if changed[one.page.name] or might_cap(result, one)
    ]
    itself = Twin(result, is_run=True)
    if not acting:
        return Twins(changed, itself, dict.fromkeys(changed, itself), asks_nobody)
    verdicts = None if asks_nobody else result.verdicts.by_row()

    def twin(*agents: AgentTerms) -> Twin:
        expert = TwinsExpert(session.decider, verdicts)
        return walk_again(session, result, terms, agents, expert, progress)

    without = twin()
    alone = {}
    for one in terms.agents:
        name = one.page.name
        if acting == [name]:
            alone[name] = itself
        else:
            alone[name] = twin(one) if might_act(result, one) else without
    return Twins(changed, without, alone, asks_nobody)


def sizes_changed(result: RunResult, agent: AgentTerms) -> int:
    """How many rulings of an agent left another share of an order than its baseline would have."""
    page, asked = agent.page, result.consulted.of(agent.page.name)
    taken, skipped = (page.share(page.baseline, take) for take in (True, False))
    baseline = np.where(result.verdicts.take[asked.row], taken, skipped)
    return int(np.count_nonzero(asked.share != baseline))


def might_act(result: RunResult, agent: AgentTerms) -> bool:
    """Whether an agent ever stood so that its advice could have changed a size."""
    return any(True for _ in _acting(result, agent))


def might_cap(result: RunResult, agent: AgentTerms) -> bool:
    """Whether an order in which an agent was followed may have been cut to its cap."""
    followed = result.consulted.of(agent.page.name).followed.any()
    return bool(followed) and any(
        one.max_position_usd is not None for one in _acting(result, agent)
    )


def _acting(result: RunResult, agent: AgentTerms) -> Iterator[Standing]:
    """How an agent stood wherever it might act."""
    for one in result.inputs:
        if one.kind == STANDING and one.agent == agent.page.name:
            standing = Standing.read(one.detail)
            capital = standing.promoted and standing.stage > 0.0
            if agent.enabled and agent.may_act and standing.serving is not None and capital:
                yield standing


def walk_again(
    session: Session,
    result: RunResult,
    terms: Terms,
    agents: tuple[AgentTerms, ...],
    expert: TwinsExpert,
    progress: Progress | None = None,
) -> Twin:
    """Walk over the candidates of `result` once more, with these agents of `terms` at the door.

    They stand as they stood, are killed as they were and time out as they did; their breakers and
    the override limit begin anew and hear of this walk alone.
    """
    names = {one.page.name for one in agents}
    shelf = _Shelf(terms.policies)
    door = replace(terms, agents=agents, policies=shelf) if agents else None
    inputs = [
        one
        for one in result.inputs
        if one.kind in (RELEASE, LATE) or (names and (not one.agent or one.agent in names))
    ]
    walked = replace(session, decider=expert, agents=door).walk(
        result.candidates,
        result.outcomes,
        Clock.of(session.markets),
        progress,
        inputs=Journaled(inputs) if inputs else None,
    )
    return Twin(walked, False, expert.not_known, tuple(sorted(shelf.missing)))


class TwinsExpert:
    """The expert of a run as its twins hear it. Implements `core.ports.Decider`."""

    def __init__(self, expert: Decider, verdicts: Mapping[int, Verdict] | None) -> None:
        """`verdicts` by row are all that is known; None: `expert` is asked anew."""
        self._expert, self._verdicts = expert, verdicts
        self._promised = expert.takes_everything
        self.not_known = 0

    @property
    def needs(self) -> tuple[str, ...]:
        """Those of the expert, who may be asked."""
        return self._expert.needs

    @property
    def takes_everything(self) -> Verdict | None:
        """What the expert promised of every candidate, it promised of these too."""
        return self._promised

    def decide(self, candidate: Candidate, features: FloatArray, account: Account) -> Verdict:
        """What is known of it, or a skip."""
        if self._promised is not None:
            return self._promised
        try:
            known = (
                self._expert.decide(candidate, features, account)
                if self._verdicts is None
                else self._verdicts.get(candidate.row)
            )
        except DataError:  # an expert that answers from a record which ends here
            known = None
        if known is None:
            self.not_known += 1
            return NOT_KNOWN
        return known


@dataclass(frozen=True, slots=True)
class _Shelf:
    """The models of a run; one that a twin would ask and that is gone gives no advice."""

    policies: Policies
    missing: set[str] = field(default_factory=set)

    def policy(self, agent: str, model: Model) -> Policy:
        try:
            return self.policies.policy(agent, model)
        except (ModelError, StorageError):  # the run never asked it, or it would not be made again
            self.missing.add(f"{agent} {model.version}")
            return _Silent()


class _Silent:
    """Knows nothing of any row, so that the door never asks it for more."""

    def strangeness(self, observation: NDArray[np.float32]) -> float:
        return float("inf")

    def advise(self, observation: NDArray[np.float32]) -> Advice:
        raise AssertionError("whatever is strange to a model is not judged by it")
