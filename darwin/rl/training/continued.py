"""Going on from a deployed version: its network, and the time that it has seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from darwin.core.agents import Model
from darwin.errors import ConfigError
from darwin.rl.agents.spec import AgentSpec
from darwin.rl.serving import spec_file, weights_file
from darwin.rl.serving.policy import refuse_other_page
from darwin.rl.serving.spec_file import TANH
from darwin.rl.training.network import Network, head_of
from darwin.rl.training.recipes import A2C, PPO
from darwin.rl.training.rows import Normaliser


@dataclass(frozen=True)
class Origin:
    """A version that a training goes on from."""

    model: Model
    network: Network  # on rows standardised by `normaliser`
    normaliser: Normaliser
    seen_until: int  # ms UTC: what it was trained, chosen and tested on ends there

    @property
    def hidden(self) -> tuple[int, ...]:
        """The widths of its hidden layers."""
        return tuple(len(bias) for _, bias in self.network.layers[:-1])

    def network_on(self, normaliser: Normaliser) -> Network:
        """The same network on rows standardised otherwise, up to the last bits of float32.

        W·(x − m)/s + b is W′·(x − m′)/s′ + b′ with W′ = W·s′/s and b′ = b + W·(m′ − m)/s.
        """
        (first, bias), *rest = self.network.layers
        wide = first.astype(np.float64)
        moved = bias + wide @ ((normaliser.mean - self.normaliser.mean) / self.normaliser.sd)
        turned = wide * (normaliser.sd / self.normaliser.sd)
        layers = ((turned.astype(np.float32), moved.astype(np.float32)), *rest)
        return Network(layers, self.network.activation, self.network.head)


def origin_of(page: AgentSpec, model: Model, files: Mapping[str, bytes], algo: str) -> Origin:
    """Read a version that `algo` may go on from.

    Raises ConfigError where it is of another kind than that trains, or does not say what it has
    seen, and ModelError where it is of another page or its observations are.
    """
    spec = spec_file.read_spec(files[spec_file.FILE])
    refuse_other_page(page, spec)
    weights = weights_file.read_weights(files[weights_file.FILE], spec)
    bent = {layer.activation for layer in spec.layers[:-1]}
    if algo not in (PPO, A2C) or spec.head != head_of(page, algo) or bent != {TANH}:
        raise ConfigError(
            f"version {model.version} is no network that {algo} can go on with",
            where="--from",
            mend="ppo and a2c go on with what ppo or a2c trained; others begin anew",
        )
    if spec.training_end_ms is None:
        raise ConfigError(
            f"version {model.version} does not say what it was trained on",
            where="--from",
            mend="nobody can tell which rows would be new to it; train without --from",
        )
    layers = tuple(
        (matrix.astype(np.float32), bias.astype(np.float32))
        for matrix, bias in zip(weights.matrices, weights.biases, strict=True)
    )
    return Origin(
        model,
        Network(layers, TANH, spec.head),
        Normaliser(np.array(spec.mean), np.array(spec.sd)),
        spec.training_end_ms,
    )
