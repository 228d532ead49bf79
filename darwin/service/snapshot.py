"""The figures of a deployment as Prometheus' families, in one look at the database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from sqlalchemy import Connection, RowMapping, func, select

from darwin.core.rebalance import ALL_AGENTS
from darwin.rl.cli.killing import look
from darwin.rl.graduation.record import record_in
from darwin.rl.registry.registry import shelf_in
from darwin.safety.circuit import CLOSED, OPENED
from darwin.service.place import Place, now
from darwin.service.tallies import Tally
from darwin.store import schema
from darwin.store.jobs import State
from darwin.store.schema import id_range

LATEST_RUNS = 20
"""Runs that have figures of their own: as many labels there are at most."""


class Figures:
    """Reads a deployment; remembers what was counted already."""

    def __init__(self, place: Place) -> None:
        """Read nothing yet."""
        self._place = place
        consulted = ("agent_name", "role", "mode")
        self._decisions = [
            Tally(table, consulted) for table in (schema.agent_decisions, schema.rebalances)
        ]
        self._alerts = Tally(schema.alerts, ("kind",))

    def families(self) -> Iterator[Metric]:
        """All of them. Raises StorageError, and IntegrityError where a log was changed."""
        killed = look(self._place.artifacts, self._place.deployment.db).killed
        yield GaugeMetricFamily("darwin_killed", "1 while no agent may act.", float(killed))
        with self._place.read() as database, database.read() as connection:
            yield from self._counted(connection)
            yield from _agents(connection)
            yield from _runs(connection)
            yield _jobs(connection)

    def _counted(self, connection: Connection) -> Iterator[Metric]:
        decisions = CounterMetricFamily(
            "darwin_decisions", "Consultations of agents on record.",
            labels=("agent", "role", "mode"),
        )  # fmt: skip
        for tally in self._decisions:
            for labels, count in sorted(tally.look(connection).items()):
                decisions.add_metric(labels, count)
        yield decisions
        alerts = CounterMetricFamily("darwin_alerts", "Alerts of runs.", labels=("kind",))
        for labels, count in sorted(self._alerts.look(connection).items()):
            alerts.add_metric(labels, count)
        yield alerts


def _agents(connection: Connection) -> Iterator[Metric]:
    stage = GaugeMetricFamily(
        "darwin_agent_stage", "Share of the capital that an agent holds, 0..1.", labels=("agent",)
    )
    promoted = GaugeMetricFamily(
        "darwin_agent_promoted", "1 where the model that serves may act.", labels=("agent",)
    )
    info = GaugeMetricFamily(
        "darwin_model_info", "1 for each model that is asked.", labels=("agent", "version", "role")
    )
    for agent in ALL_AGENTS:
        shelf = shelf_in(connection, agent)
        held = record_in(connection, agent).promotion
        acts = held is not None and shelf.serving is not None and held.model == shelf.serving
        promoted.add_metric((agent,), float(acts))
        stage.add_metric((agent,), held.stage if held is not None and acts else 0.0)
        for role, model in (("serving", shelf.serving), ("challenger", shelf.challenger)):
            if model is not None:
                info.add_metric((agent, model.version, role), 1.0)
    yield from (stage, promoted, info)


def _runs(connection: Connection) -> Iterator[Metric]:
    s = schema.run_states.c
    total = GaugeMetricFamily("darwin_runs", "Recorded runs.", labels=("status",))
    counted = select(s.status, func.count()).group_by(s.status)
    found = {row[0]: row[1] for row in connection.execute(counted)}
    for status in ("running", "finished"):
        total.add_metric((status,), found.get(status, 0))
    yield total
    equity = GaugeMetricFamily(
        "darwin_equity_usd", f"Equity at the last close of a day, latest {LATEST_RUNS} runs.",
        labels=("run",),
    )  # fmt: skip
    age = GaugeMetricFamily(
        "darwin_last_checkpoint_age_seconds",
        "Since an unfinished run was last kept, by the wall clock.",
        labels=("run",),
    )
    breaker = GaugeMetricFamily(
        "darwin_breaker_open",
        "1 while the breaker of an agent is not closed, in an unfinished run.",
        labels=("run", "agent"),
    )
    for run in _latest(connection):
        mine = id_range(run["number"])
        marked = _last_equity(connection, mine)
        if marked is not None:
            equity.add_metric((run["run_id"],), marked)
        if run["status"] == "running":
            age.add_metric((run["run_id"],), _age_s(connection, run, mine))
            for agent, is_open in _breakers(connection, mine):
                breaker.add_metric((run["run_id"], agent), float(is_open))
    yield from (equity, age, breaker)


def _latest(connection: Connection) -> list[RowMapping]:
    r, s = schema.runs, schema.run_states
    query = (
        select(r.c.number, r.c.run_id, r.c.started_at, s.c.status)
        .join(s, s.c.run_id == r.c.run_id)
        .order_by(r.c.number.desc())
        .limit(LATEST_RUNS)
    )
    return list(connection.execute(query).mappings())


def _last_equity(connection: Connection, mine: tuple[int, int]) -> float | None:
    m = schema.equity_marks.c
    query = select(m.equity_usd).where(m.id.between(*mine)).order_by(m.id.desc()).limit(1)
    return connection.execute(query).scalar()


def _age_s(connection: Connection, run: RowMapping, mine: tuple[int, int]) -> float:
    c = schema.checkpoints.c
    query = select(c.at).where(c.id.between(*mine)).order_by(c.id.desc()).limit(1)
    at = connection.execute(query).scalar() or run["started_at"]
    return max((now() - datetime.fromisoformat(at)).total_seconds(), 0.0)


def _breakers(connection: Connection, mine: tuple[int, int]) -> list[tuple[str, bool]]:
    """Each agent whose breaker has ever opened in the run, and whether it is not closed now."""
    e = schema.safety_events.c
    query = (
        select(e.agent_name, e.kind, func.max(e.id).label("last"))
        .where(e.id.between(*mine), e.kind.in_((OPENED, CLOSED)), e.agent_name.is_not(None))
        .group_by(e.agent_name, e.kind)
    )
    last = {(row.agent_name, row.kind): row.last for row in connection.execute(query)}
    agents = sorted({agent for agent, _ in last})
    return [(one, last.get((one, OPENED), 0) > last.get((one, CLOSED), 0)) for one in agents]


def _jobs(connection: Connection) -> Metric:
    j = schema.jobs.c
    family = GaugeMetricFamily("darwin_jobs", "Jobs of the service.", labels=("state", "kind"))
    query = select(j.state, j.kind, func.count()).group_by(j.state, j.kind)
    found = {(state, kind): count for state, kind, count in connection.execute(query)}
    for kind in sorted({kind for _, kind in found}):
        for state in State:
            family.add_metric((str(state), kind), found.get((state, kind), 0))
    return family
