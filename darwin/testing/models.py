"""Small valid models for tests, as the bytes of their files; a test names only what it changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from darwin.core.market import FloatArray
from darwin.rl.agents.pages import PAGES
from darwin.rl.serving import spec_file, weights_file
from darwin.rl.serving.spec_file import HeldOut, Layer, ModelSpec

SPREAD = 0.5
"""Of what the last layer gives on the probe rows, in standard deviations."""


def make_model(
    agent: str,
    *,
    seed: int = 0,
    hidden: Sequence[int] = (16, 16),
    activation: str = spec_file.TANH,
    probes: int = 64,
    **changes: Any,
) -> dict[str, bytes]:
    """spec.json and weights.safetensors of a random model that `validate` passes.

    `changes` are fields of `ModelSpec`. The last layer is centred and scaled on the probe rows, so
    that each action is the best on some of them, and fractions lie around a half.
    """
    page, rng = PAGES[agent], np.random.default_rng(seed)
    width = len(page.names)
    spec = ModelSpec(
        **{
            "agent": agent,
            "head": spec_file.CLIPPED_GAUSSIAN if page.is_continuous else spec_file.CATEGORICAL,
            "layers": _chain((width, *hidden, page.outputs), activation),
            "threshold": None,
            "observation_schema": page.schema,
            "mean": tuple(rng.normal(0.0, 0.5, width).tolist()),
            "sd": tuple(rng.uniform(0.5, 2.0, width).tolist()),
            "training_end": "2024-01-01T00:00:00Z",
            "data_digest": "d" * 64,
            "config_digest": "c" * 64,
            "metrics": {"eval/gain_r": 0.05},
            "held_out": HeldOut(0.05, 0.0),
        }
        | changes
    )
    mean, sd = np.array(spec.mean), np.array(spec.sd)
    observations = _float32(mean + sd * rng.normal(size=(probes, spec.width)))
    layers = [
        (
            _float32(rng.normal(0.0, layer.inputs**-0.5, (layer.outputs, layer.inputs))),
            _float32(rng.normal(0.0, 0.1, layer.outputs)),
        )
        for layer in spec.layers
    ]
    given = raw_outputs(spec, layers, observations)
    matrix, bias = layers[-1]
    scale = SPREAD / given.std(axis=0)
    layers[-1] = (
        _float32(matrix * scale[:, None]),
        _float32((bias - given.mean(axis=0)) * scale),
    )
    outputs = raw_outputs(spec, layers, observations)
    return {
        spec_file.FILE: spec_file.write_spec(spec),
        weights_file.FILE: weights_file.write_weights(layers, observations, outputs),
    }


def raw_outputs(
    spec: ModelSpec, layers: Sequence[tuple[FloatArray, FloatArray]], observations: FloatArray
) -> FloatArray:
    """What the last layer gives for all rows at once, shape (p, outputs): the plain reference."""
    x: FloatArray = (observations.astype(np.float64) - np.array(spec.mean)) / np.array(spec.sd)
    for layer, (matrix, bias) in zip(spec.layers, layers, strict=True):
        x = x @ matrix.T.astype(np.float64) + bias.astype(np.float64)
        if layer.activation == spec_file.TANH:
            x = np.tanh(x)
        elif layer.activation == spec_file.RELU:
            x = np.maximum(x, 0.0)
    return x


def _chain(widths: Sequence[int], activation: str) -> tuple[Layer, ...]:
    last = len(widths) - 2
    return tuple(
        Layer(widths[i], widths[i + 1], spec_file.LINEAR if i == last else activation)
        for i in range(last + 1)
    )


def _float32(values: FloatArray) -> FloatArray:
    """The values that 32 bits can hold, as float64."""
    return values.astype(np.float32).astype(np.float64)
