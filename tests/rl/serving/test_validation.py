"""What a valid model must do on the rows its trainer left with it."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load, save

from darwin.errors import ModelError
from darwin.rl.agents.pages import PAGES
from darwin.rl.serving.policy import policy_of
from darwin.rl.serving.validation import validate_files
from darwin.testing.models import make_model
from tests.rl.serving.forged import (
    SMALL,
    SPEC,
    WEIGHTS,
    check,
    with_keys,
)

FIRST = "layer.0.weight"
WIDTH = len(PAGES["gate"].names)


def test_the_model_they_were_made_from_is_valid():
    card = check(SMALL)
    assert (card.probes, card.parameters, card.observe_only) == (16, WIDTH * 4 + 4 + 8 + 2, False)


@pytest.mark.parametrize("name", [SPEC, WEIGHTS])
def test_a_version_without_one_of_its_files_is_refused(name):
    files = {other: content for other, content in SMALL.items() if other != name}
    with pytest.raises(ModelError, match=f"no {name}"):
        validate_files("gate", files)


def test_a_model_of_another_agent_is_refused():
    with pytest.raises(ModelError, match="model of gate where one of meta_learner"):
        check(SMALL, "meta_learner")
    assert validate_files("gate", SMALL).spec.agent == "gate"


@pytest.mark.parametrize("away", [1e-5, -1e-5])
def test_an_output_a_hundred_thousandth_from_the_trainers_is_refused(away):
    tensors = load(SMALL[WEIGHTS])
    assert np.abs(tensors["probe.output"]).max() < 10
    for row in (0, 15):
        wrong = {name: x.copy() for name, x in tensors.items()}
        wrong["probe.output"][row, 1] += np.float32(away)
        with pytest.raises(ModelError, match=f"probe row {row}"):
            check(SMALL | {WEIGHTS: save(wrong)})


def test_an_output_within_a_millionth_of_the_trainers_is_parity():
    tensors = load(SMALL[WEIGHTS])
    tensors["probe.output"] += np.float32(5e-7)
    assert check(SMALL | {WEIGHTS: save(tensors)}).probes == 16


def test_parity_is_relative_to_large_outputs():
    tensors = load(SMALL[WEIGHTS])
    tensors["layer.1.weight"] *= np.float32(1e5)
    tensors["layer.1.bias"] *= np.float32(1e5)
    outputs = tensors["probe.output"].astype(np.float64) * 1e5
    wrong = tensors | {"probe.output": (outputs * (1 + 1e-4)).astype(np.float32)}
    with pytest.raises(ModelError, match="other outputs"):
        check(SMALL | {WEIGHTS: save(wrong)})
    # float32 holds a large output to some 1e-7 of itself, which is more than 1e-6 as such
    policy_outputs = tensors | {"probe.output": exact_outputs(tensors)}
    assert check(SMALL | {WEIGHTS: save(policy_outputs)}).probes == 16


def exact_outputs(tensors):
    policy = policy_of(SMALL[SPEC], save(tensors))
    return np.array([policy.outputs(row) for row in tensors["probe.observation"]], np.float32)


def test_numbers_too_small_to_be_normal_are_numbers():
    tensors = load(SMALL[WEIGHTS])
    tensors[FIRST][0, 0] = 0.0
    policy_outputs = tensors | {"probe.output": exact_outputs(tensors)}
    tiny = {name: x.copy() for name, x in policy_outputs.items()}
    tiny[FIRST][0, 0] = np.float32(1e-45)
    assert check(SMALL | {WEIGHTS: save(tiny)}).probes == 16


def test_fractions_that_differ_by_a_hair_are_one_action():
    files = make_model("portfolio", hidden=(4,), probes=16)
    tensors = load(files[WEIGHTS])
    tensors["layer.1.weight"] *= np.float32(1e-6)
    tensors["layer.1.bias"] = np.zeros(1, np.float32)
    policy = policy_of(files[SPEC], save(tensors))
    tensors["probe.output"] = np.array(
        [policy.outputs(row) for row in tensors["probe.observation"]], np.float32
    )
    with pytest.raises(ModelError, match="whatever it sees"):
        check(files | {WEIGHTS: save(tensors)}, "portfolio")


def test_without_held_out_evidence_a_model_may_be_watched_only():
    assert check(make_model("gate", held_out=None)).observe_only is True
    level = with_keys(SMALL, held_out={"gain": 0.1, "baseline": 0.1})
    assert check(level).observe_only is False
