"""The fold of facts into alerts: what a person should look at, said once."""

from __future__ import annotations

from collections import defaultdict

from darwin.core.account import Alert, SafetyEvent
from darwin.core.agents import Model, Why
from darwin.core.market import DAY_MS
from darwin.safety import circuit, overrides

KINDS = (
    "performance degradation",
    "excessive overrides",
    "low decision rate",
    "breaker opened",
    "challenger breaker opened",
    "model refused",
    "model stale",
    "evidence refuted",
    "drawdown",
    "data gap",
    "stale data",
    "expert silent",
)
(
    DEGRADATION, OVERRIDES, LOW_RATE, BREAKER, CHALLENGER_BREAKER, REFUSED, STALE, REFUTED,
    DRAWDOWN, GAP, LATE, SILENT,
) = KINDS  # fmt: skip

SILENCE_MS = DAY_MS
"""An alert whose cause stays is raised again after so long."""

STALE_AFTER_DAYS = 30
LAST_CONSULTATIONS = 50
"""How many consultations of an agent are looked back on."""

QUESTIONS_IN_A_ROW = 5
"""So many without an answer are no accident; of some causes one is enough."""
FOR_A_PERSON = ("key refused", "not found")
"""The causes that stay until a person mends them."""


class Monitor:
    """Told what happens, answers with the alerts that newly arise; no ruling depends on them.

    There is one alert per agent and kind until its cause is gone or a day of the run's clock has
    passed; one per model for a stale and for a refused one, and one for a low rate until it
    recovers. Times are open times of bars in ms UTC, and never go
    back. The same facts in the same order give the same alerts.
    """

    def __init__(self) -> None:
        """Start with nothing told and nothing raised."""
        self._raised: dict[tuple[str, str], int] = {}  # (agent, kind), while the cause stays: when
        self._serving: dict[str, tuple[Model, int]] = {}  # and its training end
        self._found_stale: set[tuple[str, Model]] = set()
        self._refused: dict[str, str] = {}  # by agent: what was said of it
        self._unanswered = 0  # questions to the expert, in a row
        self._recent: defaultdict[str, _Recent] = defaultdict(_Recent)

    def serves(self, agent: str, model: Model | None, training_end_ms: int | None) -> None:
        """Hear which model serves, and up to when it saw data; None: no model, or nobody knows."""
        if model is None:
            self._recent.pop(agent, None)  # what serves later is judged by its own
            self.is_over(LOW_RATE, agent)
        else:
            self._refused.pop(agent, None)
        if model is None or training_end_ms is None:
            self._serving.pop(agent, None)
        else:
            self._serving[agent] = (model, training_end_ms)

    def refused(self, time: int, agent: str, detail: str) -> list[Alert]:
        """Hear that the model of an agent is refused, so that it is off; `detail` says which."""
        if self._refused.get(agent) == detail:
            return []
        self._refused[agent] = detail
        return [Alert(time, REFUSED, agent, detail)]

    def consulted(self, time: int, agent: str, why: Why) -> list[Alert]:
        """Hear what came of asking the serving model of `agent` at a bar.

        Agents that are killed, disabled or without a model raise nothing: whoever did that knows.
        """
        if why in (Why.KILLED, Why.DISABLED, Why.NO_MODEL):
            return []
        recent = self._recent[agent]
        recent.add(why)
        alerts = self._check_overrides(time, agent, why, recent)
        alerts += self._check_rate(time, agent, recent)
        return alerts + self._check_age(time, agent)

    def happened(self, event: SafetyEvent) -> list[Alert]:
        """Hear of a safety event, of the account or of an agent."""
        time, agent, detail = event.time, event.agent, event.detail
        if event.kind == circuit.OPENED:
            return self._raise(time, BREAKER, agent, detail)
        if event.kind == circuit.OF_CHALLENGER + circuit.OPENED:
            return self._raise(time, CHALLENGER_BREAKER, agent, detail)
        if event.kind == overrides.STORM:
            self._recent[agent].since_excess = 0
            return self._raise(time, OVERRIDES, agent, detail)
        if event.kind == "reducing":
            return self._raise(time, DRAWDOWN, agent, detail)
        if event.kind == "stale":
            return self._raise(time, LATE, agent, detail)
        if event.kind == circuit.CLOSED:
            self.is_over(BREAKER, agent)
        elif event.kind == circuit.OF_CHALLENGER + circuit.CLOSED:
            self.is_over(CHALLENGER_BREAKER, agent)
        elif event.kind == "resumed":
            self.is_over(DRAWDOWN, agent)
        elif event.kind == "fresh":
            self.is_over(LATE, agent)
        return []

    def judged(self, time: int, failure: str | None) -> list[Alert]:
        """Hear that the expert answered at a bar, or the failure for which it did not."""
        if failure is None:
            self._unanswered = 0
            self.is_over(SILENT)
            return []
        self._unanswered += 1
        if self._unanswered < QUESTIONS_IN_A_ROW and failure not in FOR_A_PERSON:
            return []
        detail = f"no answer to the last {self._unanswered:,} questions; the last time: {failure}"
        return self._raise(time, SILENT, "", detail)

    def missed_bars(self, time: int, detail: str) -> list[Alert]:
        """Hear that bars are missing before the one at `time`."""
        return self._raise(time, GAP, "", detail)

    def degraded(self, time: int, agent: str, detail: str) -> list[Alert]:
        """Hear that an agent has become worse than its record."""
        return self._raise(time, DEGRADATION, agent, detail)

    def refuted(self, time: int, agent: str, detail: str) -> list[Alert]:
        """Hear that what was claimed of an agent has been refuted."""
        return self._raise(time, REFUTED, agent, detail)

    def is_over(self, kind: str, agent: str = "") -> None:
        """Hear that the cause of an alert is gone: should it come back, that is a new alert."""
        self._raised.pop((agent, kind), None)

    def _raise(self, time: int, kind: str, agent: str, detail: str) -> list[Alert]:
        last = self._raised.get((agent, kind))
        if last is not None and time - last < SILENCE_MS:
            return []
        self._raised[agent, kind] = time
        return [Alert(time, kind, agent, detail)]

    def _check_overrides(self, time: int, agent: str, why: Why, recent: _Recent) -> list[Alert]:
        if why is Why.OVERRIDE_LIMIT:
            recent.since_excess = 0
            detail = "an override was refused: too many stand already"
            return self._raise(time, OVERRIDES, agent, detail)
        if recent.since_excess >= LAST_CONSULTATIONS:
            self.is_over(OVERRIDES, agent)
        return []

    def _check_rate(self, time: int, agent: str, recent: _Recent) -> list[Alert]:
        if 2 * recent.silent > LAST_CONSULTATIONS:
            detail = (
                f"no advice at {recent.silent} of at most {LAST_CONSULTATIONS} consultations,"
                f" the last time: {recent.last_silence}"
            )
            return (
                []
                if (agent, LOW_RATE) in self._raised
                else self._raise(time, LOW_RATE, agent, detail)
            )
        self.is_over(LOW_RATE, agent)
        return []

    def _check_age(self, time: int, agent: str) -> list[Alert]:
        if agent not in self._serving:
            return []
        model, training_end = self._serving[agent]
        age = time - training_end
        if age <= STALE_AFTER_DAYS * DAY_MS or (agent, model) in self._found_stale:
            return []
        self._found_stale.add((agent, model))
        detail = f"version {model.version} was trained on data up to {age / DAY_MS:.1f} days ago"
        return [Alert(time, STALE, agent, detail)]


class _Recent:
    """The last consultations of one agent."""

    __slots__ = ("_silences", "last_silence", "since_excess")

    def __init__(self) -> None:
        self._silences = 0  # one bit for each, the lowest for the last: 1 gave no advice
        self.last_silence = ""  # why
        self.since_excess = 0  # consultations since overrides were last too many

    def add(self, why: Why) -> None:
        """Count one."""
        silent = not why.inferred
        if silent:
            self.last_silence = why
        self._silences = (self._silences << 1 | silent) & ((1 << LAST_CONSULTATIONS) - 1)
        self.since_excess += 1

    @property
    def silent(self) -> int:
        """How many of them gave no advice."""
        return self._silences.bit_count()
