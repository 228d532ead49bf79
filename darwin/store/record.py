"""Begin a run, and record a finished one: it is either fully there or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import Enum
from itertools import islice

from sqlalchemy import Connection, Table, insert, select, update

from darwin.config.compare import differences
from darwin.errors import ConfigError
from darwin.store import columns, schema
from darwin.store.db import Database
from darwin.store.facts import RunFacts

_BATCH_ROWS = 1000


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """What makes a run the same run; `config_json` is the resolved config as JSON."""

    run_id: str
    mode: str
    config_json: str
    config_digest: str
    data_digest: str
    code_version: str


class Standing(Enum):
    """What the database knew of a run when it was to begin."""

    NEW = "new"
    UNFINISHED = "unfinished"
    FINISHED = "finished"


def begin_run(
    database: Database, run: RunIdentity, *, started_at: datetime, start_over: bool = False
) -> Standing:
    """Note that `run` has begun, and say how it stood before.

    FINISHED: it is recorded, with the same config, data and code. UNFINISHED: someone began it and
    recorded nothing; `start_over` takes the run up again. Raises ConfigError when a run of that
    name is finished, or is to be taken up again, with another config, data or code.
    """
    row = asdict(run) | {"status": "running", "started_at": iso_time(started_at)}
    named = schema.runs.c.run_id == run.run_id
    with database.write() as connection:
        known = connection.execute(select(schema.runs).where(named)).mappings().one_or_none()
        if known is None:
            connection.execute(insert(schema.runs), row)
            return Standing.NEW
        running = known["status"] == "running"
        stored = RunIdentity(**{name: known[name] for name in asdict(run)})
        if (what := _differing(stored, run)) and (start_over or not running):
            raise ConfigError(
                f"run '{run.run_id}' was {'begun' if running else 'finished'} with another {what}",
                where=str(database.path),
                mend="give this one another run_id",
            )
        if running and start_over:
            connection.execute(update(schema.runs).where(named), row)
        return Standing.UNFINISHED if running else Standing.FINISHED


def record_run(database: Database, run_id: str, facts: RunFacts, *, finished_at: datetime) -> None:
    """Record everything of the begun run `run_id` and mark it finished, in one transaction.

    Raises IntegrityError when the facts contradict each other or hold what is no number, and
    StorageError when the file or disk refuses; nothing is kept then.
    """
    with database.write() as connection:
        finish_run(
            connection,
            run_id,
            bars=sum(map(len, facts.markets)),
            feature_names=facts.candidates.feature_names,
            finished_at=finished_at,
        )
        for table, columns_of in (
            (schema.candidates, columns.candidate_columns),
            (schema.verdicts, columns.verdict_columns),
            (schema.orders, columns.order_columns),
            (schema.fills, columns.fill_columns),
            (schema.outcomes, columns.outcome_columns),
            (schema.equity_marks, columns.equity_columns),
            (schema.safety_events, columns.safety_columns),
        ):
            insert_columns(connection, table, run_id, columns_of(facts))


def finish_run(
    connection: Connection,
    run_id: str,
    *,
    bars: int,
    feature_names: Iterable[str],
    finished_at: datetime,
) -> None:
    """Mark a begun run finished, within the caller's transaction. Raises ConfigError otherwise."""
    running = (schema.runs.c.run_id == run_id) & (schema.runs.c.status == "running")
    done = {
        "status": "finished",
        "bars": bars,
        "feature_names": json.dumps(list(feature_names)),
        "finished_at": iso_time(finished_at),
    }
    if connection.execute(update(schema.runs).where(running), done).rowcount != 1:
        raise ConfigError(
            f"run '{run_id}' is not running",
            where=str(connection.engine.url),
            mend="begin it before it is recorded; a finished run is recorded once",
        )


def insert_columns(
    connection: Connection, table: Table, run_id: str, rows: columns.Columns
) -> None:
    """Insert equally long columns into `table`, in batches.

    The statement is compiled once and fed with tuples: dictionaries would take twice the time.
    """
    statement = insert(table).compile(connection, column_keys=["run_id", *rows])
    order = statement.positiontup or []
    count = len(next(iter(rows.values())))
    feed = zip(
        *(([run_id] * count if name == "run_id" else rows[name]) for name in order), strict=True
    )
    while batch := list(islice(feed, _BATCH_ROWS)):
        connection.exec_driver_sql(str(statement), batch)


def iso_time(moment: datetime) -> str:
    """Write a moment of the wall clock as ISO 8601 in UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _differing(stored: RunIdentity, given: RunIdentity) -> str:
    """Name what differs between two runs of one name; empty when nothing does."""
    parts = []
    if stored.config_digest != given.config_digest:
        keys = differences(json.loads(stored.config_json), json.loads(given.config_json))
        parts.append(f"config ({', '.join(keys) or 'its digest'})")
    if stored.mode != given.mode:
        parts.append(f"mode ({stored.mode} then, {given.mode} now)")
    if stored.data_digest != given.data_digest:
        parts.append(f"data (digest {stored.data_digest[:12]} then, {given.data_digest[:12]} now)")
    if stored.code_version != given.code_version:
        parts.append(f"code ({stored.code_version} then, {given.code_version} now)")
    return ", another ".join(parts)
