"""The job that this process works on: what it writes into the logs counts only while it holds it.

A worker that was away for too long (stopped, starved, cut off) may wake up after its job was given
up, and perhaps given to another. So each row of a log of the deployment, be it a model that is
handed over, a promotion or a trial, asks in its own transaction whether the job is still held.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, select

from darwin.errors import LostJobError
from darwin.store.schema import jobs


@dataclass(slots=True)
class _Work:
    job: Held | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """A job in the hands of a worker."""

    database: Path
    job_id: int
    worker: str


_OF_THIS_PROCESS = _Work()


def hold(database: Path, job_id: int, worker: str) -> None:
    """From here on all that this process does is done for that job."""
    _OF_THIS_PROCESS.job = Held(database.resolve(), job_id, worker)


def let_go() -> None:
    """This process works on no job any more."""
    _OF_THIS_PROCESS.job = None


def require_held(connection: Connection) -> None:
    """Raise LostJobError where this process works on a job that is no longer in its hands.

    Within a write transaction on the database of the job nothing can come between this and what is
    written; another database is answered by a look at that one.
    """
    job = _OF_THIS_PROCESS.job
    if job is None:
        return
    if _path_of(connection) == job.database:
        is_held = _is_held(connection, job)
    else:
        from darwin.store.db import connect_readonly  # noqa: PLC0415  it knows the logs itself

        with connect_readonly(job.database) as database, database.read() as other:
            is_held = _is_held(other, job)
    if not is_held:
        raise LostJobError(
            f"job {job.job_id} is no longer held by this worker: nothing it comes to counts",
            where=str(job.database),
            mend=f"`darwin jobs show {job.job_id}` tells what became of it",
        )


def _is_held(connection: Connection, job: Held) -> bool:
    mine = (jobs.c.id == job.job_id) & (jobs.c.worker == job.worker) & (jobs.c.state == "running")
    return connection.execute(select(jobs.c.id).where(mine)).first() is not None


def _path_of(connection: Connection) -> Path:
    return Path(connection.exec_driver_sql("PRAGMA database_list").all()[0][2]).resolve()
