"""Jobs: one of a lane at a time, each in a process that may die, be stopped, or be cancelled."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import datetime, timedelta

import pytest

from darwin.core.progress import Progress
from darwin.errors import LostJobError
from darwin.rl.registry.deploy import deploy
from darwin.service.acts import TRAINING
from darwin.service.jobs import Supervisor, log_of, resumed
from darwin.service.place import now
from darwin.store import held, jobs
from darwin.store.jobs import State
from darwin.testing.models import make_model
from tests.service.desk import PATIENCE_S, Served, is_alive, process_of, query

pytestmark = pytest.mark.slow

SERVICE = "from darwin.cli.main import main; main()"
WORKER = """
import os, sys, time
from darwin.cli.main import darwin
from darwin.errors import DarwinError
from darwin.rl.cli.door import come_through
from darwin.service import worker
from darwin.service.place import Place
worker.BEAT_S = float(sys.argv[3])
def run(words, refused):
    print("begun", flush=True)
    while not os.path.exists("go"):
        time.sleep(0.02)
    return come_through(darwin, words, refused)
try:
    code = worker.work(Place(sys.argv[1]), int(sys.argv[2]), run)
except DarwinError as fault:
    sys.exit(f"{fault} (exit code {fault.exit_code})")
sys.exit(code)
"""


def test_a_killed_service_leaves_its_worker_and_a_killed_worker_leaves_a_failed_job(
    served: Served,
) -> None:
    running, next_one = served.ask(*served.slow()), served.ask("config", "check", "slow.json")
    service = served.child(SERVICE, "serve", "--port", "0", "--no-scheduler", *served.place.words)
    work = served.wait(running, lambda job: job.state is State.RUNNING)
    served.wait(running, lambda job: job.lease_until != work.lease_until)
    service.kill()
    service.wait()
    worker = process_of(work)
    assert is_alive(worker), "the work goes on"
    successor = Supervisor(served.place)
    successor.tick(now())
    assert served.job(running).worker == work.worker, "the next service finds it by its lease"
    assert served.job(next_one).state is State.QUEUED, "one of a lane at a time"

    os.kill(worker, signal.SIGKILL)
    died, left = now(), served.job(running).lease_until
    assert left is not None
    until = datetime.fromisoformat(left)
    assert until <= died + timedelta(seconds=6), "a supervisor that looks each second needs 7"
    successor.tick(until - timedelta(milliseconds=1))
    assert served.job(running).state is State.RUNNING
    successor.tick(until + timedelta(milliseconds=1))
    failed = served.job(running)
    assert failed.state is State.FAILED
    assert "not heard of" in failed.message
    assert served.wait(next_one, lambda job: job.state.over, successor).started_at is not None


def test_a_running_job_that_is_cancelled_stops(served: Served) -> None:
    running, waiting = served.ask(*served.slow()), served.ask(*served.slow("other"))
    supervisor = Supervisor(served.place)
    work = served.wait(running, lambda job: job.state is State.RUNNING, supervisor)
    for job_id in (waiting, running):
        said = served.say("jobs", "cancel", str(job_id))
        assert said.returncode == 0, said.stderr
    ended = served.wait(running, lambda job: job.state.over, supervisor)
    assert (ended.state, ended.exit_code) == (State.CANCELLED, 143)
    assert ended.message == "stopped, as it was asked to"
    assert served.job(waiting).state is State.CANCELLED
    assert not is_alive(process_of(work)) or served.wait(running, lambda job: not is_alive(
        process_of(work)))  # fmt: skip
    again = served.say("jobs", "cancel", str(running))
    assert again.returncode == 2
    assert "cancelled already" in again.stderr


def test_a_job_ends_as_its_command_does_and_says_why(served: Served) -> None:
    name = served.desk.config()
    good = served.ask("config", "check", str(served.folder / name))
    bad = served.ask("config", "check", str(served.folder / "missing.json"))
    supervisor = Supervisor(served.place)
    assert served.wait(good, lambda job: job.state.over, supervisor).state is State.DONE
    failed = served.wait(bad, lambda job: job.state.over, supervisor)
    assert (failed.state, failed.exit_code) == (State.FAILED, 2)
    assert failed.message
    assert f"error: {failed.message}" in log_of(served.place, bad)
    shown = served.say("jobs", "log", str(bad))
    assert shown.stdout == log_of(served.place, bad)
    told = json.loads(served.say("jobs", "--json").stdout)
    assert [(one["id"], one["state"]) for one in told] == [(bad, "failed"), (good, "done")]
    one = json.loads(served.say("jobs", "show", str(bad), "--json").stdout)
    assert one == told[0]
    assert served.say("jobs", "show", "99").returncode == 2


@pytest.mark.parametrize("beat_s", [60.0, 0.2], ids=["by the fence", "by the heartbeat"])
def test_a_worker_that_wakes_up_after_its_job_was_given_up_hands_nothing_over(
    served: Served, beat_s: float
) -> None:
    folder = served.folder / "model"
    folder.mkdir()
    for name, content in make_model("gate").items():
        (folder / name).write_bytes(content)
    served.serve("portfolio", now())
    words = ("rl", "models", "deploy", "gate", str(folder), *served.place.words)
    job_id = served.ask(*words, agent="gate")
    worker = served.child(WORKER, served.place.artifacts_dir, str(job_id), str(beat_s))
    assert worker.stdout is not None
    assert worker.stdout.readline() == "begun\n"
    worker.send_signal(signal.SIGSTOP)
    with served.place.write() as database:  # as another host does, which cannot kill it
        [given_up] = jobs.reap(database, now() + timedelta(seconds=7))
    assert given_up.id == job_id
    if beat_s > 1.0:  # then it goes on with its work at once; else it is told before it does
        (served.folder / "go").touch()
    worker.send_signal(signal.SIGCONT)
    said = worker.communicate(timeout=PATIENCE_S)
    assert worker.returncode != 0
    assert "given up" in said[1], said
    assert "exit code 5" in said[1] or worker.returncode == 5
    assert query(served, "SELECT count(*) FROM model_events WHERE agent_name = 'gate'") == [(0,)]
    assert served.job(job_id).state is State.FAILED
    listed = served.say("rl", "models", "list", "gate", "--json")
    assert json.loads(listed.stdout) == []
    versions = served.folder / "artifacts" / "rl_models" / "gate" / "versions"
    assert not versions.exists() or not list(versions.iterdir()), "nothing that might be adopted"


def test_a_job_that_is_given_up_in_the_midst_of_a_hand_over_leaves_nothing(served: Served) -> None:
    job_id = served.ask("never", agent="gate")

    def give_up(agent: str, files: object) -> None:
        """What another host does while this one looks at the model."""
        with served.place.write() as database:
            jobs.reap(database, now() + timedelta(seconds=7))

    with served.place.registry(to_change=True) as registry:
        assert jobs.claim(registry.database, job_id, "me", now()) is not None
        held.hold(registry.database.path, job_id, "me")
        try:
            with pytest.raises(LostJobError):
                deploy(
                    registry, "gate", {"spec.json": b"{}", "weights.safetensors": b"w"}, by="Ada",
                    reason="a test", now=now(), active=False, validate=give_up,
                )  # fmt: skip
        finally:
            held.let_go()
        assert registry.shelf("gate").versions == ()
        assert registry.home("gate").names() == [], "nothing that might be adopted"


def test_a_training_whose_worker_is_killed_is_taken_up_again_once(served: Served) -> None:
    job_id = served.ask("market", "train", lane=TRAINING, agent="market")
    supervisor = Supervisor(served.place)
    progress = served.folder / "artifacts" / "jobs" / str(job_id) / "progress.json"
    for attempt, words in enumerate([("market", "train", "--resume"), None], start=1):
        worker = served.child(WORKER, served.place.artifacts_dir, str(job_id), "0.05")
        assert worker.stdout is not None
        assert worker.stdout.readline() == "begun\n"
        progress.write_text(Progress(40.0, "4 of 10 steps").text())
        work = served.wait(job_id, lambda job: job.progress.percent > 0.0)
        assert (work.attempts, work.progress.message) == (attempt, "4 of 10 steps")
        worker.kill()
        worker.wait()
        left = served.job(job_id).lease_until
        assert left is not None
        with served.place.write() as database:
            jobs.reap(database, datetime.fromisoformat(left) + timedelta(seconds=1), resumed)
        after = served.job(job_id)
        if words is not None:
            assert (after.state, after.words, after.worker) == (State.QUEUED, words, None)
        else:
            assert after.state is State.FAILED
    supervisor.tick(now())
    assert served.job(job_id).state is State.FAILED


def test_a_stopped_worker_of_this_host_is_killed_when_its_job_is_given_up(served: Served) -> None:
    job_id = served.ask(*served.slow())
    supervisor = Supervisor(served.place)
    work = served.wait(job_id, lambda job: job.state is State.RUNNING, supervisor)
    os.kill(process_of(work), signal.SIGSTOP)
    Supervisor(served.place).tick(now() + timedelta(seconds=20))
    assert served.job(job_id).state is State.FAILED
    served.wait(job_id, lambda job: not is_alive(process_of(work)), supervisor)


def test_a_worker_that_cannot_begin_three_times_fails_its_job(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = served.ask("config", "check", "x.json")
    broken = served.folder / "broken"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    ended = served.wait(job_id, lambda job: job.state.over, Supervisor(served.place))
    assert ended.state is State.FAILED
    assert "before it began" in ended.message


def test_of_two_workers_one_does_the_job_and_the_other_leaves_without_a_word(
    served: Served,
) -> None:
    job_id = served.ask(*served.slow())
    supervisor = Supervisor(served.place)
    work = served.wait(job_id, lambda job: job.state is State.RUNNING, supervisor)
    other = subprocess.run(
        [sys.executable, "-m", "darwin.cli.main", "jobs", "work", str(job_id),
         *served.place.words], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (other.returncode, other.stdout, other.stderr) == (5, "", "")
    assert served.job(job_id).worker == work.worker
