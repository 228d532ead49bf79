"""What the commands ask of the database: runs, funnels, one candidate, the verdicts of a run."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, Select, case, func, select

from darwin.core.account import SafetyEvent
from darwin.core.decision import STAGES, Call, Verdict
from darwin.core.provenance import Provenance, RunEvent
from darwin.errors import ConfigError, IntegrityError
from darwin.store.archived import archived_in
from darwin.store.db import Database
from darwin.store.expense import expense_of
from darwin.store.fed_alerts import feed_alerts
from darwin.store.schema import (
    candidates,
    checkpoints,
    endings,
    equity_marks,
    fills,
    id_range,
    rebalances,
    run_events,
    run_states,
    runs,
    safety_events,
    verdicts,
)


class Run(NamedTuple):
    """One run at a glance; of an unfinished one, what is kept of it."""

    run_id: str
    status: str  # "running" or "finished"
    mode: str
    bars: int  # of all symbols together
    candidates: int
    taken: int
    facts: int  # acknowledged
    equity_usd: float | None  # at the last close of the last day that is marked
    config_digest: str
    data_digest: str | None
    code_version: str
    started_at: str  # wall clock, ISO 8601 UTC
    finished_at: str | None


class Ending(NamedTuple):
    """How many candidates of a run ended at one stage for one reason; `open`: not yet."""

    stage: str
    reason: str
    candidates: int


class Ruled(NamedTuple):
    """How many rebalances of a book ended in the same way."""

    agent: str
    role: str
    reason: str
    limited_by: str  # empty: nothing cut what was to stand
    rebalances: int


ON_PAPER = "paper"
"""What `kind_of_run` calls a run whose bars came from a venue as they closed."""


def kind_of_run() -> ColumnElement[str]:
    """Of a row of `runs`: replay, feed (bars of a file, one after the other) or paper."""
    config = runs.c.config_json
    told = case((func.json_valid(config) == 1, func.json_extract(config, "$.mode")))
    return case(((runs.c.mode == "feed") & (told == ON_PAPER), ON_PAPER), else_=runs.c.mode)


def runs_at_a_glance(
    connection: Connection, names: Sequence[str]
) -> list[tuple[str, str, tuple[str, ...]]]:
    """Name, kind and symbols of runs, in the order in which they were begun."""
    query = select(runs.c.run_id, kind_of_run(), runs.c.symbols).where(runs.c.run_id.in_(names))
    rows = connection.execute(query.order_by(runs.c.number)).all()
    return [(run_id, kind, tuple(json.loads(symbols))) for run_id, kind, symbols in rows]


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
            select(endings.c.stage, endings.c.reason, func.count())
            .where(endings.c.run_id == run_id)
            .group_by(endings.c.stage, endings.c.reason)
        )
        found = [Ending(stage or "open", reason or "open", count) for stage, reason, count in rows]
    return sorted(found, key=lambda end: (stage_rank(end.stage), -end.candidates, end.reason))


def rulings_of(database: Database, run_id: str) -> list[Ruled]:
    """How often which ruling was given in a run of a book; empty for any other run."""
    with database.read() as connection:
        require_run(connection, database, run_id)
        r = rebalances.c
        rows = connection.execute(
            select(r.agent_name, r.role, r.reason, r.limited_by, func.count())
            .where(r.run_id == run_id)
            .group_by(r.agent_name, r.role, r.reason, r.limited_by)
        )
        return [Ruled(*row) for row in rows]


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


def provenance(database: Database, run_id: str) -> Provenance:
    """How a run was recorded. Raises ConfigError for an unknown one."""
    with database.read() as connection:
        run = require_run(connection, database, run_id)
        mine = id_range(run.number)
        kept = connection.execute(
            select(checkpoints).where(checkpoints.c.id.between(*mine)).order_by(checkpoints.c.id)
        ).all()
        reached = {row.facts: row.reached for row in kept}
        events = connection.execute(
            select(run_events).where(run_events.c.id.between(*mine)).order_by(run_events.c.id)
        )
        return Provenance(
            mode=run.mode,
            config_digest=run.config_digest,
            data_digest=run.data_digest or (kept[-1].data_digest if kept else "") or "",
            code_version=run.code_version,
            facts=kept[-1].facts if kept else 0,
            head=kept[-1].head.hex() if kept else "",
            events=tuple(
                RunEvent(event.kind, event.facts, reached.get(event.facts), _told(event))
                for event in events
            ),
            expense=expense_of(connection, run_id),
            bar_events=tuple(_of_the_feed(connection, run.number, kept)),
        )


def _of_the_feed(
    connection: Connection, number: int, kept: Sequence[Row[Any]]
) -> Iterator[RunEvent]:
    """What happened to the bars of a run on paper; `kept` are its checkpoints, in order."""
    for alert in feed_alerts(connection, number):
        facts = max((row.facts for row in kept if (row.reached or 0) <= alert.time), default=0)
        yield RunEvent(alert.kind, facts, alert.time, alert.detail)


def _told(event: Row[Any]) -> str:
    """The detail of an event of a run; of an accepted code, which one it is."""
    if event.kind == "code accepted":
        return f"{event.code_version} {event.detail}"
    return str(event.detail)


def verdicts_of(database: Database, run_id: str) -> dict[int, Verdict]:
    """What the expert said in a finished run, by candidate id, in the order it was asked.

    Raises ConfigError when there is no such run or it is not finished.
    """
    with database.read() as connection:
        require_run(connection, database, run_id)
        status = select(run_states.c.status).where(run_states.c.run_id == run_id)
        if connection.execute(status).scalar() != "finished":
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
    call = None
    if row.prompt_sha256 is not None:
        call = Call(row.prompt_sha256, row.input_tokens, row.output_tokens, row.latency_us)
    return Verdict(bool(row.take), row.confidence, row.quality, tuple(flags), row.cost_usd, call)


def require_run(connection: Connection, database: Database, run_id: str) -> Row[Any]:
    """The row of `run_id`. Raises ConfigError, suggesting the closest name, where there is none."""
    row = connection.execute(select(runs).where(runs.c.run_id == run_id)).one_or_none()
    if row is None:
        known = connection.execute(select(runs.c.run_id)).scalars().all()
        raise unknown_run(database, run_id, known)
    return row


def unknown_run(database: Database, run_id: str, known: Sequence[str]) -> ConfigError:
    """Say that no run has that name, and where it is now or which of the `known` comes closest."""
    with database.read() as connection:
        if moved := archived_in(connection, run_id):
            return ConfigError(
                f"run '{run_id}' has moved into an archive", where=moved, mend=f"add --db {moved}"
            )
    close = difflib.get_close_matches(run_id, known, n=1)
    return ConfigError(
        f"no run called '{run_id}'",
        where=str(database.path),
        mend=f"did you mean '{close[0]}'?" if close else "`darwin runs` lists them",
    )


def stage_rank(stage: str) -> int:
    """Where a stage stands in the funnel; one that this code does not know comes last."""
    return STAGES.index(stage) if stage in STAGES else len(STAGES)


def _runs() -> Select[Any]:
    """Select the columns of `Run`, in its order."""
    mine = candidates.c.run_id == runs.c.run_id
    entries = (fills.c.run_id == runs.c.run_id) & (fills.c.kind == "entry")
    last_mark = (
        select(equity_marks.c.equity_usd)
        .where(equity_marks.c.run_id == runs.c.run_id)
        .order_by(equity_marks.c.day.desc())
        .limit(1)
    )
    return select(
        runs.c.run_id,
        run_states.c.status,
        runs.c.mode,
        run_states.c.bars,
        select(func.count()).where(mine).scalar_subquery(),
        select(func.count()).where(entries).scalar_subquery(),
        run_states.c.facts,
        last_mark.scalar_subquery(),
        runs.c.config_digest,
        run_states.c.data_digest,
        runs.c.code_version,
        runs.c.started_at,
        run_states.c.finished_at,
    ).join_from(runs, run_states, run_states.c.run_id == runs.c.run_id)
