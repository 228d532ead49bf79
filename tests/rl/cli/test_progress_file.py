"""`--progress FILE`: whole whenever it is read, not too often written, and never in the way."""

from __future__ import annotations

import json
from pathlib import Path

from darwin.core.progress import Progress
from darwin.rl.cli.progress_file import ProgressFile
from darwin.rl.training.pulse import Pulse, losses


def test_it_says_how_far_all_networks_are_and_keeps_the_figures_to_the_end(tmp_path: Path) -> None:
    path = tmp_path / "new" / "progress.json"
    shown = ProgressFile(path)
    shown.felt("steps", 1_000, 4, 2, Pulse(500, 0.25, 0.125, -0.5, float("nan")))
    told = Progress(62.5, "seed 3 of 4, 500 of 1,000 steps", 0.25, 0.125, -0.5, None)
    assert Progress.read(path.read_text()) == told
    shown.felt("steps", 1_000, 4, 2, Pulse(600))
    assert Progress.read(path.read_text()) == told, "a moment later nothing is written"
    shown.say("over", 100.0)
    assert json.loads(path.read_text()) == {
        "percent": 100.0, "message": "over", "current_reward": 0.25, "avg_reward": 0.125,
        "policy_loss": -0.5, "value_loss": None,
    }  # fmt: skip
    assert [one.name for one in path.parent.iterdir()] == ["progress.json"], "nothing beside it"


def test_more_steps_than_were_asked_for_are_no_more_than_all(tmp_path: Path) -> None:
    path = tmp_path / "progress.json"
    ProgressFile(path).felt("episodes", 60, 1, 0, Pulse(65))
    assert Progress.read(path.read_text())[:2] == (100.0, "60 of 60 episodes")


def test_a_place_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    shown = ProgressFile(in_the_way / "progress.json")
    shown.say("begun")
    shown.felt("steps", 10, 1, 0, Pulse(5))
    ProgressFile(None).say("to nobody")
    assert in_the_way.read_text() == ""


def test_losses_are_read_by_the_names_of_each_algorithm() -> None:
    ppo = {"train/policy_gradient_loss": -0.5, "train/value_loss": 2.0, "train/loss": 9.0}
    assert losses(ppo) == (-0.5, 2.0)
    assert losses({"train/policy_loss": 1.0, "train/value_loss": 2.0}) == (1.0, 2.0)
    assert losses({"train/actor_loss": 1.0, "train/critic_loss": 2.0}) == (1.0, 2.0)
    assert losses({"train/loss": 3.0}) == (3.0, None)
    assert losses({"eval/reward": 1.0}) == (None, None)
