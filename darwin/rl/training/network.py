"""The part of a trained network that serves: its layers as arrays, and what they give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from darwin.core.market import FloatArray, IntArray
from darwin.core.rebalance import ALLOCATOR
from darwin.rl.agents.spec import AgentSpec
from darwin.rl.serving.heads import DECIMALS, head
from darwin.rl.serving.spec_file import (
    ARGMAX_Q,
    CATEGORICAL,
    CLIPPED_GAUSSIAN,
    LINEAR,
    RELU,
    SOFTMAX,
    TANH,
    TANH_GAUSSIAN,
    TANH_SOFTMAX,
)
from darwin.rl.training.recipes import A2C, DQN, PPO, SAC

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm


class Headed(Protocol):
    """What of a page says how its networks decide."""

    @property
    def name(self) -> str:
        """The agent."""
        ...

    @property
    def is_continuous(self) -> bool:
        """Whether its actions are fractions or weights instead of codes."""
        ...


_ACTIVATIONS = {PPO: TANH, A2C: TANH, DQN: RELU, SAC: RELU}


@dataclass(frozen=True)
class Network:
    """Layers of (W, b), W of shape (outputs, inputs), each but the last with `activation` after."""

    layers: tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]
    activation: str
    head: str

    def outputs(self, seen: NDArray[Any]) -> FloatArray:
        """What the last layer gives for standardised rows of shape (n, k): (n, outputs)."""
        x: FloatArray = seen.astype(np.float64)
        last = len(self.layers) - 1
        for at, (matrix, bias) in enumerate(self.layers):
            x = x @ matrix.T.astype(np.float64) + bias
            if at < last:
                x = np.tanh(x) if self.activation == TANH else np.maximum(x, 0.0)
        return x

    def activations(self) -> tuple[str, ...]:
        """What follows each layer."""
        return (*(self.activation for _ in self.layers[1:]), LINEAR)


def head_of(page: Headed, algo: str) -> str:
    """How a network of that algorithm decides."""
    if page.name == ALLOCATOR:
        return TANH_SOFTMAX if algo == SAC else SOFTMAX
    if not page.is_continuous:
        return ARGMAX_Q if algo == DQN else CATEGORICAL
    return TANH_GAUSSIAN if algo == SAC else CLIPPED_GAUSSIAN


def network_of(model: BaseAlgorithm, page: Headed, algo: str) -> Network:
    """The acting part of a model of stable-baselines3, copied."""
    import torch  # noqa: PLC0415  the file is read by what needs no torch

    with torch.no_grad():
        linear = [
            (_array(module.weight), _array(module.bias))
            for module in _acting(model, algo)
            if isinstance(module, torch.nn.Linear)
        ]
    return Network(tuple(linear), _ACTIVATIONS[algo], head_of(page, algo))


def become(model: BaseAlgorithm, network: Network) -> None:
    """Give the acting part of a PPO or A2C model the weights of `network`, of the same shape."""
    import torch  # noqa: PLC0415

    linear = [module for module in _acting(model, PPO) if isinstance(module, torch.nn.Linear)]
    with torch.no_grad():
        for module, (matrix, bias) in zip(linear, network.layers, strict=True):
            module.weight.copy_(torch.from_numpy(matrix))
            module.bias.copy_(torch.from_numpy(bias))


def averaged(mean: Network | None, latest: Network, weight: float) -> Network:
    """The running mean of weights after one more update."""
    if mean is None:
        return latest
    layers = tuple(
        (
            (weight * w + (1.0 - weight) * v).astype(np.float32),
            (weight * b + (1.0 - weight) * c).astype(np.float32),
        )
        for (w, b), (v, c) in zip(mean.layers, latest.layers, strict=True)
    )
    return Network(layers, latest.activation, latest.head)


def scores(page: AgentSpec, network: Network, seen: NDArray[np.float32]) -> FloatArray:
    """How strongly a network wants to leave the baseline, shape (n,), as its head compares it.

    Of codes the probability of leaving, or what leaving is worth; of sizes the size.
    """
    return scores_of(page, network.head, network.outputs(seen))


def scores_of(page: AgentSpec, kind: str, given: FloatArray) -> FloatArray:
    """The same of what a last layer gave, shape (n, outputs), where the head is of that kind."""
    if kind in (CLIPPED_GAUSSIAN, TANH_GAUSSIAN):
        bent = np.tanh if kind == TANH_GAUSSIAN else lambda x: np.clip(x, -1.0, 1.0)
        sizes: FloatArray = (bent(given[:, 0]) + 1.0) / 2.0
        return sizes
    base = int(page.baseline)
    if kind == CATEGORICAL:
        weights = np.exp(given - given.max(axis=1, keepdims=True))
        left: FloatArray = 1.0 - weights[:, base] / weights.sum(axis=1)
        return np.round(left, DECIMALS)
    worth: FloatArray = given[:, _others(page)].max(axis=1) - given[:, base]
    return np.round(worth, DECIMALS)


def actions_of(
    page: AgentSpec, network: Network, seen: NDArray[np.float32], threshold: float | None
) -> FloatArray:
    """What a network advises, shape (n,), with the very heads that serve."""
    decide = head(network.head, page.outputs, page.baseline, threshold)
    return np.array([decide(row).action for row in network.outputs(seen).tolist()])


def decided(page: AgentSpec, kind: str, given: FloatArray, threshold: float | None) -> FloatArray:
    """What the heads that serve make of outputs, shape (n, outputs), all at once: (n,).

    For reckoning that asks a network thousands of times; what is handed over is judged by
    `actions_of`.
    """
    score = scores_of(page, kind, given)
    if page.is_continuous:
        return np.round(score, DECIMALS)
    best, base = departures_of(page, given), int(page.baseline)
    if threshold is not None:
        leaves = score >= threshold
    else:
        at = np.arange(len(given))
        worth = given if kind == ARGMAX_Q else np.exp(given - given.max(axis=1, keepdims=True))
        whole = 1.0 if kind == ARGMAX_Q else worth.sum(axis=1)
        leaves = np.round((worth[at, best] - worth[:, base]) / whole, DECIMALS) > 0.0
    return np.where(leaves, best, base).astype(np.float64)


def departures_of(page: AgentSpec, given: FloatArray) -> IntArray:
    """By which code each row would leave the baseline, shape (n,), of outputs (n, outputs)."""
    best: IntArray = np.array(_others(page))[given[:, _others(page)].argmax(axis=1)]
    return best


def _others(page: AgentSpec) -> list[int]:
    """All codes but the baseline."""
    return [code for code in range(len(page.actions)) if code != int(page.baseline)]


def flat(network: Network) -> Sequence[NDArray[np.float32]]:
    """All weights, for checkpoints."""
    return [one for layer in network.layers for one in layer]


def _acting(model: BaseAlgorithm, algo: str) -> list[Any]:
    policy: Any = model.policy
    if algo in (PPO, A2C):
        return [*policy.mlp_extractor.policy_net, policy.action_net]
    if algo == DQN:
        return list(policy.q_net.q_net)
    return [*policy.actor.latent_pi, policy.actor.mu]


def _array(tensor: Any) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.detach().cpu().numpy().astype(np.float32).copy()
    return array
