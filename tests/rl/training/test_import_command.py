"""`darwin rl models import`: what a model from elsewhere gives, once it is here."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest

from darwin.cli.rl_import import import_
from darwin.rl.agents.pages import PAGES
from darwin.rl.serving.policy import policy_of
from darwin.rl.training.foreign_layers import ALGORITHMS
from darwin.rl.training.foreign_reader import _environment
from tests.rl.training.lab import Lab
from tests.rl.training.nets import Net

slow = pytest.mark.slow


def assert_gives_what_torch_gives(lab: Lab, net: Net, agent: str, normaliser=None) -> None:
    """The model that was deployed, asked by numpy on rows it was not exported with."""
    current = lab.folder / "artifacts/rl_models" / agent / "current"
    policy = policy_of(
        (current / "spec.json").read_bytes(), (current / "weights.safetensors").read_bytes()
    )
    width = len(PAGES[agent].names)
    standard = normaliser or {"mean": [0.0] * width, "sd": [1.0] * width}
    mean, sd = np.array(standard["mean"]), np.array(standard["sd"])
    rows = (mean + sd * np.random.default_rng(11).normal(size=(200, width))).astype(np.float32)
    told = net.outputs((rows.astype(np.float64) - mean) / sd)
    given = np.array([policy.outputs(row) for row in rows])
    assert np.ptp(given) > 0.5
    np.testing.assert_allclose(given, told, rtol=1e-6, atol=1e-6)


@slow
@pytest.mark.parametrize(
    "agent, algo, head",
    [
        ("gate", "ppo", "categorical"),
        ("gate", "dqn", "argmax_q"),
        ("portfolio", "sac", "tanh_gaussian"),
        ("portfolio", "ppo", "clipped_gaussian"),
    ],
)
def test_a_model_is_imported_deployed_and_gives_what_torch_gives(lab, agent, algo, head):
    net, normaliser = Net(algo, agent), lab.normaliser(agent)
    given = lab.file("n.json", json.dumps(normaliser).encode())
    told = lab.bring(net.zip(), agent, algo, "--normaliser", given)
    assert (told["agent"], told["head"], told["observe_only"]) == (agent, head, True)
    assert [layer[1] for layer in told["layers"]] == [*net.hidden, PAGES[agent].outputs]
    assert sorted(path.name for path in Path("made").iterdir()) == [
        "spec.json",
        "weights.safetensors",
    ]
    one = lab.ask("deploy", agent, "made", "--by", "Ada", "--reason", "from the lab")
    assert one["place"] == "serving"
    assert_gives_what_torch_gives(lab, net, agent, normaliser)


@slow
def test_what_is_told_of_a_model_is_part_of_it(lab):
    net = Net("a2c", "meta_learner", relu=True, hidden=(32, 16, 8))
    lab.bring(
        net.zip(), "meta_learner", "a2c", "--no-normaliser", "--activation", "relu",
        "--threshold", "0.7", "--training-end", "2024-05-01T00:00:00Z",
        "--training-data", "ab" * 32,
    )  # fmt: skip
    spec = json.loads(Path("made/spec.json").read_text())
    assert (spec["threshold"], spec["training_end"]) == (0.7, "2024-05-01T00:00:00Z")
    assert (spec["data_digest"], spec["held_out"]) == ("ab" * 32, None)
    assert set(spec["normaliser"]["sd"]) == {1.0}
    lab.say("deploy", "meta_learner", "made", "--by", "Ada")
    assert_gives_what_torch_gives(lab, net, "meta_learner")


@slow
def test_the_command_never_imports_torch(lab):
    zip_file = lab.file("model.zip", Net("ppo", "gate").zip())
    code = (
        "import sys; from darwin.cli.rl_models import models;"
        f"words = ['import', 'gate', {zip_file!r}, '--no-normaliser', '--algo', 'ppo'];"
        "models([*words, '-o', 'made'], standalone_mode=False);"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=lab.folder
    )
    lines = done.stdout.splitlines()
    assert lines[-1] == "False"
    assert "darwin rl models deploy gate made" in done.stdout


def test_without_torch_it_says_what_to_install(lab, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    said = lab.bring(b"no matter what", "gate", "ppo", code=2)
    assert 'pip install -e ".[rl]"' in said
    assert not Path("made").exists()


@pytest.fixture
def as_if_there_were_torch(monkeypatch):
    """For what is refused before it is asked for."""
    monkeypatch.setattr("darwin.rl.training.foreign.require_torch", lambda: None)


@pytest.mark.usefixtures("as_if_there_were_torch")
class TestBeforeTorchIsAsked:
    @pytest.mark.parametrize(
        "agent, algo, words, said",
        [
            ("gate", "sac", (), "sac does not choose one of several actions"),
            ("portfolio", "dqn", (), "dqn does not choose a fraction"),
            ("portfolio", "ppo", ("--threshold", "0.5"), "threshold"),
            ("gate", "ppo", ("--threshold", "1.5"), "threshold"),
            ("gate", "ppo", ("--threshold", "nan"), "NaN"),
            ("gate", "dqn", ("--threshold", "-1"), "threshold"),
            ("gate", "ppo", ("--training-end", "last May"), "training_end"),
            ("gate", "ppo", ("--training-data", "abc"), "data_digest"),
        ],
    )
    def test_what_cannot_be_meant_is_exit_2(self, lab, agent, algo, words, said):
        assert said in lab.bring(b"", agent, algo, "--no-normaliser", *words, code=2)

    @pytest.mark.parametrize(
        "words", [("--activation", "relu"), ("--normaliser", "n", "--no-normaliser")]
    )
    def test_exactly_one_normaliser_is_told(self, lab, words):
        given = ["gate", lab.file("model.zip", b""), "--algo", "ppo", "-o", "made", *words]
        with pytest.raises(click.UsageError, match="--no-normaliser"):
            import_.main(given, standalone_mode=False)

    @pytest.mark.parametrize(
        "content, said",
        [
            (b"", "not valid JSON"),
            (b"\x80\x04\x95\x1a", "not UTF-8"),
            (b'{"mean": [0], "sd": [1]}', "holds 1 numbers"),
            (b'{"mean": [NaN], "sd": [1]}', "NaN"),
            (b'{"mean": [0], "sd": [0]}', r"sd\[0\] is 0"),
            (b'{"mean": [0], "mean": [0], "sd": [1]}', "twice"),
            (b'{"mean": [0], "var": [1]}', "'var' is unknown"),
            (b'{"mean": [0]}', "sd is missing"),
            (b"[" * 5000, "nested too deeply"),
        ],
    )
    def test_a_normaliser_is_read_strictly(self, lab, content, said):
        given = lab.file("n.json", content)
        assert re.search(said, lab.bring(b"", "gate", "ppo", "--normaliser", given, code=3))

    def test_a_folder_that_holds_something_is_not_written_into(self, lab):
        Path("made").mkdir()
        Path("made/notes.txt").write_text("mine")
        assert "nothing is overwritten" in lab.bring(b"", "gate", "ppo", code=2)
        assert [path.name for path in Path("made").iterdir()] == ["notes.txt"]

    def test_a_file_that_is_not_there_or_is_none_is_refused(self, lab):
        words = ("--algo", "ppo", "--no-normaliser", "-o", "made")
        assert "nowhere.zip is no file" in lab.say("import", "gate", "nowhere.zip", *words, code=3)
        assert "is no file" in lab.say("import", "gate", str(lab.folder), *words, code=3)
        os.mkfifo("pipe.zip")
        assert "pipe.zip is no file" in lab.say("import", "gate", "pipe.zip", *words, code=3)


def test_every_algorithm_can_be_named():
    (option,) = (one for one in import_.params if one.name == "algo")
    assert set(option.type.choices) == set(ALGORITHMS)


def test_the_child_gets_no_secrets(monkeypatch):
    for name in ("EXCHANGE_API_KEY", "DARWIN_TOKEN", "AWS_SECRET_ACCESS_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, "secret")
    assert "secret" not in _environment().values()
    assert "PATH" in _environment()
