"""What happened in a deployment that somebody may want to hear of, read from its record.

Rows are read from where the last look ended. Each run counts its rows by itself, so there is a
place per run; a log of the deployment has one. Jobs are no log: those that failed are known by
their numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Table, func, select

from darwin.core.account import VENUE_AWAY, VENUE_REFUSES
from darwin.rl.graduation.record import BY_ITSELF, DEPLOYMENT
from darwin.safety import monitor
from darwin.service.tallies import ends_of_runs
from darwin.store import schema
from darwin.store.jobs import State
from darwin.store.queries import ON_PAPER, runs_at_a_glance
from darwin.store.schema import id_range
from darwin.trading.limits import DOUBT, HALTED

MOST_AT_ONCE = 5_000
"""Rows of one run that are read at one look; what is left comes at the next."""
_LONGEST = 400


class Severity(StrEnum):
    """How soon somebody should look."""

    INFO = "info"  # it can wait for the morning, or is about a replay
    WARNING = "warning"  # today
    CRITICAL = "critical"  # now

    @property
    def rank(self) -> int:
        """Larger is more urgent."""
        return list(Severity).index(self)


class Happening(NamedTuple):
    """One thing that happened. Those of one key are told together."""

    key: str
    severity: Severity
    text: str  # one line


@dataclass(frozen=True, slots=True)
class Marks:
    """How far the record was read."""

    rows: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # table, run: last id
    jobs: frozenset[int] = frozenset()  # that failed, and were read

    def and_then(self, newer: Marks) -> Marks:
        """These, and what was read later."""
        rows = {name: dict(places) for name, places in self.rows.items()}
        for name, places in newer.rows.items():
            rows.setdefault(name, {}).update(places)
        return Marks(rows, self.jobs | newer.jobs)

    def tree(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"rows": self.rows, "jobs": sorted(self.jobs)}

    @classmethod
    def of(cls, tree: Mapping[str, Any]) -> Marks:
        """The opposite of `tree`."""
        return cls(tree["rows"], frozenset(tree["jobs"]))

    def __bool__(self) -> bool:
        return bool(self.rows or self.jobs)


class Look(NamedTuple):
    """What is new since some marks: how far it was read now, and what was found."""

    newer: Marks  # only where something was read
    found: list[Happening]


class _Run(NamedTuple):
    run_id: str
    mode: str  # replay, feed or paper


def end_of(connection: Connection) -> Marks:
    """Where the record ends: from here on things are new."""
    rows = {
        **{table.name: _ends_of_runs(connection, table) for table in _OF_RUNS},
        **{table.name: {"": _end_of_log(connection, table)} for table in _OF_LOGS},
    }
    return Marks(rows, _failed_jobs(connection))


def look(connection: Connection, marks: Marks) -> Look:
    """What is on record beyond `marks`, table by table, oldest first."""
    rows: dict[str, dict[str, int]] = {}
    found: list[Happening] = []
    for table in (*_OF_RUNS, *_OF_LOGS):
        for place, row in _newer(connection, table, marks.rows.get(table.name, {})):
            rows.setdefault(table.name, {})[place] = row.id
            told = _told(connection, table, row)
            if told is not None:
                found.append(told)
    failed = _failed_jobs(connection) - marks.jobs
    found += [_of_a_job(connection, number) for number in sorted(failed)]
    return Look(Marks(rows, failed), found)


def _newer(
    connection: Connection, table: Table, places: Mapping[str, int]
) -> Iterator[tuple[str, Row[Any]]]:
    """The rows beyond `places`, each with the name of its place."""
    if table in _OF_LOGS:
        after = places.get("", 0)
        query = select(table).where(table.c.id > after).order_by(table.c.id).limit(MOST_AT_ONCE)
        yield from (("", row) for row in connection.execute(query))
        return
    for run, end in ends_of_runs(connection, table).items():
        after = places.get(run.name, id_range(run.number)[0])
        if end > after:
            query = select(table).where(table.c.id > after, table.c.id <= end).order_by(table.c.id)
            yield from ((run.name, row) for row in connection.execute(query.limit(MOST_AT_ONCE)))


def _ends_of_runs(connection: Connection, table: Table) -> dict[str, int]:
    return {run.name: end for run, end in ends_of_runs(connection, table).items()}


def _end_of_log(connection: Connection, table: Table) -> int:
    return connection.execute(select(func.max(table.c.id))).scalar() or 0


def _failed_jobs(connection: Connection) -> frozenset[int]:
    jobs = schema.jobs
    return frozenset(connection.scalars(select(jobs.c.id).where(jobs.c.state == State.FAILED)))


def _told(connection: Connection, table: Table, row: Row[Any]) -> Happening | None:
    if table in _OF_RUNS:
        run = _run_of(connection, row.run_id)
        return _of_an_alert(row, run) if table is schema.alerts else _of_safety(row, run)
    if table is schema.kill_events:
        return _of_the_switch(row)
    if table is schema.graduation_events:
        return _of_a_promotion(row)
    return _of_a_stage(row) if table is schema.rollout_events else _of_a_model(row)


def _run_of(connection: Connection, run_id: str) -> _Run:
    ((_, mode, _),) = runs_at_a_glance(connection, [run_id])
    return _Run(run_id, mode)


_CRITICAL_ALERTS = {
    monitor.BREAKER, monitor.REFUSED, monitor.REFUTED, monitor.DRAWDOWN, VENUE_REFUSES, VENUE_AWAY,
}  # fmt: skip


def _of_an_alert(row: Row[Any], run: _Run) -> Happening:
    urgent = Severity.CRITICAL if row.kind in _CRITICAL_ALERTS else Severity.WARNING
    about = f" of {row.agent_name}" if row.agent_name else ""
    key = f"alert:{row.kind}:{row.agent_name or ''}:{run.run_id}"
    return _happening(key, _in(run, urgent), f"{row.kind}{about} in {_named(run)}: {row.detail}")


_SAFETY = {HALTED: Severity.CRITICAL, DOUBT: Severity.CRITICAL, "daily_loss": Severity.WARNING}
"""What the account did for its safety; breakers and drawdowns are alerts too, which tell it."""


def _of_safety(row: Row[Any], run: _Run) -> Happening | None:
    if row.kind not in _SAFETY:
        return None
    text = f"{row.kind.replace('_', ' ')} in {_named(run)}: {row.detail}"
    return _happening(f"safety:{row.kind}:{run.run_id}", _in(run, _SAFETY[row.kind]), text)


def _of_the_switch(row: Row[Any]) -> Happening:
    if row.kind == "off":
        text = f"the kill switch is released by {row.by}: {row.reason}"
        return _happening(f"kill:off:{row.id}", Severity.WARNING, text)
    text = f"all agents are switched off by {row.by}: {row.reason}"
    return _happening(f"kill:on:{row.id}", Severity.CRITICAL, text)


def _of_a_promotion(row: Row[Any]) -> Happening:
    severity = Severity.WARNING
    if row.kind == "demoted" and row.by == BY_ITSELF:
        severity = Severity.CRITICAL  # its evidence turned, and nobody is there who did it
    whole = row.scope == DEPLOYMENT
    where = "" if whole else f" in {row.scope.replace(':', ' ')}"
    text = f"{row.agent_name} {row.version} is {row.kind}{where} by {row.by}: {row.reason}"
    key = f"{row.kind}:{row.agent_name}:{row.id}"
    return _happening(key, severity if whole else Severity.INFO, text)


def _of_a_stage(row: Row[Any]) -> Happening:
    whole = row.scope in (None, DEPLOYMENT)
    where = "" if whole else f" in {row.scope.replace(':', ' ')}"
    cap = row.max_position_usd
    capped = "" if cap is None else f", no position above {cap:,.2f} USD"
    share = f"{row.stage:.0%} of the capital{capped}{where}"
    text = f"{row.agent_name} holds {share} by {row.by}: {row.reason}"
    key = f"stage:{row.agent_name}:{row.id}"
    return _happening(key, Severity.WARNING if whole else Severity.INFO, text)


def _of_a_model(row: Row[Any]) -> Happening | None:
    severity = {"rolled_back": Severity.WARNING, "deployed": Severity.INFO}.get(row.kind)
    if severity is None:
        return None
    words = row.kind.replace("_", " ")
    text = f"{row.agent_name} {row.version} is {words} by {row.by}: {row.reason}"
    return _happening(f"model:{row.agent_name}:{row.id}", severity, text)


def _of_a_job(connection: Connection, number: int) -> Happening:
    job = connection.execute(select(schema.jobs).where(schema.jobs.c.id == number)).one()
    about = f" of {job.agent_name}" if job.agent_name else ""
    text = f"job {job.id}, {job.kind}{about}, has failed: {job.message or 'it did not say why'}"
    return _happening(f"job:{job.kind}:{job.agent_name or ''}", Severity.WARNING, text)


def _in(run: _Run, severity: Severity) -> Severity:
    """In a replay nothing is at stake: its alerts can wait."""
    return severity if run.mode == ON_PAPER else Severity.INFO


def _named(run: _Run) -> str:
    return f"run {run.run_id} ({run.mode})"


def _happening(key: str, severity: Severity, text: str) -> Happening:
    line = "".join(mark if mark.isprintable() else " " for mark in text)
    return Happening(key, severity, " ".join(line.split())[:_LONGEST])


_OF_RUNS = (schema.alerts, schema.safety_events)
_OF_LOGS = (
    schema.kill_events, schema.graduation_events, schema.rollout_events, schema.model_events,
)  # fmt: skip
