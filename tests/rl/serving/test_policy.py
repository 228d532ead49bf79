"""A model as a policy: what a plain reference says, row by row, whatever thread asks."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.testing import assert_allclose
from safetensors.numpy import load

from darwin.core.agents import AGENTS
from darwin.errors import ModelError
from darwin.rl.agents.pages import PAGES
from darwin.rl.serving.policy import policy_for, policy_of
from darwin.rl.serving.spec_file import (
    ARGMAX_Q,
    TANH_GAUSSIAN,
    HeldOut,
    Layer,
    read_spec,
    write_spec,
)
from darwin.stats.drift import reference_of
from darwin.testing.models import make_model, raw_outputs
from tests.rl.serving.forged import SPEC, WEIGHTS, check

HEADS = [(agent, None) for agent in AGENTS] + [
    ("gate", ARGMAX_Q), ("meta_learner", ARGMAX_Q), ("portfolio", TANH_GAUSSIAN),
]  # fmt: skip


def opened(agent: str, **changes):
    files = make_model(agent, **changes)
    return policy_of(files[SPEC], files[WEIGHTS]), load(files[WEIGHTS])


@pytest.mark.parametrize(("agent", "kind"), HEADS)
@pytest.mark.parametrize("seed", range(5))
def test_models_for_tests_are_valid_and_differ_by_seed(agent, kind, seed):
    changes = {"head": kind} if kind else {}
    card = check(make_model(agent, seed=seed, **changes), agent)
    assert card.distinct_actions >= 2
    assert card.observe_only is False
    assert make_model(agent, seed=seed) != make_model(agent, seed=seed + 1)
    assert make_model(agent, seed=seed) == make_model(agent, seed=seed)


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("activation", ["tanh", "relu", "linear"])
@pytest.mark.parametrize("hidden", [(), (3,), (64, 64), (2, 3, 4, 5, 6, 7, 8), (200, 150)])
def test_outputs_are_those_of_a_plain_forward_pass(agent, activation, hidden):
    policy, tensors = opened(agent, activation=activation, hidden=hidden)
    layers = [
        (tensors[f"layer.{i}.weight"].astype(np.float64), tensors[f"layer.{i}.bias"])
        for i in range(len(hidden) + 1)
    ]
    rows = tensors["probe.observation"]
    expected = raw_outputs(policy.spec, layers, rows)
    given = np.array([policy.outputs(row) for row in rows])
    assert_allclose(given, expected, rtol=1e-9, atol=1e-11)


def test_a_layer_worked_by_hand():
    spec = make_model(
        "portfolio", hidden=(2,), activation="relu",
    )  # fmt: skip
    policy = policy_of(spec[SPEC], spec[WEIGHTS])
    tensors = {name: x.astype(np.float64) for name, x in load(spec[WEIGHTS]).items()}
    row = tensors["probe.observation"][0]
    z = [(x - m) / s for x, m, s in zip(row, policy.spec.mean, policy.spec.sd, strict=True)]
    w, b = tensors["layer.0.weight"], tensors["layer.0.bias"]
    hidden = [
        max(0.0, math.fsum([a * c for a, c in zip(w[j], z, strict=True)]) + b[j]) for j in range(2)
    ]
    last = tensors["layer.1.weight"][0]
    mean = last[0] * hidden[0] + last[1] * hidden[1] + tensors["layer.1.bias"][0]
    advice = policy.advise(row.astype(np.float32))
    assert advice.action == pytest.approx((min(1, max(-1, mean)) + 1) / 2, abs=1e-9)
    assert advice.probability is None


def test_a_threshold_decides_how_often_the_gate_skips():
    rows = load(make_model("gate")[WEIGHTS])["probe.observation"]

    def skips(threshold: float | None) -> int:
        files = make_model("gate", threshold=threshold)
        policy = policy_of(files[SPEC], files[WEIGHTS])
        return sum(policy.advise(row).action == 0.0 for row in rows)

    assert skips(0.2) > skips(0.5) > skips(0.8)
    assert skips(None) == skips(0.5)


def test_strangeness_is_the_furthest_column_in_standard_deviations():
    policy, _ = opened("gate")
    mean, sd = np.array(policy.spec.mean), np.array(policy.spec.sd)
    row = mean.copy()
    row[7] -= 12.5 * sd[7]
    row[3] += 3.0 * sd[3]
    assert policy.strangeness(row.astype(np.float32)) == pytest.approx(12.5, rel=1e-5)
    assert policy.strangeness(mean.astype(np.float32)) < 1e-5


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, 17, -1])
def test_a_row_that_is_not_finite_is_no_distance_away_and_gives_no_action(bad, place):
    for agent in AGENTS:
        policy, tensors = opened(agent)
        row = tensors["probe.observation"][0].copy()
        row[place] = bad
        assert math.isnan(policy.strangeness(row))
        if math.isnan(bad):
            assert math.isnan(policy.advise(row).action)


@pytest.mark.parametrize("shape", [(1,), (50,), (1, 51), ()])
def test_a_row_of_another_shape_is_refused_and_never_stretched(shape):
    policy, _ = opened("gate")
    for ask in (policy.advise, policy.strangeness, policy.outputs):
        with pytest.raises(ModelError, match="shape"):
            ask(np.zeros(shape, np.float32))


def test_many_threads_get_the_answers_of_one():
    policy, tensors = opened("meta_learner", probes=500)
    rows = tensors["probe.observation"]
    alone = [policy.advise(row) for row in rows]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(4):
            assert list(pool.map(policy.advise, rows)) == alone


def test_asking_changes_neither_the_row_nor_the_next_answer():
    policy, tensors = opened("portfolio")
    row = tensors["probe.observation"][3].copy()
    before = row.tobytes()
    first = policy.advise(row), policy.strangeness(row)
    assert all((policy.advise(row), policy.strangeness(row)) == first for _ in range(50))
    assert row.tobytes() == before


def test_a_model_is_served_on_its_own_page_alone():
    files = make_model("gate")
    assert policy_for(PAGES["gate"], files[SPEC], files[WEIGHTS]).spec.agent == "gate"
    with pytest.raises(ModelError, match="model of gate where one of portfolio"):
        policy_for(PAGES["portfolio"], files[SPEC], files[WEIGHTS])
    other = make_model("gate", observation_schema="0" * 64)
    assert policy_of(other[SPEC], other[WEIGHTS]).spec.observation_schema == "0" * 64
    with pytest.raises(ModelError, match="other observations"):
        policy_for(PAGES["gate"], other[SPEC], other[WEIGHTS])


def test_the_normaliser_bounds_are_those_that_keep_every_sum_finite():
    wide = Layer(2, 1024, "relu"), *[Layer(1024, 1024, "relu")] * 6, Layer(1024, 1, "linear")
    x = np.array([1e-9, 3.4e38])
    z = x / 1e-9
    for layer in wide:
        z = np.full(layer.outputs, np.abs(z).max() * 1e6 * layer.inputs)
    assert np.isfinite(z).all()


def test_a_spec_reads_back_as_it_was_written():
    files = make_model(
        "portfolio",
        training_end=None,
        data_digest=None,
        config_digest=None,
        metrics={"eval/gain_r": -0.25, "val.loss": None},
        held_out=HeldOut(0.25, -1.0),
    )
    spec = read_spec(files[SPEC])
    assert write_spec(spec) == files[SPEC]
    assert read_spec(write_spec(spec)) == spec
    assert (spec.training_end_ms, spec.held_out, spec.metrics["val.loss"]) == (
        None, (0.25, -1.0), None,
    )  # fmt: skip
    dated = read_spec(make_model("gate", training_end="1970-01-02T00:00:01Z")[SPEC])
    assert dated.training_end_ms == 86_401_000


def test_a_spec_keeps_how_its_rows_of_training_were_distributed():
    width = len(PAGES["portfolio"].names)
    reference = reference_of(np.random.default_rng(3).normal(size=(300, width)).astype(np.float32))
    spec = read_spec(make_model("portfolio", reference=reference)[SPEC])
    assert spec.reference == reference
    assert read_spec(write_spec(spec)) == spec
    tree = json.loads(write_spec(spec))
    tree["reference"]["edges"] = [edges[:0] for edges in tree["reference"]["edges"]]
    tree["reference"]["shares"] = [[1] for _ in tree["reference"]["shares"]]
    plain = read_spec(json.dumps(tree).encode()).reference
    assert plain == (((),) * width, ((1.0,),) * width)


def test_a_spec_of_before_there_were_references_is_read():
    tree = json.loads(make_model("gate")[SPEC])
    assert tree.pop("reference", "missing") is None
    raw = json.dumps(tree).encode()
    assert read_spec(raw).reference is None
    assert json.loads(write_spec(read_spec(raw)))["reference"] is None


def test_serving_needs_numpy_and_safetensors_alone():
    modules = "darwin.rl.serving.validation, darwin.rl.serving.rules"
    code = f"import sys, {modules}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"torch", "stable_baselines3", "gymnasium", "pydantic", "polars", "sqlalchemy", "click"}
    assert "safetensors" in loaded
    assert not heavy & set(loaded)
