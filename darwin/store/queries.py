"""What the commands ask of the database: runs, funnels, one candidate, the verdicts of a run."""

from __future__ import annotations

import difflib
import json
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, func, select

from darwin.core.account import SafetyEvent
from darwin.core.decision import STAGES, Verdict
from darwin.errors import ConfigError, IntegrityError
from darwin.store.db import Database
from darwin.store.schema import candidates, equity_marks, runs, safety_events, verdicts


class Run(NamedTuple):
    """One run at a glance. What is known at its end alone is None while it is unfinished."""

    run_id: str
    status: str  # "running" or "finished"
    mode: str
    bars: int | None  # of all symbols together
    candidates: int
    taken: int
    equity_usd: float | None  # at the last close
    config_digest: str
    data_digest: str
    code_version: str
    started_at: str  # wall clock, ISO 8601 UTC
    finished_at: str | None


class Ending(NamedTuple):
    """How many candidates of a run ended at one stage for one reason."""

    stage: str
    reason: str
    candidates: int


def list_runs(database: Database) -> list[Run]:
    """All runs, the latest begun last."""
    with database.read() as connection:
        rows = connection.execute(_runs().order_by(runs.c.started_at, runs.c.run_id))
        return [Run(*row) for row in rows]


def find_run(database: Database, run_id: str) -> Run:
    """The run called `run_id`. Raises ConfigError for an unknown one, suggesting the closest."""
    with database.read() as connection:
        require_run(connection, database, run_id)
        return Run(*connection.execute(_runs().where(runs.c.run_id == run_id)).one())


def config_of(database: Database, run_id: str) -> str:
    """The resolved config of a run, as JSON. Raises ConfigError for an unknown one."""
    with database.read() as connection:
        return str(require_run(connection, database, run_id).config_json)


def funnel(database: Database, run_id: str) -> list[Ending]:
    """Count the candidates of a run by where and why they ended, first stage first.

    The counts add up to all candidates. Raises ConfigError for an unknown run.
    """
    with database.read() as connection:
        require_run(connection, database, run_id)
        rows = connection.execute(
            select(candidates.c.stage, candidates.c.reason, func.count())
            .where(candidates.c.run_id == run_id)
            .group_by(candidates.c.stage, candidates.c.reason)
        )
        endings = [Ending(*row) for row in rows]
    return sorted(endings, key=lambda end: (stage_rank(end.stage), -end.candidates, end.reason))


def events_of(database: Database, run_id: str) -> list[SafetyEvent]:
    """The safety events of a run, in order. Raises ConfigError for an unknown run."""
    with database.read() as connection:
        require_run(connection, database, run_id)
        return [
            SafetyEvent(*row)
            for row in connection.execute(
                select(safety_events.c.time, safety_events.c.kind, safety_events.c.detail)
                .where(safety_events.c.run_id == run_id)
                .order_by(safety_events.c.id)
            )
        ]


def verdicts_of(database: Database, run_id: str) -> dict[int, Verdict]:
    """What the expert said in a finished run, by candidate id, in the order it was asked.

    Raises ConfigError when there is no such run or it is not finished.
    """
    with database.read() as connection:
        if require_run(connection, database, run_id).status != "finished":
            raise ConfigError(
                f"run '{run_id}' is not finished, so its verdicts are not all there",
                where=str(database.path),
                mend="name a finished run",
            )
        rows = connection.execute(
            select(verdicts).where(verdicts.c.run_id == run_id).order_by(verdicts.c.id)
        )
        return {int(row.candidate_id, 16): verdict_of(row) for row in rows}


def verdict_of(row: Row[Any]) -> Verdict:
    """Read one row of `verdicts`. Raises IntegrityError when its flags are no list of strings."""
    try:
        flags = json.loads(row.risk_flags)
    except json.JSONDecodeError:
        flags = None
    if not (isinstance(flags, list) and all(isinstance(flag, str) for flag in flags)):
        raise IntegrityError(
            f"the risk flags of candidate {row.candidate_id} are damaged",
            where=f"run '{row.run_id}', table verdicts",
            mend="put a backup of the database in its place",
        )
    return Verdict(bool(row.take), row.confidence, row.quality, tuple(flags), row.cost_usd)


def require_run(connection: Connection, database: Database, run_id: str) -> Row[Any]:
    """The row of `run_id`. Raises ConfigError, suggesting the closest name, where there is none."""
    row = connection.execute(select(runs).where(runs.c.run_id == run_id)).one_or_none()
    if row is None:
        known = connection.execute(select(runs.c.run_id)).scalars().all()
        close = difflib.get_close_matches(run_id, known, n=1)
        raise ConfigError(
            f"no run called '{run_id}'",
            where=str(database.path),
            mend=f"did you mean '{close[0]}'?" if close else "`darwin runs` lists them",
        )
    return row


def stage_rank(stage: str) -> int:
    """Where a stage stands in the funnel; one that this code does not know comes last."""
    return STAGES.index(stage) if stage in STAGES else len(STAGES)


def _runs() -> Select[Any]:
    """Select the columns of `Run`, in its order."""
    mine = candidates.c.run_id == runs.c.run_id
    last_mark = (
        select(equity_marks.c.equity_usd)
        .where(equity_marks.c.run_id == runs.c.run_id)
        .order_by(equity_marks.c.day.desc())
        .limit(1)
    )
    return select(
        runs.c.run_id,
        runs.c.status,
        runs.c.mode,
        runs.c.bars,
        select(func.count()).where(mine).scalar_subquery(),
        select(func.count()).where(mine & (candidates.c.stage == "taken")).scalar_subquery(),
        last_mark.scalar_subquery(),
        runs.c.config_digest,
        runs.c.data_digest,
        runs.c.code_version,
        runs.c.started_at,
        runs.c.finished_at,
    )
