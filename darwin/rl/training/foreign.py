"""Makes a model of a zip that was trained elsewhere, without running anything the zip carries.

Only weights are taken, by a process of its own that has given up all it could do harm with
(`foreign_child`). What weights cannot tell, the person who imports them must: algorithm,
activation, normaliser, threshold. This process never imports torch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darwin.core.market import FloatArray
from darwin.errors import ConfigError, ModelError
from darwin.rl.agents.pages import PAGES
from darwin.rl.agents.spec import AgentSpec
from darwin.rl.serving import spec_file, weights_file
from darwin.rl.serving.card import ModelCard
from darwin.rl.serving.fields import Fields
from darwin.rl.serving.spec_file import LARGEST_SCALE, LINEAR, SMALLEST_SD, Layer, ModelSpec
from darwin.rl.serving.strict_json import read_object, refusal
from darwin.rl.serving.validation import validate_files
from darwin.rl.training import foreign_child as child
from darwin.rl.training.foreign_layers import ALGORITHMS, head_of
from darwin.rl.training.foreign_reader import LIMITS, Limits, read_layers, require_torch
from darwin.rl.training.foreign_zip import policy_bytes

PROBES, PROBE_SEED = 256, 20_260_113
WIDEST_PROBE = 3.0
"""Of the rows the model is asked on: each is spread by up to so many sds around the mean."""


@dataclass(frozen=True, slots=True)
class Normaliser:
    """What is taken from an observation, and what the rest is divided by; (columns,) each."""

    mean: tuple[float, ...]
    sd: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """What must be told of a model, since its weights do not."""

    agent: str
    algo: str  # a key of ALGORITHMS
    normaliser: Normaliser
    activation: str | None = None  # of all but the last layer; None: the algorithm's own
    threshold: float | None = None
    training_end: str | None = None
    data_digest: str | None = None


def raw_columns(agent: str) -> Normaliser:
    """The normaliser of a model that takes columns as they are."""
    width = len(PAGES[agent].names)
    return Normaliser((0.0,) * width, (1.0,) * width)


def read_normaliser(raw: bytes, agent: str) -> Normaliser:
    """Read {"mean": […], "sd": […]}, a number each per column of the agent. Raises ModelError."""
    what = "the normaliser"
    if len(raw) > spec_file.LARGEST_FILE:
        raise refusal(what, "is too large", "write means and sds as JSON")
    width = len(PAGES[agent].names)
    fields = Fields(read_object(raw, what), ("mean", "sd"), what)
    read = Normaliser(
        fields.numbers("mean", -LARGEST_SCALE, LARGEST_SCALE, spec_file.WIDEST),
        fields.numbers("sd", SMALLEST_SD, LARGEST_SCALE, spec_file.WIDEST),
    )
    for key, values in (("mean", read.mean), ("sd", read.sd)):
        if len(values) != width:
            raise fields.fault(
                key, f"holds {len(values)} numbers", f"{agent} sees {width} columns, in their order"
            )
    return read


def import_zip(
    raw: bytes, told: Told, limits: Limits = LIMITS
) -> tuple[dict[str, bytes], ModelCard]:
    """The files of a model, ready to be deployed, from a zip of stable-baselines3.

    Raises ConfigError where what was told cannot be meant, and where there is no torch; ModelError
    for a zip or weights that are refused.
    """
    page, outline = PAGES[told.agent], _outline(told)
    require_torch()
    policy, observations = policy_bytes(raw), _probes(page, outline)
    request: dict[str, NDArray[Any]] = {
        child.MEAN: np.array(outline.mean), child.SD: np.array(outline.sd),
        child.OBSERVATIONS: observations, child.POLICY: np.frombuffer(policy, np.uint8),
    }  # fmt: skip
    activation = told.activation or ALGORITHMS[told.algo].activation
    layers, outputs = read_layers(request, (told.agent, told.algo, activation), limits)
    chain = tuple(
        Layer(inputs, width, LINEAR if i + 1 == len(layers) else activation)
        for i, (width, inputs) in enumerate(matrix.shape for matrix, _ in layers)
    )
    files = {
        spec_file.FILE: spec_file.write_spec(replace(outline, layers=chain)),
        weights_file.FILE: weights_file.write_weights(layers, observations, outputs),
    }
    return files, validate_files(told.agent, files)


def _outline(told: Told) -> ModelSpec:
    """The spec with one layer in place of those that are not known yet. Raises ConfigError."""
    page = PAGES[told.agent]
    spec = ModelSpec(
        agent=told.agent,
        head=head_of(ALGORITHMS[told.algo], page),
        layers=(Layer(len(page.names), page.outputs, LINEAR),),
        threshold=told.threshold,
        observation_schema=page.schema,
        mean=told.normaliser.mean,
        sd=told.normaliser.sd,
        training_end=told.training_end,
        data_digest=told.data_digest,
    )
    try:
        spec_file.write_spec(spec)
    except ModelError as fault:
        raise ConfigError(f"what is told of the model: {fault.what}", mend=fault.mend) from fault
    return spec


def _probes(page: AgentSpec, spec: ModelSpec) -> FloatArray:
    """Rows to ask the model on, the same for the same normaliser; shape (PROBES, columns).

    Their values are such as 32 bits can hold.
    """
    rng = np.random.default_rng(PROBE_SEED)
    away = rng.normal(size=(PROBES, len(page.names))) * rng.uniform(0.0, WIDEST_PROBE, (PROBES, 1))
    return (np.array(spec.mean) + np.array(spec.sd) * away).astype(np.float32).astype(np.float64)
