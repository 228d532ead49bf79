"""Small agents for tests of the door: pages without features, policies that follow a script."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from darwin.core.agents import (
    AGENTS,
    GATE,
    KEEP,
    META_LEARNER,
    PASS,
    PORTFOLIO,
    TO_SKIP,
    TO_TAKE,
    Advice,
    Model,
    Standing,
)  # fmt: skip
from darwin.core.candidate import Candidate, CandidateTable
from darwin.core.facts import ALLOWED, KILLED, STANDING, Input
from darwin.core.ports import Moment, Policy
from darwin.engine.consult import Terms
from darwin.engine.seat import AgentTerms
from darwin.errors import ModelError

ONE = Model("20260101_000000", "1" * 64)
TWO = Model("20260102_000000", "2" * 64)


@dataclass(frozen=True)
class Plain:
    """A page that sees a candidate's side, its stop and the account, and needs no feature."""

    name: str
    schema: str = "s" * 64
    needs: tuple[str, ...] = ()

    @property
    def baseline(self) -> float:
        return KEEP if self.name == META_LEARNER else PASS

    def columns(self, table: CandidateTable, playbooks: Sequence[str]) -> NDArray[np.float32]:
        return np.column_stack((table.side, table.stop_distance / table.close)).astype(np.float32)

    def moment(self, moment: Moment) -> tuple[float, ...]:
        account = moment.account
        known = (moment.accuracy_by_playbook, moment.accuracy_by_symbol)
        return (account.gross_exposure / account.equity, account.drawdown, *known)

    def is_legal(self, action: float) -> bool:
        if self.name == PORTFOLIO:
            return 0.0 <= action <= 1.0
        return action in ((KEEP, TO_SKIP, TO_TAKE) if self.name == META_LEARNER else (0.0, 1.0))

    def share(self, action: float, take: bool) -> float:
        if self.name == META_LEARNER:
            return {KEEP: float(take), TO_SKIP: 0.0, TO_TAKE: 1.0}[action]
        return action

    def overrides(self, action: float, take: bool) -> bool:
        return self.name == META_LEARNER and self.share(action, take) != float(take)


@dataclass(frozen=True)
class Does:
    """A policy that says what `answer` makes of the observation; `away` is its strangeness."""

    answer: Callable[[NDArray[np.float32]], object]
    away: float = 0.0

    def strangeness(self, observation: NDArray[np.float32]) -> float:
        return self.away

    def advise(self, observation: NDArray[np.float32]) -> Advice:
        return self.answer(observation)  # type: ignore[return-value]


def always(action: float, probability: float | None = None) -> Does:
    """Says the same, whatever it sees."""
    return Does(lambda _: Advice(action, probability))


def whimsical_policy(agent: str, salt: str = "", trouble: float = 0.0) -> Does:
    """Says something else for each observation; at a share `trouble` of them it fails somehow."""

    def answer(observation: NDArray[np.float32]) -> object:
        drawn = sha256(salt.encode() + observation.tobytes()).digest()
        if drawn[0] < 256 * trouble:
            if drawn[1] % 3 == 0:
                raise RuntimeError(f"whim {drawn[2]}")
            return Advice(float("nan"), None) if drawn[1] % 3 == 1 else Advice(7.0, 1.0)
        if agent == PORTFOLIO:
            return Advice(drawn[3] / 255, None)
        options = (KEEP, KEEP, TO_SKIP, TO_TAKE) if agent == META_LEARNER else (0.0, 1.0, 1.0)
        return Advice(options[drawn[3] % len(options)], 0.5)

    return Does(answer)


@dataclass
class Shelf:
    """Where the door finds policies; it remembers what it was asked for."""

    policies: Mapping[tuple[str, Model], Policy]
    asked: list[tuple[str, Model]] = field(default_factory=list)

    def policy(self, agent: str, model: Model) -> Policy:
        self.asked.append((agent, model))
        if (agent, model) not in self.policies:
            raise ModelError(f"no {model.version} of {agent}")
        return self.policies[agent, model]


def terms(
    policies: Mapping[str, Policy],
    *,
    may_act: bool = True,
    enabled: bool = True,
    challengers: Mapping[str, Policy] | None = None,
    **other: object,
) -> Terms:
    """Terms of the agents in `policies`; version ONE of each serves, TWO may challenge it."""
    shelf = {(name, ONE): policy for name, policy in policies.items()}
    shelf |= {(name, TWO): policy for name, policy in (challengers or {}).items()}
    agents = tuple(AgentTerms(Plain(name), enabled, may_act) for name in AGENTS if name in policies)
    return Terms(agents, Shelf(shelf), **other)  # type: ignore[arg-type]


def standing(agent: str, **other: object) -> Standing:
    """ONE serves, promoted, with all of the capital."""
    return replace(Standing(agent, ONE, promoted=True, stage=1.0), **other)  # type: ignore[arg-type]


@dataclass
class Script:
    """Inputs by the row of the candidate before which they take effect. Is `core.ports.Inputs`."""

    by_row: dict[int, list[tuple[str, str, str]]]

    def before(self, candidate: Candidate) -> Iterable[Input]:
        at = (candidate.row, candidate.id, candidate.bar_time)
        return [
            Input(*at, kind, "anna", "because", agent, detail)
            for kind, agent, detail in self.by_row.get(candidate.row, ())
        ]

    def kill(self, row: int) -> Script:
        """Kill before candidate `row`."""
        return self._add(row, (KILLED, "", ""))

    def allow(self, row: int) -> Script:
        """Allow again."""
        return self._add(row, (ALLOWED, "", ""))

    def stand(self, row: int, *standings: Standing) -> Script:
        """Change how agents stand."""
        for one in standings:
            self._add(row, (STANDING, one.agent, one.text()))
        return self

    def _add(self, row: int, what: tuple[str, str, str]) -> Script:
        self.by_row.setdefault(row, []).append(what)
        return self


def seated(*agents: str, **other: object) -> Script:
    """All `agents` stand as `standing` says from the first candidate on."""
    return Script({}).stand(0, *(standing(agent, **other) for agent in agents))


__all__ = [
    "AGENTS", "GATE", "META_LEARNER", "ONE", "PORTFOLIO", "TWO", "Does", "Plain", "Script", "Shelf",
    "always", "seated", "standing", "terms", "whimsical_policy",
]  # fmt: skip
