"""What is on record of an agent's right to act: which model is promoted, with how much capital.

One promotion is in force at a time. A newer one takes its place, a demotion ends it, and a change
of stage is about the one of the deployment. Serving another model meanwhile voids nothing, and
counts for nothing: whoever comes back to the promoted model finds its promotion as it was. One
that was replaced does not come back: the log of stages names no model, so that by a rollback an
old model would get the capital that a later one has climbed to.

A cap on positions is the agent's: a person has set it, and whatever is promoted, demoted or moved
later is under it until a person sets another one or lifts it. Every row of stages states it whole.

Live sees what was said of the deployment. A replay sees what was said of itself as well, in the one
order in which all of it was said.
"""

from __future__ import annotations

import heapq
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Connection

from darwin.core.agents import STAGES, UNPROVEN, Model
from darwin.errors import IntegrityError
from darwin.store import logs
from darwin.store.db import Database
from darwin.store.schema import graduation_events, rollout_events

DEPLOYMENT = "deployment"
"""The scope of a promotion that counts everywhere."""
NO_CAPITAL, FIRST_STAGE = STAGES[:2]
BY_ITSELF = "darwin"
"""Who acts where no person did, but evidence."""
BY_EVIDENCE = "by its evidence"


def scope_of(run_id: str) -> str:
    """The scope of a promotion that counts in one replay alone."""
    return f"run:{run_id}"


def run_of(scope: str) -> str:
    """The run that a scope is about; empty for the deployment."""
    return scope.partition(":")[2]


class Kind(StrEnum):
    """What can be said of an agent."""

    PROMOTED = "promoted"  # this model may act
    DEMOTED = "demoted"  # no model may
    STAGED = "staged"  # on so much of the capital


class Act(NamedTuple):
    """One row of the logs, done by a person or on evidence."""

    kind: Kind
    at: datetime  # wall clock, UTC
    by: str
    reason: str
    override: bool  # without the evidence, the stages or the time that it wants
    scope: str
    model: Model | None  # None: it is about the stage
    stage: float  # of capital, from here on
    detail: Mapping[str, Any]  # what it rests on; empty: nothing is on record
    max_position_usd: float | None = None  # of a stage: no position above it; None: as configured


@dataclass(frozen=True, slots=True)
class Promotion:
    """One that is in force."""

    model: Model
    scope: str
    since: datetime
    stage: float
    stage_since: datetime
    basis: Act  # the promotion itself
    stage_basis: Act  # what gave it its stage
    max_position_usd: float | None = None  # no position above it; None: as the config has it


@dataclass(frozen=True, slots=True)
class Record:
    """All that was ever said of one agent, oldest first."""

    agent: str
    acts: tuple[Act, ...] = ()

    @property
    def promotion(self) -> Promotion | None:
        """The one in force in the deployment."""
        return self.within(DEPLOYMENT)

    def within(self, *scopes: str) -> Promotion | None:
        """The one in force for whoever sees what was said in these scopes."""
        return _fold(act for act in self.acts if act.scope in scopes)

    def cap_within(self, *scopes: str) -> float | None:
        """The cap on positions, in USD, for whoever sees these scopes; None: there is none.

        It stands whether or not a promotion is in force.
        """
        told = [act for act in self.acts if act.kind is Kind.STAGED and act.scope in scopes]
        return told[-1].max_position_usd if told else None


def earned(
    record: Record, model: Model | None, run_id: str, *, live: bool, fed: bool = False
) -> tuple[bool, float]:
    """Whether `model` may act in the run, and on how much of the capital.

    The promotion counts for exactly that model, version and digest; one of another model, or of
    another run, counts for nothing. See `in_force`.
    """
    held = in_force(record, run_id, live=live, fed=fed)
    if model is None or held is None or held.model != model:
        return False, NO_CAPITAL
    return True, held.stage


def in_force(record: Record, run_id: str, *, live: bool, fed: bool = False) -> Promotion | None:
    """The promotion that a run sees.

    A live run, on paper that is, honours the deployment's alone, any other its own as well. What a
    replay has come to by itself counts from its bar on, and is told by whoever watches it
    (`promoter`); one whose bars are `fed` from a file hears of it as it is written down.
    """
    scopes = _seen(run_id, live=live)
    told = [act for act in record.acts if fed or act.by != BY_ITSELF or act.scope == DEPLOYMENT]
    return replace(record, acts=tuple(told)).within(*scopes)


def cap_in_force(record: Record, run_id: str, *, live: bool) -> float | None:
    """The cap on positions that a run sees, in USD; None: there is none. See `in_force`."""
    return record.cap_within(*_seen(run_id, live=live))


def _seen(run_id: str, *, live: bool) -> tuple[str, ...]:
    return (DEPLOYMENT,) if live else (DEPLOYMENT, scope_of(run_id))


def basis_words(held: Promotion | None) -> str:
    """What a promotion that is in force rests on, in a few words; empty where there is none."""
    if held is None:
        return ""
    if held.basis.by == BY_ITSELF:
        return BY_EVIDENCE
    return f"by {held.basis.by}{f', {UNPROVEN}' if held.basis.override else ''}"


def may_act(database: Database, agent: str, serving: Model | None) -> bool:
    """Whether the model that serves is promoted in the deployment, at whatever stage."""
    return earned(read_record(database, agent), serving, "", live=True)[0]


def read_record(database: Database, agent: str) -> Record:
    """What is on record of `agent`.

    Raises IntegrityError for a row that can be none, RecordError for one that is not as appended,
    be it about another agent.
    """
    with database.read() as connection:
        return record_in(connection, agent)


def record_in(connection: Connection, agent: str) -> Record:
    """The same, as a transaction sees it."""
    stages, promotions = (
        [row for row in logs.sound_rows_in(connection, log) if row["agent_name"] == agent]
        for log in (rollout_events, graduation_events)
    )
    # each log keeps its own order, whatever the clock did; `acts` keeps that between the two
    both = heapq.merge(map(_staged, stages), map(_promoted, promotions), key=lambda act: act.at)
    return Record(agent, tuple(both))


class Event(NamedTuple):
    """A promotion or demotion with its place in the log."""

    number: int  # from 1, over all agents
    agent: str
    model: Model
    act: Act
    seal: str  # of its row: all of the log up to it hangs in it; 64 hex digits


def events_in(connection: Connection) -> list[Event]:
    """All promotions and demotions, of all agents and scopes, oldest first.

    Raises IntegrityError for a row that can be none, RecordError for one that is not as appended.
    """
    return [
        Event(
            row["id"], row["agent_name"], Model(row["version"], row["manifest_sha256"]),
            _promoted(row), row["seal"].hex(),
        )
        for row in logs.sound_rows_in(connection, graduation_events)
    ]  # fmt: skip


def _staged(row: Mapping[Any, Any]) -> Act:
    if row["stage"] not in STAGES:
        raise _no_act(rollout_events.name, row, f"{row['stage']!r} is no stage of capital")
    cap = row["max_position_usd"]
    if cap is not None and not 0.0 < cap < math.inf:
        raise _no_act(rollout_events.name, row, f"{cap!r} USD is no size of a position")
    scope = row["scope"] or DEPLOYMENT
    act = _act(rollout_events.name, row, Kind.STAGED, scope, None, row["stage"])
    return act._replace(max_position_usd=cap)


def _promoted(row: Mapping[Any, Any]) -> Act:
    model = Model(row["version"], row["manifest_sha256"])
    stage = FIRST_STAGE if row["kind"] == Kind.PROMOTED else NO_CAPITAL
    return _act(graduation_events.name, row, row["kind"], row["scope"], model, stage)


def _act(
    log: str, row: Mapping[Any, Any], kind: str, scope: str, model: Model | None, stage: float
) -> Act:
    said = (row["by"], row["reason"], bool(row["override"]))
    try:
        at = datetime.fromisoformat(row["at"]).astimezone(UTC)
        detail = json.loads(row["detail"] or "{}")
        return Act(Kind(kind), at, *said, scope, model, stage, detail)
    except ValueError as fault:
        raise _no_act(log, row, str(fault)) from fault


def _no_act(log: str, row: Mapping[Any, Any], why: str) -> IntegrityError:
    return IntegrityError(
        f"row {row['id']:,} of {log} is nothing that was ever said of an agent ({why})",
        mend="put a backup of the database in its place",
    )


def _fold(acts: Iterable[Act]) -> Promotion | None:
    held: Promotion | None = None
    cap: float | None = None
    for act in acts:
        if act.kind is Kind.STAGED:
            cap = act.max_position_usd
        if act.kind is Kind.PROMOTED and act.model is not None:
            held = Promotion(act.model, act.scope, act.at, act.stage, act.at, act, act, cap)
        elif act.kind is Kind.DEMOTED:
            held = None
        elif held is not None and held.scope == act.scope:
            held = _moved(held, act)
        elif held is not None:
            held = replace(held, max_position_usd=cap)
    return held


def _moved(held: Promotion, act: Act) -> Promotion:
    """A promotion with the stage and the cap of an act.

    Its time at the stage begins anew with another stage, and with more room at the same one; with
    less room it goes on.
    """
    cap, stage = act.max_position_usd, act.stage
    if stage != held.stage:
        return replace(held, stage=stage, stage_since=act.at, stage_basis=act, max_position_usd=cap)
    since = held.stage_since if is_as_tight(cap, held.max_position_usd) else act.at
    return replace(held, stage_since=since, max_position_usd=cap)


def is_as_tight(cap: float | None, before: float | None) -> bool:
    """Whether a cap leaves no more room than the one before; None is no cap."""
    return before is None or (cap is not None and cap <= before)
