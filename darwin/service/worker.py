"""Work on one job: claim it, run its command in this process, say every second that it lives.

The command runs in the process itself, so that whoever kills the worker kills the work. What it
writes into the logs of the deployment counts only while the job is its own (`store.held`).
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, TypeAlias

from darwin.core.progress import Progress
from darwin.errors import ConfigError, LostJobError, StorageError
from darwin.service.acts import TRAINING
from darwin.service.jobs import NOT_FREE, Supervisor, folder_of
from darwin.service.metadata import write_metadata
from darwin.service.place import Place, now
from darwin.store import held, jobs
from darwin.store.db import Database
from darwin.store.jobs import Job, State

BEAT_S = 1.0
GRACE_S = 10.0
"""How long a command may take to stop, once it was asked to."""
_BY_SIGNAL = (129, 130, 143)
_FOUND = (0, 10, 11)
_NICE = 5  # trading comes first
_LOG = logging.getLogger(__name__)

Run: TypeAlias = Callable[[Sequence[str], Callable[[str], None]], int]
"""Run a command on words, telling the first line of what it refuses; gives its exit code."""


class _Came(NamedTuple):
    """What came of a command."""

    code: int
    refused: str  # the first line of why; empty: it was not


def work(place: Place, job_id: int, run: Run) -> int:
    """Do a job that waits, to its end; gives the exit code of its command.

    `NOT_FREE` says without a word that another worker has it, or the lane. Raises ConfigError where
    it is over or not known, LostJobError where it was given up meanwhile, StorageError.
    """
    worker = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(8)}"
    with place.write() as database:
        job = jobs.claim(database, job_id, worker, now())
        if job is None:
            return _not_free(jobs.find(database, job_id))
        held.hold(database.path, job.id, worker)
        try:
            came, stopping = _run_it(place, database, job, run)
            if came.code in _BY_SIGNAL and not stopping:
                return (
                    came.code
                )  # a signal from elsewhere: its lease runs out, it is taken up again
            state, message = _verdict(place, job, came, stopping=stopping)
            kept = jobs.finish(
                database, job.id, worker, state, now(), exit_code=came.code, message=message
            )
        finally:
            held.let_go()
    if not kept:
        raise _lost(job)
    if job.agent is not None:
        write_metadata(place, job.agent, now())
    Supervisor(place).tick(now())  # the next of its lane, where no service watches
    return came.code


def _run_it(place: Place, database: Database, job: Job, run: Run) -> tuple[_Came, bool]:
    """Run the command of a job under a heartbeat; gives what came of it and whether it was asked
    to stop."""
    progress = folder_of(place, job.id) / "progress.json"
    words = (*job.words, "--progress", str(progress)) if job.lane == TRAINING else job.words
    progress.parent.mkdir(parents=True, exist_ok=True)
    progress.unlink(missing_ok=True)
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, max(os.getpriority(os.PRIO_PROCESS, 0), _NICE))
    refused: list[str] = []
    with _Heart(database, job, progress) as heart:
        code = run(words, refused.append)
    return _Came(code, refused[0] if refused else ""), heart.stopping


class _Heart(threading.Thread):
    """Holds on to the job, tells how far it is, and ends the process where it must not go on."""

    def __init__(self, database: Database, job: Job, progress: Path) -> None:
        super().__init__(name=f"job {job.id}", daemon=True)
        self._database, self._job, self._progress = database, job, progress
        self._over = threading.Event()
        self._asked_at: float | None = None

    @property
    def stopping(self) -> bool:
        """Whether the job was asked to stop."""
        return self._asked_at is not None

    def __enter__(self) -> _Heart:
        self.start()
        return self

    def __exit__(self, *fault: object) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        """Beat until the command is over."""
        while not self._over.wait(BEAT_S):
            try:
                self._beat()
            except StorageError as fault:  # the next beat may come through; the fence holds anyway
                _LOG.warning("job %d: no heartbeat (%s)", self._job.id, fault)
        with suppress(StorageError):
            self._tell()

    def _beat(self) -> None:
        job = self._tell()
        if job is None:
            _end(NOT_FREE, f"error: {_lost(self._job).what}")
        elif job.stop and self._asked_at is None:
            self._asked_at = time.monotonic()
            os.kill(os.getpid(), signal.SIGTERM)
        elif self._asked_at is not None and time.monotonic() - self._asked_at > GRACE_S:
            assert job.worker is not None
            jobs.finish(
                self._database, job.id, job.worker, State.CANCELLED, now(), exit_code=143,
                message=f"stopped, by force after {GRACE_S:g} s",
            )  # fmt: skip
            _end(143, "stopped by force")

    def _tell(self) -> Job | None:
        assert self._job.worker is not None
        return jobs.beat(self._database, self._job.id, self._job.worker, now(), self._read())

    def _read(self) -> Progress | None:
        try:
            return Progress.read(self._progress.read_text())
        except (OSError, UnicodeDecodeError):
            return None


def _verdict(place: Place, job: Job, came: _Came, *, stopping: bool) -> tuple[State, str]:
    """How a job ended, and a line about it."""
    if stopping and came.code not in _FOUND:  # a signal in the midst of an import ends otherwise
        return State.CANCELLED, "stopped, as it was asked to"
    if came.code not in _FOUND:
        said = came.refused.removeprefix("error: ") or f"it ended with {came.code}"
        return State.FAILED, said
    if job.lane != TRAINING:
        return State.DONE, {0: "done", 10: "not passed", 11: "inconclusive"}[came.code]
    if came.code == 0:
        return State.DONE, _handed_over(place, job)
    return State.DONE, "nothing learnable was found: the model that serves stays"


def _handed_over(place: Place, job: Job) -> str:
    """What a training has brought into the registry."""
    if job.agent is None or job.started_at is None:
        return "a model was handed over"
    begun = datetime.fromisoformat(job.started_at)
    with place.registry() as registry:
        new = [one for one in registry.shelf(job.agent).kept if one.since >= begun]
    if not new:
        return "its model was handed over before"
    return f"version {new[-1].name} of {job.agent} is {new[-1].place}: it watches only"


def _not_free(job: Job) -> int:
    if job.state.over:
        raise ConfigError(
            f"job {job.id} is {job.state}, so there is nothing to begin",
            where="jobs",
            mend=f"`darwin jobs show {job.id}` tells more",
        )
    return NOT_FREE


def _lost(job: Job) -> LostJobError:
    return LostJobError(
        f"job {job.id} was given up while this worker was away: nothing it came to counts",
        where="jobs",
        mend=f"`darwin jobs show {job.id}` tells what became of it",
    )


def _end(code: int, line: str) -> None:
    """Leave at once, whatever the command is at."""
    with suppress(OSError):
        os.write(2, f"{line}\n".encode())
    os._exit(code)
