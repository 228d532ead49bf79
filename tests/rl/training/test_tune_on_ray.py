"""A search spread over machines: two nodes of a local Ray cluster stand for them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.rl.training.test_train_command import ROOM
from tests.run.agents import rules
from tests.run.command import Desk, clean_environment

pytest.importorskip("stable_baselines3")
pytest.importorskip("ray", reason="ray is not installed: `make setup` does it")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # of Ray's own


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A deployment with one small run in a planted market."""
    desk = Desk(tmp_path_factory.mktemp("clustered"))
    desk.config(run_id="planted", market={"bars": 3000, "edge": 0.5}, rl=rules(), **ROOM)
    done = desk.darwin("run", "config.json")
    assert done.returncode == 0, done.stderr
    return desk


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Two nodes of one CPU each."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
    )
    cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    yield cluster
    cluster.shutdown()


def begun(desk: Desk, cluster: Any, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "darwin.cli.main", "rl", "tune", "gate", "--run-ids", "planted",
         "--allow-small", "--eval-freq", "4096", "--engine", "ray", "--ray-address",
         cluster.address, "--json", *more],
        cwd=desk.folder, env=clean_environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.sweep
def test_trials_run_on_both_nodes_and_gain_what_they_gain_here(desk: Desk, cluster: Any) -> None:
    from darwin.rl.cli.training_options import observing, rows_of
    from darwin.rl.training.course import Plan
    from darwin.rl.training.recipes import recipe_of
    from darwin.rl.training.search import Task, evaluate
    from darwin.rl.training.search_space import recipe_with

    process = begun(desk, cluster, "--trials", "4", "--total-timesteps", "8192")
    out, err = process.communicate()
    assert process.returncode == 0, err
    told = json.loads(out)
    complete = [one for one in told["trials"] if one["state"] == "complete"]
    nodes = {node.node_id for node in cluster.list_all_nodes()}
    assert len(nodes) == 2
    assert {one["where"].removeprefix("node ") for one in complete} == nodes
    assert told["counts"] == {"complete": 4}

    database = desk.folder / "artifacts" / "rl_state" / "agent_state.sqlite"
    rows = rows_of("gate", ("planted",), (database,), True, observing("gate", str(desk.folder)))
    task = Task.of(rows, Plan(recipe_of("gate"), timesteps=8192, eval_freq=4096, seeds=1))
    for one in complete:
        recipe = recipe_with(recipe_of("gate"), one["chosen"])
        shown = evaluate(task, recipe)
        assert [seed.gain for seed in shown] == one["gains_of_seeds"]
        assert [seed.sharpe for seed in shown] == one["sharpes_of_seeds"]


@pytest.mark.sweep
def test_a_trial_whose_node_dies_is_given_out_again(desk: Desk, cluster: Any) -> None:
    process = begun(desk, cluster, "--trials", "6", "--total-timesteps", "40960")
    assert process.stderr is not None
    next(process.stderr)
    (lost,) = cluster.worker_nodes
    cluster.remove_node(lost, allow_graceful=False)
    out, err = process.communicate()
    assert process.returncode == 0, err
    told = json.loads(out)
    assert sum(told["counts"].values()) == 6
    assert set(told["counts"]) <= {"complete", "given up"}
    assert max(one["tries"] for one in told["trials"]) == 2
