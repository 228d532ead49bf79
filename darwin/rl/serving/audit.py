"""Whether recorded decisions of agents follow from what is recorded of them.

Each is made again from its stored observation and the model that its digest names, and its ruling
by asking the door's questions again: of the agent's standing, its breaker and its override limit
at that place of the chain, and of what the run's config says of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from darwin.core.agents import FURTHEST_SD, GATE, SKIP, Advice, Mode, Model, Role, Standing, Why
from darwin.core.ports import AnyPolicies, AnyPolicy
from darwin.engine.consult import WHOLE, advise
from darwin.errors import ConfigError, IntegrityError, ModelError, RecordError
from darwin.rl.agents.pages import PAGES
from darwin.rl.registry.files import AlteredModelError
from darwin.rl.serving.history import Charters, History
from darwin.safety.stages import is_audited

TOLERANCE = 2e-9
"""Advice is recorded to nine decimals, and another processor may round the last one otherwise."""

_UNSOUND = (Why.ADVICE_NOT_FINITE, Why.WRONG_SHAPE, Why.ILLEGAL)
_MEND = "bring its files back from a copy: nothing that a run wrote changes a version"


class Audit:
    """The fold of a run's facts into how many decisions could be made again, and were the same.

    For decisions about candidates; `book_audit` has what differs where they are about books.
    """

    TABLE, KEY = "agent_decisions", "candidate_id"

    def __init__(self, policies: AnyPolicies | None, charters: Charters | None = None) -> None:
        """Without `policies` no advice can be made again, but every ruling.

        Without `charters` nothing is known of the run's config, and what hangs on it is believed.
        """
        self.recomputed = self.without_model = self.older_schema = 0
        self._policies, self._charters = policies, charters
        self._found: dict[tuple[str, Model], AnyPolicy | None] = {}
        self._history = History(charters)

    def fold(self, table: str, seq: int, row: Mapping[str, Any]) -> None:
        """Take one fact, by the names of its columns. Raises RecordError where it does not fit."""
        try:
            self._history.fold(table, row)
            what = self._flaw(row) if table == self.TABLE else ""
        except AlteredModelError as fault:
            named = f"{row['agent_name']} {row['model_version']}"
            what = f"cannot be made again: the files of {named} are not those of then"
            error = self._error(f"{what} ({fault.what})", table, seq, row)
            error.where, error.mend = fault.where, _MEND
            raise error from fault
        except IntegrityError as fault:
            raise self._error(f"tells of what never was ({fault.what})", table, seq, row) from fault
        if what:
            raise self._error(what, table, seq, row)

    def close(self) -> None:
        """Nothing of agents is still to come at the end of a run."""

    def _error(self, what: str, table: str, seq: int, row: Mapping[str, Any]) -> RecordError:
        about = row.get("candidate_id") or row.get(self.KEY) or ""
        return RecordError(what, table=table, seq=seq, candidate_id=str(about))

    def _page(self, agent: str) -> Any:
        """The page of an agent; None: there is no such agent."""
        return PAGES.get(agent)

    def _flaw(self, row: Mapping[str, Any]) -> str:
        """What is wrong with a decision; empty: nothing."""
        page = self._page(row["agent_name"])
        if page is None:
            return "is no decision of an agent that exists"
        try:
            why = Why(row["reason"])
        except ValueError:
            return f"gives a reason that does not exist: {row['reason']!r}"
        if (row["action"] is not None) != why.inferred:
            return f"has {'no ' if why.inferred else ''}advice, which '{why}' does not go with"
        if self._history.killed != (why is Why.KILLED):
            return "was not made under the kill switch as it stood"
        standing = self._history.standing(page.name)
        serves = row["role"] == Role.SERVING
        model = standing.serving if serves else standing.challenger
        if (row["model_version"], row["model_sha256"]) != (model or (None, None)):
            return "names another model than stood there"
        ask = cache(lambda: self._answer(row, page, model))  # once, and only where it is needed
        return (
            self._out_of_place(row, page)
            or self._in_another_mode(row, standing)
            or self._seen_otherwise(row, page, ask)
            or self._advised_otherwise(row, page, ask)
            or self._objected_otherwise(row, page, why, standing, model, ask)
            or self._ruled_otherwise(row, page, why, standing)
        )

    def _answer(self, row: Mapping[str, Any], page: Any, model: Model | None) -> _Answer | None:
        """What the model says now, asked as the door asks; None where it is not to be had."""
        policy = self._policy(page.name, model)
        if policy is None:
            return None
        seen = _observation(row)
        advice, why, said = self._advise(page, policy, seen)
        asked = why not in (Why.NOT_FINITE, Why.RAISED)
        return _Answer(advice, why, said, _is_far(policy.strangeness(seen)) if asked else False)

    def _advise(
        self, page: Any, policy: AnyPolicy, seen: NDArray[np.float32]
    ) -> tuple[Any, Why, str]:
        """Ask as the door asks."""
        return advise(page, policy, seen)

    def _out_of_place(self, row: Mapping[str, Any], page: Any) -> str:
        if (row["candidate_id"], row["bar_time"]) != self._history.candidate:
            return "is about another candidate or bar than the one it stands behind"
        if row["baseline_action"] != page.baseline:
            return f"names {row['baseline_action']} as the baseline, which is {page.baseline}"
        return ""

    def _in_another_mode(self, row: Mapping[str, Any], standing: Standing) -> str:
        if row["mode"] == Mode.ACTIVE and not (standing.promoted and standing.serving):
            return "acted without a promotion on record"
        if self._charters is None:
            return ""
        charter = self._charters.agents.get(row["agent_name"])
        if charter is None:
            return "is of an agent that the config of the run does not name"
        may = charter.may_act and standing.promoted and standing.serving is not None
        due = Mode.ACTIVE if may and row["role"] == Role.SERVING else Mode.OBSERVE
        return "" if row["mode"] == due else f"was made as '{row['mode']}' where '{due}' was due"

    def _seen_otherwise(self, row: Mapping[str, Any], page: Any, ask: _Ask) -> str:
        """An older Darwin may have seen other columns; a model that is of today's page has not."""
        if row["feature_schema"] == page.schema:
            return ""
        if ask() is not None:
            return "names other columns than its model is asked about"
        self.older_schema += 1
        return ""

    def _advised_otherwise(self, row: Mapping[str, Any], page: Any, ask: _Ask) -> str:
        if row["action"] is None:
            return ""
        answer = ask()
        if answer is None:
            self.without_model += row["feature_schema"] == page.schema
            return ""
        if answer.why in (Why.NOT_FINITE, Why.RAISED):
            said = answer.said or answer.why
            return f"has an observation that its model does not take ({said})"
        if answer.why is Why.OUT_OF_RANGE:
            return ""  # the door's question about that says whether it should have been asked
        self.recomputed += 1
        told = self._told(row)
        if answer.advice is not None and self._is_alike(answer.advice, told):
            return ""
        now = tuple(answer.advice) if answer.advice is not None else answer.why
        return f"does not follow from its observation and model: {told} then, {now} now"

    def _told(self, row: Mapping[str, Any]) -> tuple[Any, float | None]:
        """Action and probability, as recorded."""
        return row["action"], row["probability"]

    def _is_alike(self, advice: Any, told: tuple[Any, float | None]) -> bool:
        return _alike(advice, told)

    def _policy(self, agent: str, model: Model | None) -> AnyPolicy | None:
        """The model named, if it is still to be had. Raises AlteredModelError."""
        if self._policies is None or model is None:
            return None
        if (agent, model) not in self._found:
            try:
                self._found[agent, model] = self._policies.policy(agent, model)
            except AlteredModelError:
                raise
            except (ConfigError, ModelError):
                self._found[agent, model] = None
        return self._found[agent, model]

    def _objected_otherwise(
        self,
        row: Mapping[str, Any],
        page: Any,
        why: Why,
        standing: Standing,
        model: Model | None,
        ask: _Ask,
    ) -> str:
        """Whether another question of the door was the first "no"."""
        for reason, holds in self._questions(row, page, standing, model, ask):
            if holds is None:
                if why is reason:
                    break
            elif holds:
                if why is not reason:
                    return f"gives the reason '{why}' where '{reason}' was due"
                break
            elif why is reason:
                return f"gives the reason '{why}', which does not hold"
        if row["role"] == Role.SERVING and why.inferred:
            self._history.count(page.name, self._requested(row, page), why)
        return ""

    def _requested(self, row: Mapping[str, Any], page: Any) -> bool:
        """Whether advice would set the expert aside."""
        return bool(page.overrides(row["action"], self._history.take(row["candidate_id"])))

    def _would_skip(self, row: Mapping[str, Any], page: Any) -> bool:
        return bool(page.name == GATE and row["action"] == SKIP)

    def _questions(
        self,
        row: Mapping[str, Any],
        page: Any,
        standing: Standing,
        model: Model | None,
        ask: _Ask,
    ) -> Iterator[tuple[Why, bool | None]]:
        """The door's questions in its order, each with whether it ends there; None: not known."""
        history, role = self._history, Role(row["role"])
        serves = role is Role.SERVING
        yield Why.KILLED, history.killed
        charter = self._charters and self._charters.agents[page.name]
        yield Why.DISABLED, None if charter is None else not charter.enabled
        yield Why.NO_MODEL, model is None
        yield Why.BREAKER_OPEN, history.is_open(page.name, role)
        yield from _inference(row, ask)
        slow = serves and history.was_too_slow(page.name, row[self.KEY])
        yield Why.TIMED_OUT, slow
        if row["action"] is None:
            return  # its model is gone, and with it what it would have said
        yield Why.CHALLENGER, not serves
        yield Why.OBSERVE, row["mode"] == Mode.OBSERVE
        requested = self._requested(row, page)
        yield Why.OVERRIDE_LIMIT, requested and history.forbids_override(page.name)
        yield Why.STAGE_ZERO, not standing.stage > 0.0
        would_skip = self._would_skip(row, page) and standing.stage == WHOLE
        drawn = model is not None and is_audited(int(row[self.KEY], 16), model.sha256)
        yield Why.AUDIT, would_skip and drawn
        yield Why.ACTIVE, True

    def _ruled_otherwise(
        self, row: Mapping[str, Any], page: Any, why: Why, standing: Standing
    ) -> str:
        take = self._history.take(row["candidate_id"])
        stands = page.share(page.baseline, take)
        share = stands
        if why is Why.ACTIVE:
            heard = page.share(row["action"], take)
            stage = standing.stage
            share = stands if heard == stands else stage * heard + (1.0 - stage) * stands
        if row["final_action"] != share:
            return f"let {row['final_action']} of the order stand where {share} was due"
        if bool(row["followed"]) != (why is Why.ACTIVE):
            return "does not say truly whether its advice was followed"
        return ""


class _Answer(NamedTuple):
    """What a model says of a stored observation, asked once and as the door asks."""

    advice: Any  # Advice or BookAdvice; None: no sound one
    why: Why  # ACTIVE: sound advice
    said: str  # the words of what it raised
    far: bool | None  # out of range; None so near the border that processors may differ


_Ask: TypeAlias = Callable[[], _Answer | None]
"""Asks the model; a row for which no model was read reads none."""


def _inference(row: Mapping[str, Any], ask: _Ask) -> Iterator[tuple[Why, bool | None]]:
    """The door's questions about the observation and what the model makes of it."""
    sound = row["action"] is not None  # then it is what its model says
    unknown = False if sound else None
    yield Why.NOT_FINITE, not np.isfinite(_observation(row)).all()
    answer = ask()
    yield Why.OUT_OF_RANGE, unknown if answer is None else answer.far
    yield Why.RAISED, unknown if answer is None else answer.why is Why.RAISED
    told = None if answer is None or sound or answer.why is Why.OUT_OF_RANGE else answer.why
    for flaw in _UNSOUND:
        yield flaw, False if sound or told is Why.ACTIVE else None
    if told in _UNSOUND:
        yield Why.ILLEGAL, True  # one of the three, whichever


def _observation(row: Mapping[str, Any]) -> NDArray[np.float32]:
    """What was seen; NaN where the row holds no whole numbers."""
    try:
        return np.frombuffer(row["observation"], dtype="<f4")
    except ValueError:
        return np.full(1, np.nan, np.float32)


def _is_far(away: float) -> bool | None:
    return None if abs(away - FURTHEST_SD) <= TOLERANCE * FURTHEST_SD else not away <= FURTHEST_SD


def _alike(advice: Advice, told: tuple[float | None, float | None]) -> bool:
    return all(
        (now is None) == (then is None) and (now is None or abs(now - (then or 0.0)) <= TOLERANCE)
        for now, then in zip(advice, told, strict=True)
    )
