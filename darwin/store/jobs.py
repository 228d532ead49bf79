"""Jobs of the service: put into a queue, held by one worker under a lease, ended once.

A worker holds a job for as long as it says so in time (`beat`); whoever finds a lease run out may
end the job or queue it again (`reap`). Of a lane one job runs at a time, which an index of the
table sees to, not a check. All of it may be called from any process; times are handed in.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import Row, insert, select, update

from darwin.core.progress import Progress
from darwin.errors import ConfigError
from darwin.store.db import Database
from darwin.store.runs import iso_time
from darwin.store.schema import jobs

LEASE = timedelta(seconds=6)
"""For how long a worker holds a job without a heartbeat."""
MOST_QUEUED = 20
"""Jobs that may wait; whoever asks for more is refused."""


class State(StrEnum):
    """What can be said of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"  # its command ended as a command may, whatever it found
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def over(self) -> bool:
        """Whether nothing more comes of it."""
        return self in (State.DONE, State.FAILED, State.CANCELLED)


class Job(NamedTuple):
    """One job, as it stands."""

    id: int
    kind: str  # train, retrain, benchmark ...
    lane: str  # of which one runs at a time: training, benchmark
    agent: str | None
    period: str | None  # the due time it was scheduled for; None: a person asked for it
    words: tuple[str, ...]  # the command, without `darwin`
    by: str
    reason: str
    state: State
    queued_at: str
    started_at: str | None
    ended_at: str | None
    worker: str | None
    lease_until: str | None
    attempts: int
    stop: bool
    progress: Progress
    exit_code: int | None
    message: str


def enqueue(
    database: Database,
    kind: str,
    words: Sequence[str],
    *,
    lane: str,
    agent: str | None,
    by: str,
    reason: str,
    at: datetime,
    period: str | None = None,
) -> Job | None:
    """Put a job into the queue. None: there is one of this kind, agent and period already.

    Raises ConfigError where too many wait; one that is scheduled has its place all the same.
    """
    with database.write() as connection:
        if period is not None:
            mine = (jobs.c.kind == kind) & (jobs.c.agent_name == agent)
            if connection.execute(select(jobs.c.id).where(mine, jobs.c.period == period)).first():
                return None
        else:
            waiting = select(jobs.c.id).where(jobs.c.state == State.QUEUED)
            if len(connection.execute(waiting).all()) >= MOST_QUEUED:
                raise ConfigError(
                    f"{MOST_QUEUED} jobs are waiting already",
                    where="the queue of jobs",
                    mend="wait for them, or cancel some",
                )
        row = {
            "kind": kind, "lane": lane, "agent_name": agent, "period": period,
            "words": json.dumps(list(words)), "by": by, "reason": reason, "state": State.QUEUED,
            "queued_at": iso_time(at), "attempts": 0, "stop": 0, "progress": Progress().text(),
            "message": "",
        }  # fmt: skip
        made = connection.execute(insert(jobs).values(row)).inserted_primary_key
        assert made is not None
        return _job(connection.execute(select(jobs).where(jobs.c.id == made[0])).one())


def skip(
    database: Database, kind: str, *, agent: str, period: str, by: str, reason: str, at: datetime
) -> Job | None:
    """Note that nothing was to be done in a period, and why. None: it has its job already."""
    with database.write() as connection:
        same = (jobs.c.kind == kind) & (jobs.c.agent_name == agent) & (jobs.c.period == period)
        if connection.execute(select(jobs.c.id).where(same)).first():
            return None
        row = {
            "kind": kind, "lane": kind, "agent_name": agent, "period": period, "words": "[]",
            "by": by, "reason": reason, "state": State.CANCELLED, "queued_at": iso_time(at),
            "ended_at": iso_time(at), "attempts": 0, "stop": 0, "progress": Progress().text(),
            "message": reason,
        }  # fmt: skip
        made = connection.execute(insert(jobs).values(row)).inserted_primary_key
        assert made is not None
        return _job(connection.execute(select(jobs).where(jobs.c.id == made[0])).one())


def is_scheduled(database: Database, kind: str, agent: str, first: str, last: str) -> bool:
    """Whether a period from `first` to `last` has its job, whatever became of it."""
    within = (jobs.c.kind == kind) & (jobs.c.agent_name == agent) & (
        jobs.c.period.between(first, last)
    )  # fmt: skip
    with database.read() as connection:
        return connection.execute(select(jobs.c.id).where(within)).first() is not None


def supersede(database: Database, kind: str, agent: str, period: str, at: datetime) -> None:
    """Take back the jobs of earlier periods that still wait: this one does their work."""
    with database.write() as connection:
        connection.execute(
            update(jobs)
            .where(
                jobs.c.kind == kind, jobs.c.agent_name == agent, jobs.c.period < period,
                jobs.c.state == State.QUEUED,
            )
            .values(
                state=State.CANCELLED, ended_at=iso_time(at),
                message=f"it still waited when that of {period} was due",
            )
        )  # fmt: skip


def claim(database: Database, job_id: int, worker: str, at: datetime) -> Job | None:
    """Take a queued job, if it still waits and none of its lane runs; else None."""
    with database.write() as connection:
        row = connection.execute(select(jobs).where(jobs.c.id == job_id)).one_or_none()
        if row is None or row.state != State.QUEUED:
            return None
        busy = (jobs.c.lane == row.lane) & (jobs.c.state == State.RUNNING)
        if connection.execute(select(jobs.c.id).where(busy)).first():
            return None
        connection.execute(
            update(jobs).where(jobs.c.id == job_id).values(
                state=State.RUNNING, worker=worker, lease_until=iso_time(at + LEASE),
                started_at=row.started_at or iso_time(at), attempts=row.attempts + 1,
            )
        )  # fmt: skip
        return _job(connection.execute(select(jobs).where(jobs.c.id == job_id)).one())


def beat(
    database: Database, job_id: int, worker: str, at: datetime, progress: Progress | None = None
) -> Job | None:
    """Hold on to a job, and tell how far it is. None: it is this worker's no more, so stop."""
    told = {} if progress is None else {"progress": progress.text()}
    with database.write() as connection:
        done = connection.execute(
            update(jobs)
            .where(_held(job_id, worker))
            .values(lease_until=iso_time(at + LEASE), **told)
        )
        if done.rowcount != 1:
            return None
        return _job(connection.execute(select(jobs).where(jobs.c.id == job_id)).one())


def finish(
    database: Database, job_id: int, worker: str, state: State, at: datetime, *,
    exit_code: int | None, message: str,
) -> bool:  # fmt: skip
    """Say what came of a job. False: it is this worker's no more, and stays as it stands."""
    with database.write() as connection:
        done = connection.execute(
            update(jobs).where(_held(job_id, worker)).values(
                state=state, ended_at=iso_time(at), lease_until=None, exit_code=exit_code,
                message=message,
            )
        )  # fmt: skip
        return done.rowcount == 1


def cancel(database: Database, job_id: int, at: datetime, message: str = "taken back") -> Job:
    """Take a queued job back, saying why, or ask the worker of a running one to stop.

    Raises ConfigError for a job that is over, or that nobody knows.
    """
    with database.write() as connection:
        row = connection.execute(select(jobs).where(jobs.c.id == job_id)).one_or_none()
        job = _known(job_id, row)
        if job.state.over:
            raise ConfigError(
                f"job {job_id} is {job.state} already",
                where="jobs",
                mend="there is nothing to stop",
            )
        values: dict[str, Any] = {"stop": 1}
        if job.state is State.QUEUED:
            values = {"state": State.CANCELLED, "ended_at": iso_time(at), "message": message}
        connection.execute(update(jobs).where(jobs.c.id == job_id).values(values))
        return _job(connection.execute(select(jobs).where(jobs.c.id == job_id)).one())


Again: TypeAlias = Callable[[Job], "Sequence[str] | None"]
"""The words with which a job whose worker is gone is taken up again; None: it has failed."""


def reap(database: Database, at: datetime, again: Again = lambda job: None) -> list[Job]:
    """End the jobs whose workers have not been heard of in time; gives them, as they stood before.

    One that was asked to stop is cancelled; one that `again` has words for is queued anew; any
    other has failed.
    """
    due = (jobs.c.state == State.RUNNING) & (jobs.c.lease_until < iso_time(at))
    with database.read() as connection:
        if connection.execute(select(jobs.c.id).where(due)).first() is None:
            return []
    with database.write() as connection:
        ended = connection.execute(select(jobs).where(due)).all()
        for row in ended:
            after = _after_its_worker(_job(row), at, again)
            connection.execute(update(jobs).where(jobs.c.id == row.id).values(after))
        return [_job(row) for row in ended]


def _after_its_worker(job: Job, at: datetime, again: Again) -> dict[str, Any]:
    """What is written of a job whose worker is gone."""
    told = f"its worker {job.worker} was not heard of any more"
    words = None if job.stop else again(job)
    if words is not None:
        return {
            "state": State.QUEUED, "words": json.dumps(list(words)), "worker": None,
            "lease_until": None, "message": f"{told}: it is taken up again",
        }  # fmt: skip
    state = State.CANCELLED if job.stop else State.FAILED
    return {"state": state, "ended_at": iso_time(at), "lease_until": None, "message": told}


def find(database: Database, job_id: int) -> Job:
    """One job. Raises ConfigError where nobody knows it."""
    with database.read() as connection:
        return _known(job_id, connection.execute(_one(job_id)).one_or_none())


def latest(
    database: Database, *, agent: str | None = None, kind: str | None = None, limit: int = 50
) -> list[Job]:
    """The jobs that were queued last, the newest first."""
    query = select(jobs).order_by(jobs.c.id.desc()).limit(limit)
    if agent is not None:
        query = query.where(jobs.c.agent_name == agent)
    if kind is not None:
        query = query.where(jobs.c.kind == kind)
    with database.read() as connection:
        return [_job(row) for row in connection.execute(query)]


def waiting(database: Database) -> list[Job]:
    """The jobs that are queued, the first in the queue first."""
    return _in_state(database, State.QUEUED)


def running(database: Database) -> list[Job]:
    """The jobs that a worker holds."""
    return _in_state(database, State.RUNNING)


def _in_state(database: Database, state: State) -> list[Job]:
    query = select(jobs).where(jobs.c.state == state).order_by(jobs.c.id)
    with database.read() as connection:
        return [_job(row) for row in connection.execute(query)]


def _one(job_id: int) -> Any:
    return select(jobs).where(jobs.c.id == job_id)


def _held(job_id: int, worker: str) -> Any:
    return (jobs.c.id == job_id) & (jobs.c.worker == worker) & (jobs.c.state == State.RUNNING)


def _known(job_id: int, row: Row[Any] | None) -> Job:
    if row is None:
        raise ConfigError(
            f"there is no job {job_id}", where="jobs", mend="`darwin jobs` lists them"
        )
    return _job(row)


def _job(row: Row[Any]) -> Job:
    told = row._mapping
    return Job(
        id=told["id"], kind=told["kind"], lane=told["lane"], agent=told["agent_name"],
        period=told["period"], words=tuple(json.loads(told["words"])), by=told["by"],
        reason=told["reason"], state=State(told["state"]), queued_at=told["queued_at"],
        started_at=told["started_at"], ended_at=told["ended_at"], worker=told["worker"],
        lease_until=told["lease_until"], attempts=told["attempts"], stop=bool(told["stop"]),
        progress=Progress.read(told["progress"]), exit_code=told["exit_code"],
        message=told["message"],
    )  # fmt: skip
