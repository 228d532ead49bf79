"""What was known when an agent was promoted or demoted: the facts that were on record by then.

A run that came to an act by itself knew what it had recorded before the candidate that the act
names. A person, and such a run of the others, knew what had been acknowledged by the wall clock.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from darwin.core.account import SafetyEvent
from darwin.core.agents import Model, Role
from darwin.rl.graduation.contract import Contract, world_of
from darwin.rl.graduation.latest import Latest, limits
from darwin.rl.graduation.record import DEPLOYMENT, Event
from darwin.safety.circuit import state_of
from darwin.store.queries import ON_PAPER, kind_of_run
from darwin.store.runs import iso_time
from darwin.store.schema import (
    FACTS,
    SEQ_BITS,
    agent_decisions,
    candidates,
    checkpoints,
    id_range,
    run_events,
    runs,
    safety_events,
)


@dataclass(frozen=True, slots=True)
class AsOf:
    """A moment, as far as the record had come by then."""

    at: str  # wall clock, ISO 8601 UTC
    bar_time: int | None  # ms UTC; None: the act tells none
    number: int | None  # of the run that came to it by itself; None: a person did
    before: Mapping[int, int]  # by number of a run, the id of its first fact that was not known

    def end(self, number: int) -> int:
        """The id of the first fact of a run that was not known."""
        return self.before.get(number, id_range(number)[0] + 1)


def as_of(connection: Connection, event: Event) -> AsOf | None:
    """The moment of an act. None: what its run had recorded by then is not all kept yet."""
    at, detail = iso_time(event.act.at), event.act.detail
    k = checkpoints.c
    number = k.id.op(">>")(SEQ_BITS)
    kept = connection.execute(
        select(number, func.max(k.facts)).where(k.at <= at).group_by(number)
    ).all()
    before = {run: id_range(run)[0] + facts + 1 for run, facts in kept}
    own: int | None = None
    if "candidate" in detail:
        c = candidates.c
        found = connection.execute(
            select(c.id).where(c.run_id == detail["run"], c.candidate_id == detail["candidate"])
        ).scalar()
        if found is None:
            return None
        own = found >> SEQ_BITS
        before[own] = found
    return AsOf(at, detail.get("bar_time"), own, before)


def latest_then(connection: Connection, agent: str, moment: AsOf) -> Latest:
    """What `latest.read_latest` told then; of an act that a run came to, that run's own."""
    on_paper = kind_of_run() == ON_PAPER
    query = select(runs.c.run_id, runs.c.number, runs.c.config_json)
    if moment.number is not None:
        query = query.where(runs.c.number == moment.number)
    query = query.order_by(on_paper.desc(), runs.c.number.desc())
    for run_id, number, config in connection.execute(query).all():  # those on paper come first
        newest = _newest_decision(connection, agent, moment, number)
        if newest is None:
            continue
        time = newest.bar_time
        if moment.number is not None and moment.bar_time is not None:
            time = moment.bar_time
        e = safety_events.c
        told = connection.execute(
            select(e.time, e.kind, e.detail)
            .where(e.id.between(id_range(number)[0], moment.end(number) - 1))
            .where(e.agent_name == agent)
            .order_by(e.id)
        )
        state = state_of((SafetyEvent(*row, agent=agent) for row in told), agent)
        model = None
        if newest.model_sha256 is not None:
            model = Model(newest.model_version, newest.model_sha256)
        risk, most = limits(run_id, config)
        return Latest(
            run_id, time, state.phase(time), model=model, risk_per_trade=risk,
            max_override_rate=most,
        )  # fmt: skip
    return Latest()


def unchanged_then(connection: Connection, contract: Contract, moment: AsOf) -> bool:
    """Whether the newest run that was fed asked in the agreed world; see `judged`."""
    if contract.scope != DEPLOYMENT or moment.number is not None:
        return True
    fed = select(runs.c.number, runs.c.config_json).where(kind_of_run() == ON_PAPER)
    for number, config in connection.execute(fed.order_by(runs.c.number.desc())).all():
        if _newest_decision(connection, contract.terms.agent, moment, number) is not None:
            return world_of(json.loads(config)) == contract.terms.world
    return True


def head_then(connection: Connection, number: int, moment: AsOf) -> tuple[int, str]:
    """How many facts of a run were known, and the hash of the last; 64 hex digits, or empty."""
    last = moment.end(number) - 1
    facts = last - id_range(number)[0]
    for table in FACTS.values():
        found = connection.execute(select(table.c.hash).where(table.c.id == last)).scalar()
        if found is not None:
            return facts, found.hex()
    return facts, ""


def code_then(connection: Connection, number: int, moment: AsOf) -> str:
    """The version of the code with which a run went on."""
    e = run_events.c
    found = connection.execute(
        select(e.code_version)
        .where(e.id.between(*id_range(number)), e.at <= moment.at)
        .where(e.kind.in_(("begun", "code accepted")))
        .order_by(e.id.desc())
        .limit(1)
    ).scalar()
    return str(found or "")


def _newest_decision(connection: Connection, agent: str, moment: AsOf, number: int) -> Any:
    d = agent_decisions.c
    return connection.execute(
        select(d.bar_time, d.model_version, d.model_sha256)
        .where(d.id.between(id_range(number)[0], moment.end(number) - 1))
        .where(d.agent_name == agent, d.role == str(Role.SERVING))
        .order_by(d.id.desc())
        .limit(1)
    ).one_or_none()
