"""A model as a policy: one row in, one piece of advice out, in float64 and with numpy alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from darwin.core.agents import Advice
from darwin.core.market import FloatArray
from darwin.errors import ModelError
from darwin.rl.agents.pages import PAGES
from darwin.rl.agents.spec import AgentSpec
from darwin.rl.serving.heads import head
from darwin.rl.serving.spec_file import RELU, TANH, ModelSpec, read_spec
from darwin.rl.serving.weights_file import Weights, read_weights

MOST_WEIGHTS_OF_BLAS = 8192
"""Beyond that BLAS may share a product among threads: slower to wake, and with other last bits."""

_Product: TypeAlias = Callable[[FloatArray], FloatArray]
_InPlace: TypeAlias = Callable[[FloatArray, FloatArray], object]


class Forward:
    """The layers of a model; any number of threads may ask."""

    __slots__ = ("_layers", "_mean", "_sd", "_shape", "spec")

    def __init__(self, spec: ModelSpec, weights: Weights) -> None:
        """Take what `read_spec` and `read_weights` have read."""
        self.spec = spec
        self._shape = (spec.width,)
        self._mean, self._sd = np.array(spec.mean), np.array(spec.sd)
        self._layers = [
            (_product_with(matrix), bias, _ACTIVATIONS.get(layer.activation))
            for layer, matrix, bias in zip(
                spec.layers, weights.matrices, weights.biases, strict=True
            )
        ]

    def strangeness(self, observation: NDArray[np.float32]) -> float:
        """The largest |x − mean| / sd over the columns of a row; NaN where it is not finite."""
        away = self._standardised(observation)
        np.abs(away, away)
        furthest: float = away.item(away.argmax())  # argmax finds NaN first
        return furthest if furthest < np.inf else np.nan

    def outputs(self, observation: NDArray[np.float32]) -> FloatArray:
        """What the last layer gives, before the head. Raises ModelError for another shape."""
        x = self._standardised(observation)
        for product, bias, activation in self._layers:
            x = product(x)
            x += bias
            if activation is not None:
                activation(x, x)
        return x

    def _standardised(self, observation: NDArray[np.float32]) -> FloatArray:
        if observation.shape != self._shape:
            raise ModelError(
                f"an observation of shape {observation.shape} for a model of {self._shape[0]} "
                "columns",
                mend="serve it on the page it was trained on",
            )
        x = observation.astype(np.float64)
        x -= self._mean
        x /= self._sd
        return x


class NumpyPolicy(Forward):
    """A model ready to be asked. Implements `core.ports.Policy`."""

    __slots__ = ("_head",)

    def __init__(self, spec: ModelSpec, weights: Weights) -> None:
        """Take what was read. Raises ModelError for the model of an agent of books."""
        super().__init__(spec, weights)
        if spec.agent not in PAGES:
            raise ModelError(
                f"a model of {spec.agent} judges no candidates", mend="serve it on its book"
            )
        self._head = head(spec.head, spec.outputs, PAGES[spec.agent].baseline, spec.threshold)

    def advise(self, observation: NDArray[np.float32]) -> Advice:
        """What the agent would do, seeing `observation`. Raises ModelError for another shape."""
        advice: Advice = self._head(self.outputs(observation).tolist())
        return advice


def policy_of(spec: bytes, weights: bytes) -> NumpyPolicy:
    """Read a model from the bytes of its spec.json and weights.safetensors. Raises ModelError."""
    read = read_spec(spec)
    return NumpyPolicy(read, read_weights(weights, read))


def policy_for(page: AgentSpec, spec: bytes, weights: bytes) -> NumpyPolicy:
    """Like `policy_of`, for a model that will be asked on `page` and so must be made for it."""
    policy = policy_of(spec, weights)
    refuse_other_page(page, policy.spec)
    return policy


def refuse_other_page(page: AgentSpec, spec: ModelSpec) -> None:
    """Raise ModelError for the model of another agent, or of other observations than `page` has."""
    if spec.agent != page.name:
        raise ModelError(
            f"a model of {spec.agent} where one of {page.name} is wanted",
            mend=f"deploy it as {spec.agent}",
        )
    if spec.observation_schema != page.schema:
        raise ModelError(
            f"the model was trained on other observations than {page.name} sees now",
            where=f"schema {spec.observation_schema[:12]} instead of {page.schema[:12]}",
            mend="train it again with this version of Darwin",
        )
    if spec.width != len(page.names):
        raise ModelError(
            f"the model takes {spec.width} columns where {page.name} sees {len(page.names)}",
            mend="export it again",
        )


def _product_with(matrix: FloatArray) -> _Product:
    if matrix.size <= MOST_WEIGHTS_OF_BLAS:
        return matrix.dot

    def product(x: FloatArray) -> FloatArray:
        y: FloatArray = np.einsum("ij,j->i", matrix, x)
        return y

    return product


def _relu(x: FloatArray, out: FloatArray) -> None:
    np.maximum(x, 0.0, out=out)


_ACTIVATIONS: dict[str, _InPlace] = {TANH: np.tanh, RELU: _relu}
