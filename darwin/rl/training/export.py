"""Turn a trained network into the files of a model, and see that they give what it gave."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from darwin.core.market import FloatArray
from darwin.errors import ModelError
from darwin.rl.agents.spec import AgentSpec
from darwin.rl.serving import spec_file, weights_file
from darwin.rl.serving.policy import Forward, policy_of
from darwin.rl.serving.spec_file import HeldOut, Layer, ModelSpec
from darwin.rl.training.network import Network
from darwin.rl.training.rows import Normaliser, Rows
from darwin.stats.drift import reference_of

PROBES = 256
PARITY_ROWS = 1000
PARITY = 1e-6


def merged(networks: Sequence[Network]) -> Network:
    """One network that gives the mean of what several give.

    Exact for one hidden layer: their units stand side by side, and the last layer takes the mean.
    """
    first = networks[0]
    if len(networks) == 1:
        return first
    if any(len(one.layers) != 2 for one in networks):
        raise ValueError("only networks of one hidden layer stand side by side")
    share = np.float32(1.0 / len(networks))
    hidden = (
        np.concatenate([one.layers[0][0] for one in networks]),
        np.concatenate([one.layers[0][1] for one in networks]),
    )
    last = (
        np.concatenate([one.layers[1][0] for one in networks], axis=1) * share,
        np.sum([one.layers[1][1] for one in networks], axis=0) * share,
    )
    return Network((hidden, last), first.activation, first.head)


def files_of(
    page: AgentSpec,
    network: Network,
    normaliser: Normaliser,
    probes: Rows,
    trained_on: NDArray[np.float32],
    *,
    threshold: float | None,
    training_end_ms: int,
    data_digest: str,
    config_digest: str,
    metrics: Mapping[str, float],
    held_out: HeldOut | None,
) -> dict[str, bytes]:
    """spec.json and weights.safetensors. Raises ModelError where they give anything else.

    `probes` are rows on which the registry will try the model before it serves; `trained_on`,
    (n, k), is what later observations will be compared with.
    """
    spec = ModelSpec(
        agent=page.name,
        head=network.head,
        layers=layers_of(network, len(page.names)),
        threshold=threshold,
        observation_schema=page.schema,
        mean=tuple(normaliser.mean.tolist()),
        sd=tuple(normaliser.sd.tolist()),
        training_end=instant_of(training_end_ms),
        data_digest=data_digest,
        config_digest=config_digest,
        metrics=metrics,
        held_out=held_out,
        reference=reference_of(trained_on.astype(np.float64)),
    )
    return exported(spec, network, normaliser, probes.observations, policy_of)


def layers_of(network: Network, width: int) -> tuple[Layer, ...]:
    """The layers of a network that takes `width` columns, as a spec has them."""
    widths = [width, *(len(bias) for _, bias in network.layers)]
    return tuple(
        Layer(widths[at], widths[at + 1], activation)
        for at, activation in enumerate(network.activations())
    )


def instant_of(ms: int) -> str:
    """An instant as a spec has it."""
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def exported(
    spec: ModelSpec,
    network: Network,
    normaliser: Normaliser,
    probes: NDArray[np.float32],
    read: Callable[[bytes, bytes], Forward],
) -> dict[str, bytes]:
    """The files of a model; `read` is how they will be read to serve.

    Raises ModelError where, read so, they give other outputs than the network on `probes` (n, k).
    """
    shown = probes[:: max(1, len(probes) // PROBES)][:PROBES]
    layers = [
        (matrix.astype(np.float64), bias.astype(np.float64)) for matrix, bias in network.layers
    ]
    outputs = network.outputs(_exact(normaliser, shown))
    files = {
        spec_file.FILE: spec_file.write_spec(spec),
        weights_file.FILE: weights_file.write_weights(layers, shown.astype(np.float64), outputs),
    }
    _require_parity(files, network, normaliser, probes[:PARITY_ROWS], read)
    return files


def _require_parity(
    files: Mapping[str, bytes],
    network: Network,
    normaliser: Normaliser,
    rows: NDArray[np.float32],
    read: Callable[[bytes, bytes], Forward],
) -> None:
    policy = read(files[spec_file.FILE], files[weights_file.FILE])
    served = np.array([policy.outputs(row) for row in rows])
    given = network.outputs(_exact(normaliser, rows))
    away = float(np.max(np.abs(served - given) / np.maximum(1.0, np.abs(given)), initial=0.0))
    if not away <= PARITY:
        raise ModelError(
            f"the exported model gives other outputs than the trained one, by {away:.1e}",
            mend="this is a bug in Darwin: please report it",
        )


def _exact(normaliser: Normaliser, rows: NDArray[np.float32]) -> FloatArray:
    """Rows standardised in 64 bits, as they are when served, shape (n, k)."""
    exact: FloatArray = (rows.astype(np.float64) - normaliser.mean) / normaliser.sd
    return exact
