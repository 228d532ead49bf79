"""How an agent fares just now: its breaker, its alerts, what a trade of its run risks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, select

from darwin.core.account import Alert, SafetyEvent
from darwin.core.agents import Model, Role
from darwin.core.market import DAY_MS
from darwin.errors import IntegrityError
from darwin.safety.circuit import Phase, state_of
from darwin.store.queries import ON_PAPER, kind_of_run
from darwin.store.schema import SEQ_BITS, alerts, decisions_of, id_range, runs, safety_events


@dataclass(frozen=True, slots=True)
class Latest:
    """The latest run that asked an agent; what stands here without one says nothing."""

    run_id: str | None = None
    bar_time: int | None = None  # of the last decision, ms UTC
    breaker: Phase = Phase.CLOSED
    alerts: tuple[Alert, ...] = ()  # of the last 24 hours of its market time
    model: Model | None = None  # that was asked last as the one that serves
    risk_per_trade: float | None = None  # fraction of equity; None: its size says nothing of it
    max_override_rate: float | None = None  # that its config sets; None: it says nothing of agents


class _Newest(NamedTuple):
    """A decision, and the config of its run."""

    id: int
    run_id: str
    bar_time: int
    model_version: str | None
    model_sha256: str | None
    config_json: str


def read_latest(connection: Connection, agent: str) -> Latest:
    """The latest run on paper that asked `agent`, else the latest other run that did."""
    newest = _newest_decision(connection, agent, on_paper=True) or _newest_decision(
        connection, agent, on_paper=False
    )
    if newest is None:
        return Latest()
    mine = id_range(newest.id >> SEQ_BITS)
    e, a = safety_events.c, alerts.c
    told = connection.execute(
        select(e.time, e.kind, e.detail)
        .where(e.id.between(*mine), e.agent_name == agent)
        .order_by(e.id)
    )
    state = state_of((SafetyEvent(*row, agent=agent) for row in told), agent)
    raised = connection.execute(
        select(a.time, a.kind, a.agent_name, a.detail)
        .where(a.id.between(*mine), a.agent_name == agent)
        .where(a.time > newest.bar_time - DAY_MS)
        .order_by(a.id)
    )
    risk_per_trade, max_override_rate = limits(newest.run_id, newest.config_json)
    return Latest(
        run_id=newest.run_id,
        bar_time=newest.bar_time,
        breaker=state.phase(newest.bar_time),
        alerts=tuple(Alert(*row) for row in raised),
        model=_model(newest),
        risk_per_trade=risk_per_trade,
        max_override_rate=max_override_rate,
    )


def _newest_decision(connection: Connection, agent: str, *, on_paper: bool) -> _Newest | None:
    table = decisions_of(agent)
    d = table.c
    such = (kind_of_run() == ON_PAPER) == on_paper
    for number in connection.execute(
        select(runs.c.number).where(such).order_by(runs.c.number.desc())
    ).scalars():
        found = connection.execute(
            select(d.id, d.run_id, d.bar_time, d.model_version, d.model_sha256, runs.c.config_json)
            .join_from(table, runs, runs.c.run_id == d.run_id)
            .where(d.id.between(*id_range(number)))
            .where(d.agent_name == agent, d.role == str(Role.SERVING))
            .order_by(d.id.desc())
            .limit(1)
        ).one_or_none()
        if found is not None:
            return _Newest(*found)
    return None


def _model(newest: _Newest) -> Model | None:
    version, sha256 = newest.model_version, newest.model_sha256
    return None if version is None or sha256 is None else Model(version, sha256)


def limits(run_id: str, config_json: str) -> tuple[float | None, float | None]:
    """What a full-sized trade of a run risks, and how many verdicts may be set aside there.

    The former only where its size is made from that, the latter only where agents take part.
    Raises IntegrityError for a config that is none.
    """
    try:
        told = json.loads(config_json)
        portfolio, rl = told.get("portfolio", {}), told.get("rl") or {}
        sized = portfolio.get("sizing") == "risk"
        limit = rl.get("max_override_rate")
        return (
            float(portfolio["risk_per_trade"]) if sized else None,
            None if limit is None else float(limit),
        )
    except (ValueError, TypeError, AttributeError, KeyError) as fault:
        raise IntegrityError(
            f"the config that run '{run_id}' recorded is none",
            where="runs.config_json",
            mend=f"`darwin verify {run_id}` tells what was changed",
        ) from fault
