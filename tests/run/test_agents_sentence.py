"""What a report says first of its agents: which were asked, and which had no model to ask."""

from __future__ import annotations

import json

import pytest

from tests.run.agents import deploy, models
from tests.run.command import Desk


@pytest.fixture
def said(tmp_path):
    """Run with these agents' models deployed; gives what the verdict says of agents."""
    desk = Desk(tmp_path)

    def run(*agents, mode="observe"):
        market = {"seed": 3, "bars": 600}
        for agent in agents:
            deploy(desk, agent, training_end="2015-01-01T00:00:00Z")
        done = desk.darwin("run", desk.config(run_id="one", market=market, rl=models(mode)))
        assert done.returncode == 0, done.stderr
        tree = json.loads((tmp_path / "artifacts/runs/one/metrics.json").read_text())
        assert set(tree["agents"]) == {"gate", "meta_learner", "portfolio"}
        (sentence,) = [one for one in tree["verdict"] if "at the door" in one]
        return sentence

    return run


def test_who_had_no_model_is_said(said):
    assert said("gate") == (
        "Agents at the door (models): gate; they only watched: no order was changed by them;"
        " meta-learner and portfolio had no model."
    )


def test_where_all_had_one_nobody_is_left_out(said):
    assert said("gate", "meta_learner", "portfolio").startswith(
        "Agents at the door (models): gate, meta-learner and portfolio; they only watched"
    )


def test_that_nobody_had_a_model_is_said(said):
    assert said() == (
        "No agent had a model at the door: gate, meta-learner and portfolio changed nothing."
    )
