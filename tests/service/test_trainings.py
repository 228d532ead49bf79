"""Trainings as jobs: what serves stays whatever becomes of them, and a killed one goes on."""

from __future__ import annotations

import json
import os
import signal
from datetime import datetime, timedelta

import pytest

from darwin.service.acts import TRAINING
from darwin.service.jobs import Supervisor
from darwin.service.place import now
from darwin.store.jobs import State
from tests.service.desk import Served, process_of, query

pytest.importorskip("stable_baselines3")
pytestmark = pytest.mark.slow

WORLD = ("--timeframe", "4h", "--bars", "2500", "--length", "63")
NOTHING = (*WORLD, "--edge", "0", "--episodes", "20")
SOMETHING = (*WORLD, "--edge", "4", "--episodes", "130")


def train(served: Served, *words: str) -> int:
    signed = ("--by", "Ada", "--reason", "a test", *served.place.words)
    return served.ask("market", "train", *words, *signed, lane=TRAINING, agent="market")


def test_what_serves_stays_where_a_training_fails_and_where_it_learned_nothing(
    served: Served,
) -> None:
    version = served.serve("market", now())
    failing = train(served, "--data", "missing", "--symbols", "BTC/USDT")
    worse = train(served, *NOTHING)
    supervisor = Supervisor(served.place)
    served.wait(failing, lambda job: job.state is not State.QUEUED, supervisor)
    while not served.job(failing).state.over:
        assert served.job(worse).state is State.QUEUED, "one training at a time"
        supervisor.tick(now())
    ended = served.wait(worse, lambda job: job.state.over, supervisor)
    failed = served.job(failing)
    assert failed.state is State.FAILED
    assert failed.exit_code in (2, 3)
    assert failed.message
    assert (ended.state, ended.exit_code, ended.progress.percent) == (State.DONE, 10, 100.0)
    assert "nothing learnable" in ended.message
    assert ended.progress.policy_loss is not None
    assert ended.started_at is not None
    assert failed.ended_at is not None
    assert ended.started_at >= failed.ended_at
    assert served.serving("market") == version
    assert query(served, "SELECT count(*) FROM model_events") == [(1,)]


@pytest.mark.sweep
def test_a_training_whose_worker_is_killed_goes_on_once_and_hands_over_one_model(
    served: Served,
) -> None:
    job_id = train(served, *SOMETHING)
    supervisor = Supervisor(served.place)
    held = served.wait(job_id, lambda job: job.progress.percent > 0.0, supervisor)
    os.kill(process_of(held), signal.SIGKILL)
    left = served.job(job_id).lease_until
    assert left is not None
    supervisor.tick(datetime.fromisoformat(left) + timedelta(milliseconds=1))
    taken_up = served.job(job_id)
    assert (taken_up.state, taken_up.words[-1]) == (State.QUEUED, "--resume")
    assert query(served, "SELECT count(*) FROM model_events") == [(0,)]
    ended = served.wait(job_id, lambda job: job.state.over, supervisor)
    assert (ended.state, ended.exit_code, ended.attempts) == (State.DONE, 0, 2), served.log(job_id)
    version = served.serving("market")
    assert version is not None
    assert version in ended.message
    assert query(served, "SELECT kind FROM model_events") == [("deployed",)]
    path = served.folder / "artifacts" / "rl_models" / "market" / "metadata.json"
    told = json.loads(path.read_text())
    assert (told["current_version"], told["last_retrain_time"]) == (version, ended.ended_at)
    assert told["models"][0]["training_epochs"] == 130
    assert told["models"][0]["training_loss"] == ended.progress.policy_loss
