"""A deployment with a service to play with: models that serve, jobs, processes that watch them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any

from darwin.cli.main import darwin
from darwin.rl.cli.door import come_through
from darwin.rl.registry.deploy import deploy
from darwin.service.acts import BENCHMARK
from darwin.service.jobs import Supervisor
from darwin.service.place import Place, now
from darwin.store import jobs
from darwin.store.jobs import Job
from tests.run.command import Desk, clean_environment

PATIENCE_S = 60.0  # of a machine that is busy; nothing here is timed


class Served:
    """One deployment, and the processes that were started for it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.desk = folder, Desk(folder)
        self.place = Place(str(folder / "artifacts"))
        self.place.make()
        self._mine: list[subprocess.Popen[str]] = []

    def serve(self, agent: str, at: datetime, what: str = "") -> str:
        """Let a model serve that nobody looks into; gives its version."""
        files = {"spec.json": b"{}", "weights.safetensors": f"{agent} {what}".encode()}
        with self.place.registry(to_change=True) as registry:
            one = deploy(
                registry, agent, files, by="Ada", reason="a test", now=at, active=False,
                validate=lambda name, content: None,
            )  # fmt: skip
        return one.name

    def serving(self, agent: str) -> str | None:
        with self.place.registry() as registry:
            model = registry.shelf(agent).serving
        return model and model.version

    def ask(self, *words: str, lane: str = BENCHMARK, agent: str | None = None) -> int:
        """Put a command into the queue; gives the number of its job."""
        with self.place.write() as database:
            job = jobs.enqueue(
                database, "try", words, lane=lane, agent=agent, by="Ada", reason="a test", at=now()
            )
        assert job is not None
        return job.id

    def job(self, job_id: int) -> Job:
        with self.place.read() as database:
            return jobs.find(database, job_id)

    def wait(
        self, job_id: int, until: Callable[[Job], bool], supervisor: Supervisor | None = None
    ) -> Job:
        """The job, once `until` holds for it; `supervisor` is let look meanwhile."""
        give_up = time.monotonic() + PATIENCE_S
        while True:
            if supervisor is not None:
                supervisor.tick(now())
            job = self.job(job_id)
            if until(job):
                return job
            assert time.monotonic() < give_up, f"{job}\n{self.log(job_id)}"
            time.sleep(0.05)

    def log(self, job_id: int) -> str:
        path = self.folder / "artifacts" / "jobs" / str(job_id) / "job.log"
        return path.read_text() if path.exists() else ""

    def say(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command on this deployment, in this process, which is sooner done."""
        out, err = StringIO(), StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = come_through(darwin, [*words, *self.place.words])
        return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())

    def slow(self, run_id: str = "slow") -> tuple[str, ...]:
        """A command that takes for ever: a feed at the speed of a clock."""
        name = self.desk.config(
            f"{run_id}.json", run_id=run_id, artifacts_dir=self.place.artifacts_dir
        )
        return ("run", str(self.folder / name), "--feed", "--speed", "1")

    def child(self, code: str, *words: str) -> subprocess.Popen[str]:
        """Start python on a few lines; it says a line when it is ready."""
        process = subprocess.Popen(
            [sys.executable, "-c", code, *words], cwd=self.folder, text=True,
            env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self._mine.append(process)
        return process

    def close(self) -> None:
        """End all that was started here, by its number."""
        for process in self._mine:
            process.kill()
            process.communicate()
        with self.place.read() as database:
            held = jobs.running(database)
        for job in held:
            if ":" in (job.worker or ""):  # else nobody works on it
                _kill(process_of(job))


def process_of(job: Job) -> int:
    """The number of the process that works on a job."""
    assert job.worker is not None
    return int(job.worker.split(":")[1])


def is_alive(process: int) -> bool:
    """Whether a process runs, be it stopped; one that nobody has buried does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def query(served: Served, sql: str) -> Sequence[tuple[Any, ...]]:
    return served.desk.ask(sql)


def _kill(process: int) -> None:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return
