"""What stood in a run before a decision, as far as rulings hang on it: a fold of its facts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple

from darwin.core.agents import META_LEARNER, Role, Standing, Why
from darwin.core.facts import ALLOWED, KILLED, STANDING, TIMEOUT
from darwin.safety.circuit import KINDS, OF_CHALLENGER, BreakerState, Phase
from darwin.safety.overrides import OverrideLimit


class Charter(NamedTuple):
    """What the config of a run says of one agent."""

    enabled: bool
    may_act: bool  # mode `active` or `auto`


class Charters(NamedTuple):
    """What the config of a run says of its agents."""

    agents: Mapping[str, Charter]
    bar_ms: int
    max_override_rate: float


class History:
    """The facts of a run so far. What only the config tells is not known without `charters`."""

    def __init__(self, charters: Charters | None) -> None:
        """Nothing has happened yet."""
        self._charters = charters
        self.killed = False
        self.candidate: tuple[str, int] = ("", 0)  # the last one, and the open time of its bar
        self._said: tuple[str, bool] = ("", True)  # of which candidate the expert said what
        self._standings: dict[str, Standing] = {}
        self._breakers: defaultdict[tuple[str, Role], BreakerState] = defaultdict(BreakerState)
        self._too_slow: dict[str, str] = {}  # by agent: for which candidate
        self._limit = None if charters is None else OverrideLimit(charters.max_override_rate)

    def fold(self, table: str, row: Mapping[str, Any]) -> None:
        """Take one fact. Raises IntegrityError for an event that no breaker has written."""
        if table == "candidates":
            self.candidate = (row["candidate_id"], row["bar_time"])
        elif table == "verdicts":
            self._said = (row["candidate_id"], bool(row["take"]))
        elif table == "inputs":
            self._heed(row)
        elif table == "safety_events" and row["agent_name"]:
            kind = row["kind"]
            role = Role.CHALLENGER if kind.startswith(OF_CHALLENGER) else Role.SERVING
            if (kind := kind.removeprefix(OF_CHALLENGER)) in KINDS:
                whose = (row["agent_name"], role)
                self._breakers[whose] = self._breakers[whose].after(kind, row["detail"])

    def standing(self, agent: str) -> Standing:
        """How an agent stands."""
        return self._standings.get(agent, Standing(agent))

    def take(self, candidate_id: str) -> bool:
        """What the expert said of a candidate; True where it was not asked."""
        about, said = self._said
        return said if about == candidate_id else True

    def is_open(self, agent: str, role: Role) -> bool | None:
        """Whether its breaker lets no call through at the candidate's close; None: not known."""
        now_ms = self._now_ms()
        return None if now_ms is None else self._breakers[agent, role].phase(now_ms) is Phase.OPEN

    def was_too_slow(self, agent: str, candidate_id: str) -> bool:
        """Whether a time-out for that candidate is on record."""
        return self._too_slow.get(agent) == candidate_id

    def forbids_override(self, agent: str) -> bool | None:
        """Whether one more override is too many now; None: not known."""
        now_ms = self._now_ms()
        if agent != META_LEARNER:
            return False
        if self._limit is None or now_ms is None:
            return None
        return not self._limit.permits(now_ms)

    def count(self, agent: str, requested: bool, why: Why) -> None:
        """Enter sound advice of the serving model into the window of the override limit."""
        now_ms = self._now_ms()
        if agent == META_LEARNER and self._limit is not None and now_ms is not None:
            self._limit.record(now_ms, requested, requested and why is Why.ACTIVE)

    def _now_ms(self) -> int | None:
        return None if self._charters is None else self.candidate[1] + self._charters.bar_ms

    def _heed(self, row: Mapping[str, Any]) -> None:
        if row["kind"] in (KILLED, ALLOWED):
            self.killed = row["kind"] == KILLED
        elif row["kind"] == TIMEOUT:
            self._too_slow[row["agent_name"]] = row["candidate_id"]
        elif row["kind"] == STANDING:
            try:
                now = Standing.read(row["detail"])
            except (TypeError, ValueError):
                return  # the chain vouches for the row; what it stands for shows in decisions
            before = self.standing(row["agent_name"]).challenger
            if now.challenger is None or now.challenger != before:
                self._breakers.pop((row["agent_name"], Role.CHALLENGER), None)
            self._standings[row["agent_name"]] = now
