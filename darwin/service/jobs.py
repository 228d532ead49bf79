"""Watch over the jobs: give up those whose workers are gone, start workers for those that wait.

A worker is a process in a session of its own: it outlives whoever started it, and is found by the
lease in the database. So any number of supervisors may watch at once, and none is needed for a job
that runs. What a job is told, its log and its progress, lies in `<artifacts>/jobs/<id>/`.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from darwin.errors import ConfigError
from darwin.service.acts import TRAINING
from darwin.service.place import Place
from darwin.store import jobs
from darwin.store.db import Database
from darwin.store.jobs import Job, State

MOST_ATTEMPTS = 2
"""A training whose worker is gone is taken up again once."""
NOT_FREE = 5
"""How a worker ends whose job, or lane, another has."""
_STARTS = 3  # of workers that end before they claim their job
_PATIENCE = timedelta(seconds=20)  # with a worker that was started and has not claimed its job
_CHILDREN: list[subprocess.Popen[bytes]] = []
"""Workers of this process that may yet have to be buried, whichever supervisor started them."""
_LOG = logging.getLogger(__name__)


class Supervisor:
    """Keeps the queue of one deployment moving. Call `tick` every second or so."""

    def __init__(self, place: Place) -> None:
        """Know of no worker yet."""
        self._place = place
        self._started: dict[int, list[subprocess.Popen[bytes]]] = {}
        self._started_at: dict[int, datetime] = {}
        self._stopped = False

    def tick(self, now: datetime) -> None:
        """Give up what nobody holds any more, and start what may run. Raises StorageError."""
        if self._stopped:
            return
        _CHILDREN[:] = [one for one in _CHILDREN if one.poll() is None]  # the others are buried
        with self._place.registry(to_change=True) as registry:  # which makes no database
            database = registry.database
            for given_up in jobs.reap(database, now, resumed):
                _LOG.warning("job %d: %s was not heard of any more", given_up.id, given_up.worker)
                end_worker(given_up)
            waiting = jobs.waiting(database)
            busy = {job.lane for job in jobs.running(database)}
            self._forget({job.id for job in waiting})
            for job in waiting:
                if job.lane not in busy:
                    busy.add(job.lane)
                    self._start(database, job, now)

    def stop(self) -> None:
        """Start nothing more. Workers go on: whoever comes next finds them by their lease."""
        self._stopped = True

    def _start(self, database: Database, job: Job, now: datetime) -> None:
        tries = self._started.setdefault(job.id, [])
        if tries and tries[-1].poll() is None and now - self._started_at[job.id] < _PATIENCE:
            return  # it is on its way to claim the job
        if tries and tries[-1].poll() == NOT_FREE:
            tries.pop()  # another of the lane was faster
        if len(tries) >= _STARTS:
            give_up(database, job, now, "its worker ended before it began, see its log")
            return
        tries.append(start_worker(self._place, job.id))
        self._started_at[job.id] = now

    def _forget(self, waiting: set[int]) -> None:
        for job_id in [one for one in self._started if one not in waiting]:
            if self._started[job_id][-1].poll() is not None:
                del self._started[job_id], self._started_at[job_id]


def resumed(job: Job) -> Sequence[str] | None:
    """The words to take up a job again whose worker is gone; None: it has failed.

    A training is, once: from its last checkpoint where it had begun, else from its beginning.
    """
    if job.lane != TRAINING or job.attempts >= MOST_ATTEMPTS:
        return None
    has_begun = job.progress.percent > 0.0 and "--resume" not in job.words
    return (*job.words, "--resume") if has_begun else job.words


def start_worker(place: Place, job_id: int) -> subprocess.Popen[bytes]:
    """Start a process that works on a job, detached; what it says goes into the job's log."""
    folder = folder_of(place, job_id)
    folder.mkdir(parents=True, exist_ok=True)
    words = ("jobs", "work", str(job_id), *place.words)
    if place.models_dir is not None:
        words = (*words, "--models-dir", place.models_dir)
    with (folder / "job.log").open("ab") as log:
        worker = subprocess.Popen(  # noqa: S603  our own interpreter, our own command
            [sys.executable, "-m", "darwin.cli.main", *words],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    _CHILDREN.append(worker)
    return worker


def end_worker(job: Job) -> None:
    """Kill the worker of a job that was given up, where it is a process of this host.

    One that was only stopped would wake up beside its successor, or hold a lock that it needs.
    """
    host, _, rest = (job.worker or "").partition(":")
    process = rest.partition(":")[0]
    if host != socket.gethostname() or not process.isdigit():
        return
    with suppress(OSError):
        if f"\0jobs\0work\0{job.id}\0".encode() in Path("/proc", process, "cmdline").read_bytes():
            os.kill(int(process), signal.SIGKILL)


def give_up(database: Database, job: Job, now: datetime, why: str) -> None:
    """End a job that waits, as failed; where it waits no longer or its lane is busy, leave it."""
    worker = f"{socket.gethostname()}:{os.getpid()}:supervisor"
    if jobs.claim(database, job.id, worker, now) is not None:
        jobs.finish(database, job.id, worker, State.FAILED, now, exit_code=None, message=why)


def folder_of(place: Place, job_id: int) -> Path:
    """Where the files of a job lie."""
    return place.artifacts / "jobs" / str(job_id)


def log_of(place: Place, job_id: int) -> str:
    """What the worker of a job has said. Raises ConfigError where nobody knows the job."""
    with place.read() as database:
        jobs.find(database, job_id)
    try:
        return (folder_of(place, job_id) / "job.log").read_text(errors="replace")
    except FileNotFoundError:
        return ""
    except OSError as fault:
        raise ConfigError(
            f"the log of job {job_id} cannot be read ({fault.strerror})",
            where=str(folder_of(place, job_id)),
            mend="check the rights of that folder",
        ) from fault
